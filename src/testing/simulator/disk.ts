import { type Life, never } from './crash.ts'
import type { Faults } from './faults.ts'
import type { World } from './world.ts'

/** Beyond the longest time that the hub is down. */
const LATE_COMMIT_MAX_MS = 4000

interface Task {
  readonly what: 'append' | 'commit'
  readonly run: () => void
  isDone: boolean
}

/**
 * The time that durable storage takes, between one process of the hub and the objects that stand for its disk. Operations take effect in the order of
 * their calls. When the process dies, a random number of those under way still take effect: that is what a kill does. A commit may also arrive later, as it may where the
 * store is another machine: then the next process has the store, and must not see it.
 */
export class Disk {
  readonly #world: World
  readonly #life: Life
  readonly #faults: Faults
  readonly #queue: Task[] = []
  readonly #isSlow: boolean
  #freeAtMs = 0

  constructor(world: World, life: Life, faults: Faults) {
    this.#world = world
    this.#life = life
    this.#faults = faults
    this.#isSlow = faults.hit('diskDelay')
  }

  /** Runs a change of what is stored, with the crash points around it. */
  async write<T>(what: 'append' | 'commit', change: () => Promise<T>): Promise<T> {
    const wasAlive = this.#life.isAlive
    if (!this.#life.passes(`before ${what}`)) {
      if (wasAlive && what === 'commit') this.#perhapsLater(() => void change().catch(() => {}))
      return never()
    }
    const result = this.#isSlow ? await this.#queued(what, change) : await change()
    return this.#life.passes(`after ${what}`) ? result : never()
  }

  async read<T>(query: () => Promise<T>): Promise<T> {
    if (!this.#life.isAlive) return never()
    const result = await query()
    return this.#life.isAlive ? result : never()
  }

  died(): void {
    const effective = this.#queue.length === 0 ? 0 : this.#faults.int('diskDelay', 0, this.#queue.length)
    for (const [i, task] of this.#queue.splice(0).entries()) {
      if (i < effective) task.run()
      else if (task.what === 'commit') this.#perhapsLater(task.run)
    }
  }

  #perhapsLater(commit: () => void): void {
    if (this.#faults.hit('lateCommit'))
      this.#world.clock.timer(this.#faults.int('lateCommit', 0, LATE_COMMIT_MAX_MS), commit)
  }

  #queued<T>(what: Task['what'], change: () => Promise<T>): Promise<T> {
    const { clock } = this.#world
    this.#freeAtMs = Math.max(this.#freeAtMs, clock.monotonicMs()) + this.#faults.int('diskDelay', 0, 3)
    return new Promise((resolve, reject) => {
      const task: Task = {
        what,
        isDone: false,
        run: () => {
          if (task.isDone) return
          task.isDone = true
          change().then(resolve, reject)
        },
      }
      this.#queue.push(task)
      clock.at(this.#freeAtMs, () => {
        if (task.isDone || !this.#life.isAlive) return
        this.#queue.shift()
        task.run()
      })
    })
  }
}

import { type Life, never } from './crash.ts'
import type { Faults } from './faults.ts'
import type { World } from './world.ts'

interface Task {
  readonly run: () => void
  isDone: boolean
}

/**
 * The time that durable storage takes, between one process of the hub and the objects that stand for its disk. Operations take effect in the order of
 * their calls. When the process dies, a random number of those under way still take effect: that is what a kill does.
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
    if (!this.#life.passes(`before ${what}`)) return never()
    const result = this.#isSlow ? await this.#queued(change) : await change()
    return this.#life.passes(`after ${what}`) ? result : never()
  }

  async read<T>(query: () => Promise<T>): Promise<T> {
    if (!this.#life.isAlive) return never()
    const result = await query()
    return this.#life.isAlive ? result : never()
  }

  died(): void {
    const effective = this.#queue.length === 0 ? 0 : this.#faults.int('diskDelay', 0, this.#queue.length)
    for (const task of this.#queue.splice(0).slice(0, effective)) task.run()
  }

  #queued<T>(change: () => Promise<T>): Promise<T> {
    const { clock } = this.#world
    this.#freeAtMs = Math.max(this.#freeAtMs, clock.monotonicMs()) + this.#faults.int('diskDelay', 0, 3)
    return new Promise((resolve, reject) => {
      const task: Task = {
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

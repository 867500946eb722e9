import { Engine, type Taken } from '../../engine/engine.ts'
import type { EngineLimits } from '../../engine/limits.ts'
import type { Change, OperatorAction } from '../../model/change.ts'
import type { HubModel } from '../../model/entity.ts'
import { type AppId, type CanonicalKey, compareTokens } from '../../model/ids.ts'
import type { Connector } from '../../ports/app.ts'
import type { Clock, Log } from '../../ports/clock.ts'
import type { Journal } from '../../ports/journal.ts'
import type { Store } from '../../ports/store.ts'
import type { AppNode } from './app-node.ts'
import { SimConnector } from './connector.ts'
import { type CrashDice, type CrashPoint, Life } from './crash.ts'
import { Disk } from './disk.ts'
import type { Faults } from './faults.ts'
import type { Gate } from './gate.ts'
import { ObservedJournal, ObservedStore } from './observed.ts'
import type { Rng } from './rng.ts'
import type { Timer } from './virtual-clock.ts'
import type { World } from './world.ts'

/** Seams for planted faults: each wraps a port of every process of the hub. */
export interface Wrappers {
  readonly store?: (store: Store) => Store
  readonly journal?: (journal: Journal) => Journal
  readonly connector?: (connector: Connector) => Connector
  readonly model?: (model: HubModel) => HubModel
}

export interface SimHubOptions {
  readonly world: World
  readonly model: HubModel
  readonly store: Store
  readonly journal: Journal
  readonly nodes: readonly AppNode[]
  readonly dice: CrashDice
  readonly diskFaults: Faults
  readonly random: Rng
  readonly limits: Partial<EngineLimits>
  readonly wrap: Wrappers
}

const RESTART_MAX_MS = 2000
/** Looks at the clock within one event; an honest one takes some dozens. */
const LOOKS_MAX = 20_000

interface Process {
  readonly life: Life
  readonly engine: Engine
  readonly disks: readonly Disk[]
  /** Senders that wait for an answer: their connection breaks when the process dies. */
  readonly waiting: Set<(acknowledged: boolean) => void>
}

/** The hub: the real engine, killed and started again on the same store and journal. */
export class SimHub implements Gate {
  readonly #options: SimHubOptions
  readonly #world: World
  #process: Process | null = null
  #lives = 0

  constructor(options: SimHubOptions) {
    this.#options = options
    this.#world = options.world
  }

  get isUp(): boolean {
    return this.#process !== null
  }

  /** Up, with nothing to do and nothing waited for. */
  get isAtRest(): boolean {
    const engine = this.#process?.engine
    return engine?.isIdle() === true && engine.nextDueMs() === undefined
  }

  start(): void {
    const { random, nodes, wrap, diskFaults } = this.#options
    const life = new Life(++this.#lives, this.#options.dice, (dead, point) => this.#die(dead, point))
    const disks = [new Disk(this.#world, life, diskFaults), new Disk(this.#world, life, diskFaults)] as const
    const journal = new ObservedJournal(this.#options.journal, disks[0])
    const store = new ObservedStore(this.#options.store, disks[1], this.#world)
    const connectors = new Map<AppId, Connector>()
    for (const node of nodes) {
      const connector = new SimConnector(node, this.#world, life)
      connectors.set(connector.app, wrap.connector?.(connector) ?? connector)
    }
    const engine = new Engine({
      model: this.#options.model,
      connectors,
      store: wrap.store?.(store) ?? store,
      journal: wrap.journal?.(journal) ?? journal,
      clock: this.#clockOf(life),
      random: random.fork('engine ' + life.number),
      log: logOf(this.#world, life),
      limits: this.#options.limits,
    })
    this.#process = { life, engine, disks, waiting: new Set() }
    engine.start().catch((error: unknown) => {
      if (life.isAlive) this.#world.fail('start', `the hub did not start: ${String(error)}`)
    })
  }

  /** A person decides something. */
  operate(action: OperatorAction): void {
    const hub = this.#process
    hub?.engine.operate(action).catch((error: unknown) => {
      if (hub.life.isAlive) this.#world.fail('operate', `the hub did not take what a person decided: ${String(error)}`)
    })
  }

  post(app: AppId, changes: readonly Change[], answer: (acknowledged: boolean) => void): void {
    const hub = this.#process
    if (hub === null) {
      answer(false)
      return
    }
    hub.waiting.add(answer)
    const settle = (acknowledged: boolean): void => {
      if (hub.life.isAlive && hub.waiting.delete(answer)) answer(acknowledged)
    }
    hub.engine.accept(app, changes).then(
      (taken) => {
        if (!hub.life.passes('before ack')) return
        this.#noteAcknowledged(app, changes, taken)
        settle(true)
        hub.life.passes('after ack')
      },
      () => settle(false),
    )
  }

  /** Stops in good order, and starts again a little later. */
  restart(afterMs: number): void {
    const hub = this.#process
    if (hub === null) return
    if (this.#world.trace.isOn) this.#world.say('hub', 'is told to stop')
    const { clock } = this.#world
    hub.engine.stop().then(() => {
      if (!hub.life.isAlive) return
      if (this.#world.trace.isOn) this.#world.say('hub', `has stopped; starts again in ${afterMs} ms`)
      this.#bury(hub)
      clock.timer(afterMs, () => this.start())
    })
  }

  /** Dies here and now, and starts again at once. */
  kill(): void {
    const hub = this.#process
    if (hub === null) return
    this.#bury(hub)
    for (const disk of hub.disks) disk.died()
    this.start()
  }

  /** Ends the run: nothing of the hub reacts any more. */
  end(): void {
    if (this.#process !== null) this.#process.life.isAlive = false
    this.#process?.engine.kill()
    this.#process = null
  }

  /** The process's clock. It also notices a process that goes round and round without letting time pass. */
  #clockOf(life: Life): Clock {
    const { clock } = this.#world
    let event = -1
    let looks = 0
    const nowMs = (): number => {
      if (clock.events !== event) looks = 0
      event = clock.events
      if (++looks > LOOKS_MAX && life.isAlive) {
        this.#world.fail('livelock', `the hub has been busy with one event for ${LOOKS_MAX} rounds`)
        this.end()
      }
      return clock.nowMs()
    }
    return {
      nowMs,
      monotonicMs: () => clock.monotonicMs(),
      timer: (delayMs, callback): Timer => clock.timer(delayMs, () => life.isAlive && callback()),
    }
  }

  #noteAcknowledged(app: AppId, changes: readonly Change[], taken: readonly Taken[]): void {
    const atMs = this.#world.clock.monotonicMs()
    for (const [i, change] of changes.entries()) {
      const acknowledged = { app, deliveryId: change.deliveryId ?? '', atMs, isKnown: false }
      this.#world.history.acknowledged.push(acknowledged)
      const recognised = taken[i]
      if (typeof recognised === 'object' && recognised !== null)
        void this.#isDurablyKnown(app, change, recognised.key).then((isKnown) => (acknowledged.isKnown = isKnown))
      this.#world.trace.mix(app + change.deliveryId, atMs)
      if (this.#world.trace.isOn)
        this.#world.say(app, `-> told the hub ${change.kind} of ${change.nativeId} ${change.token ?? ''}`)
    }
  }

  /** What was recognised at the door is not in the journal: then the state that is on the disk must have that version, or a newer one. */
  async #isDurablyKnown(app: AppId, change: Change, key: CanonicalKey): Promise<boolean> {
    const { records } = await this.#options.store.load({ records: [key], natives: [], canonicals: [], matches: [] })
    const lane = records[0]?.lanes[app]
    return (
      lane?.nativeId === change.nativeId &&
      lane.token !== null &&
      change.token !== undefined &&
      compareTokens(change.token, lane.token) <= 0
    )
  }

  #die(life: Life, point: CrashPoint): void {
    const hub = this.#process
    if (hub === null || hub.life !== life) return
    this.#bury(hub)
    for (const disk of hub.disks) disk.died()
    const { random, world } = this.#options
    const downMs = random.fork('restart ' + life.number).int(0, RESTART_MAX_MS)
    world.trace.mix(point, world.clock.monotonicMs())
    if (world.trace.isOn) world.say('hub', `DIES ${point}; starts again in ${downMs} ms`)
    world.clock.timer(downMs, () => this.start())
  }

  /** From now on nothing of this process has any effect, and whoever waited for it sees the connection break. */
  #bury(hub: Process): void {
    hub.life.isAlive = false
    this.#process = null
    hub.engine.kill()
    for (const answer of hub.waiting) answer(false)
  }
}

function logOf(world: World, life: Life): Log {
  return {
    log: (level, message) => {
      if (life.isAlive && world.trace.isOn) world.say('hub', `[${level}] ${message}`)
    },
  }
}

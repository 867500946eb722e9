import type { EngineLimits } from '../../engine/limits.ts'
import type { HubModel } from '../../model/entity.ts'
import { asAppId, asJournalPosition, type EntityName } from '../../model/ids.ts'
import type { Journal } from '../../ports/journal.ts'
import { MemoryJournal } from '../../stores/memory/journal.ts'
import { MemoryStore } from '../../stores/memory/store.ts'
import { AppNode } from './app-node.ts'
import { judge } from './checkers/index.ts'
import { CrashDice, type CrashPoint } from './crash.ts'
import { type FaultCounts, Faults, noFaults } from './faults.ts'
import type { EntitySpec } from './fields.ts'
import { deliveryKey, type History, type HubEnd, type Violation } from './history.ts'
import { SimHub, type Wrappers } from './hub.ts'
import { buildModel } from './model.ts'
import type { OwnWorld } from './own/world.ts'
import { decisionsOf, reunions, separation } from './people.ts'
import { Rng } from './rng.ts'
import { type Cut, drawScenario, NO_CUT, type Scenario } from './scenario.ts'
import { Trace } from './trace.ts'
import { Users } from './users.ts'
import { World } from './world.ts'

export interface RunOptions {
  /** Class letters of docs/protocol.md section 1, or flavours of applications. */
  readonly classes?: readonly string[]
  readonly trace?: boolean
  readonly cut?: Cut
  readonly wrap?: Wrappers
  /** A config's own entities and applications in place of drawn ones. */
  readonly own?: OwnWorld
}

export interface RunResult {
  readonly seed: number
  readonly failed: Violation | null
  readonly userEdits: number
  readonly crashes: number
  readonly hubWrites: number
  readonly conflicts: number
  readonly declaredLosses: number
  readonly needlessConflicts: number
  readonly faults: FaultCounts
  readonly crashPoints: Partial<Record<CrashPoint, number>>
  readonly events: number
  readonly virtualMs: number
  readonly apps: readonly string[]
  /** Equal for two runs of one seed, always. */
  readonly hash: string
  readonly lines: readonly string[]
}

export const DEFAULT_CLASSES = ['A', 'B', 'C'] as const

/** After the users have stopped, the hub must have come to rest within this time, and then stay at rest for as long. */
const REST_MS = 10 * 60_000
const DAY_MS = 86_400_000
/** An ordinary run has some hundred. */
const EVENTS_MAX = 15_000

/** One simulated run, from its seed alone. */
export async function runSeed(seed: number, options: RunOptions = {}): Promise<RunResult> {
  const scenario = drawScenario(seed, options.classes ?? DEFAULT_CLASSES, options.cut ?? NO_CUT, options.own)
  const run = new Run(scenario, options)
  await run.play()
  return run.result()
}

/** Rounds in which people decide what is set aside: what one decision leads to may meet another edit once, not for ever. */
const DECISIONS_MAX = 10
const DECIDING_MS = 1_000

class Run {
  readonly #scenario: Scenario
  readonly #world: World
  readonly #nodes: AppNode[] = []
  readonly #users = new Map<number, Users>()
  readonly #faults: Faults[] = []
  readonly #counts = noFaults()
  readonly #dice: CrashDice
  readonly #hub: SimHub
  readonly #model: HubModel
  readonly #store: MemoryStore
  readonly #journal: MemoryJournal
  /** What people will yet say of pairs: until then nothing has come to rest. */
  #pairsToCome = 0
  #violation: Violation | null = null
  #declaredLosses = 0
  #needlessConflicts = 0

  constructor(scenario: Scenario, options: RunOptions) {
    const random = new Rng(scenario.seed).fork('run')
    this.#scenario = scenario
    this.#world = new World(emptyHistory(scenario), new Trace(options.trace === true))
    this.#store = new MemoryStore({ instanceId: 'sim' })
    this.#journal = new MemoryJournal()
    this.#dice = new CrashDice(scenario.rates.crash, this.#counts, random.fork('crash'))
    const gate = { post: (...args: Parameters<SimHub['post']>) => this.#hub.post(...args) }
    for (const profile of scenario.profiles) {
      const faults = this.#newFaults(random.fork('faults of ' + profile.app))
      const node = new AppNode(profile, this.#world, gate, faults, scenario.spanMs)
      this.#nodes.push(node)
      const users = new Users(node, this.#world)
      this.#users.set(profile.index, users)
      if (scenario.sluggish?.appIndex === profile.index) node.sluggishRecord = scenario.sluggish.record
      // Nobody would tell the hub what they do.
      if (profile.notify === 'none') continue
      const pounces = random.fork('pounces in ' + profile.app)
      node.onHubCreate = (record) => {
        const own = pounces.fork('K' + record.thing)
        if (own.chance(scenario.hasty)) users.pounce(record, own)
      }
    }
    const model = scenario.own?.model ?? buildModel(scenario.specs, scenario.profiles, scenario.choices)
    const wrap = options.wrap ?? {}
    this.#model = wrap.model?.(model) ?? model
    this.#hub = new SimHub({
      world: this.#world,
      model: this.#model,
      store: this.#store,
      journal: this.#journal,
      nodes: this.#nodes,
      dice: this.#dice,
      diskFaults: this.#newFaults(random.fork('faults of the disk')),
      random: random.fork('hub'),
      limits: drawLimits(random.fork('limits')),
      wrap,
    })
  }

  #newFaults(random: Rng): Faults {
    const faults = new Faults(this.#scenario.rates, this.#counts, random)
    this.#faults.push(faults)
    return faults
  }

  async play(): Promise<void> {
    const { clock } = this.#world
    clock.at(this.#scenario.startMs, () => this.#hub.start())
    for (const action of this.#scenario.actions) {
      clock.at(action.atMs, () => this.#users.get(action.appIndex)?.act(action))
    }
    this.#planUpsets()
    this.#planPairs()
    await clock.run(this.#scenario.spanMs, () => this.#isBroken())
    for (const faults of this.#faults) faults.isActive = false
    this.#dice.isActive = false
    const deadlineMs = clock.monotonicMs() + REST_MS
    let reason = await clock.run(deadlineMs, () => this.#isBroken() || this.#isAtRest())
    for (let round = 0; round < DECISIONS_MAX && reason === 'done' && !this.#isBroken() && this.#decide(); round++) {
      // What they decide is journalled first: the hub is at rest until then.
      await clock.run(clock.monotonicMs() + DECIDING_MS, () => this.#isBroken())
      reason = await clock.run(deadlineMs, () => this.#isBroken() || this.#isAtRest())
    }
    if (reason === 'done' && !this.#isBroken()) {
      this.#world.isQuiet = true
      if (this.#world.trace.isOn) this.#world.say('-', 'everything has come to rest')
      await clock.run(clock.monotonicMs() + REST_MS, () => this.#isBroken())
      this.#world.history.end = await readEnd(this.#store, this.#journal)
      if (this.#scenario.restartsAtRest && !this.#isBroken()) await this.#restartAtRest()
    } else if (!this.#isBroken()) {
      this.#world.fail('V2', 'the hub did not come to rest within 10 minutes after users and faults had stopped')
    }
    this.#hub.end()
    this.#judge()
  }

  /** People decide what is set aside; false when nothing is. */
  #decide(): boolean {
    const actions = decisionsOf(this.#store.records(), new Rng(this.#scenario.seed).fork('people'))
    if (this.#scenario.pairedAtMs.length > 0)
      actions.push(...reunions(this.#model, [...this.#store.records()], new Rng(this.#scenario.seed).fork('reunions')))
    for (const action of actions) this.#hub.operate(action)
    return actions.length > 0
  }

  /** People take records apart and put them together again while users go on editing. */
  #planPairs(): void {
    const random = new Rng(this.#scenario.seed).fork('pairing')
    this.#pairsToCome = this.#scenario.pairedAtMs.length
    for (const atMs of this.#scenario.pairedAtMs) {
      this.#world.clock.at(atMs, () => {
        this.#pairsToCome--
        const states = [...this.#store.records()]
        const own = random.fork(String(atMs))
        const again = own.chance(0.5) ? reunions(this.#model, states, own) : []
        const pair = again[0] ?? separation(states, own)
        if (pair !== null) this.#hub.operate(pair)
      })
    }
  }

  /** A kill when nothing is under way: whatever the hub then takes up again, it had not finished, or does not know that it had. */
  async #restartAtRest(): Promise<void> {
    const { clock, history } = this.#world
    this.#hub.kill()
    const deadlineMs = clock.monotonicMs() + REST_MS
    const reason = await clock.run(deadlineMs, () => this.#isBroken() || this.#isAtRest())
    if (this.#isBroken()) return
    if (reason === 'done') history.recovered = await readEnd(this.#store, this.#journal)
    else this.#world.fail('V12', 'the hub was killed at rest, and did not come to rest again within 10 minutes')
  }

  /** What happens to the hub at a time of its own, not at a step of I/O. */
  #planUpsets(): void {
    const { clock } = this.#world
    const upsets = this.#newFaults(new Rng(this.#scenario.seed).fork('upsets'))
    if (upsets.hit('restart')) {
      const afterMs = upsets.int('restart', 0, 500)
      clock.at(upsets.int('restart', 0, this.#scenario.spanMs), () => this.#hub.restart(afterMs))
    }
    if (upsets.hit('clockJump')) {
      const byMs = upsets.int('clockJump', -DAY_MS, DAY_MS)
      clock.at(upsets.int('clockJump', 0, this.#scenario.spanMs), () => clock.jumpWall(byMs))
    }
  }

  #isBroken(): boolean {
    if (this.#world.clock.events > EVENTS_MAX)
      this.#world.fail('busy', `the hub is still busy after ${EVENTS_MAX} events: it turns in a circle`)
    return this.#world.violation !== null
  }

  #isAtRest(): boolean {
    if (this.#world.underWay > 0 || this.#pairsToCome > 0 || !this.#hub.isAtRest) return false
    return this.#nodes.every((node) => !node.hasNews)
  }

  #judge(): void {
    this.#violation = this.#world.violation
    if (this.#violation !== null) return
    const { violation, declaredLosses, needlessConflicts } = judge(this.#world.history)
    this.#needlessConflicts = needlessConflicts
    this.#violation = violation
    this.#declaredLosses = declaredLosses
  }

  /** Canonical keys by what they stand for. */
  #names(): Map<string, string> {
    const names = new Map<string, string>()
    for (const { key } of this.#store.records()) names.set(key, `[K${this.#world.thingOfKey(key) ?? key.slice(-4)}]`)
    return names
  }

  result(): RunResult {
    const { history, trace, clock } = this.#world
    let userEdits = 0
    for (const users of this.#users.values()) userEdits += users.edits
    return {
      seed: this.#scenario.seed,
      failed: this.#violation,
      userEdits,
      crashes: this.#counts.crash,
      hubWrites: history.versions.reduce((count, version) => count + (version.hub === null ? 0 : 1), 0),
      conflicts: history.end?.conflicts.length ?? 0,
      declaredLosses: this.#declaredLosses,
      needlessConflicts: this.#needlessConflicts,
      faults: this.#counts,
      crashPoints: this.#dice.byPoint,
      events: clock.events,
      virtualMs: clock.monotonicMs(),
      apps: this.#scenario.profiles.map((profile) => `${profile.app} (${profile.flavour})`),
      hash: trace.hash,
      lines: trace.isOn ? trace.readable(this.#names()) : [],
    }
  }
}

/** Small limits, so that caches overflow, batches are split and entries are written down early in runs of a few records. */
function drawLimits(random: Rng): Partial<EngineLimits> {
  return {
    batchMax: random.pick([1, 3, 256]),
    tailMax: random.pick([4, 500]),
    recordsCached: random.pick([1, 4, 200]),
    referenceDeadlineMs: 60_000,
    linksCached: random.pick([2, 8, 200]),
    holdInMemoryMs: random.pick([0, 50, 2000]),
  }
}

const referredBy = ({ fields, parts }: EntitySpec): EntityName[] =>
  [...fields, ...parts.flatMap((part) => part.fields)].flatMap(({ refersTo }) => refersTo ?? [])

function emptyHistory({ own, specs, profiles, choices, rates, startMs, sluggish, pairedAtMs }: Scenario): History {
  // What is set aside waits for people, who decide only when all else has come to rest: nothing is prompt then.
  const decides =
    own?.decides === true ||
    pairedAtMs.length > 0 ||
    Object.values(choices.policies).some(({ kind }) => kind === 'manual' || kind === 'merge')
  const calm = !decides && Object.values(rates).every((rate) => rate === 0)
  return {
    apps: new Map(
      profiles.map(
        ({ app, index, capabilities, tokens, objects, isStrict, notify, pollEveryMs, pageSize, readLagMs }) => [
          app,
          {
            app,
            rank: index,
            blind: capabilities.condition === 'C0' && capabilities.feed !== 'F3',
            repairs: capabilities.condition === 'C0' && capabilities.feed === 'F3',
            contentTokens: tokens === 'content',
            lagMs: readLagMs,
            lookMs: notify === 'poll' ? pollEveryMs / pageSize : 0,
            strict: isStrict,
            tellsCreates: capabilities.create !== 'K0' || capabilities.idempotency !== 'none',
            objects,
          },
        ],
      ),
    ),
    deletes: choices.deletes,
    referred: new Set(specs.flatMap(referredBy)),
    refers: new Set(specs.filter((spec) => referredBy(spec).length > 0).map(({ name }) => name)),
    versions: [],
    noopWrites: [],
    reads: [],
    acknowledged: [],
    heads: [],
    logged: [],
    writesAfterQuiet: [],
    // What a blind write has overwritten unread is written again: an effective write more, without a conflict.
    exact:
      calm &&
      profiles.every(
        ({ capabilities: { reply, condition, feed } }) => reply.image && (condition === 'C2' || feed !== 'F3'),
      ),
    doubts: DOUBTFUL.some((name) => rates[name] > 0),
    calm,
    polled: profiles.some(({ notify }) => notify === 'poll'),
    startMs,
    sluggish: profiles.find(({ index }) => index === sluggish?.appIndex)?.app ?? null,
    end: null,
    recovered: null,
  }
}

/** Faults after which a write may have happened or not. */
const DOUBTFUL = ['drop', 'late', 'serverError', 'replyLost', 'partial', 'crash'] as const

/** More than any run can fill. */
const ALL = 1_000_000

async function readEnd(store: MemoryStore, journal: Journal): Promise<HubEnd> {
  const links = await store.links({ max: ALL })
  const journalled = new Set<string>()
  for (const { input } of await journal.read(asJournalPosition(0), ALL)) {
    if (input.type === 'notification')
      journalled.add(deliveryKey(asAppId(input.change.app), input.change.deliveryId ?? ''))
  }
  return {
    states: [...store.records()],
    links,
    conflicts: await store.conflicts({ max: ALL }),
    held: await store.held(asJournalPosition(0), ALL),
    openLanes: await store.openLanes(null, ALL),
    journalled,
  }
}

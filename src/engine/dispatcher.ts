import { retryDelayMs } from '../deliver/backoff.ts'
import { afterPatch, replaceParts, withOverlays, withWholeParts } from '../deliver/overlay.ts'
import { SyncError } from '../errors/index.ts'
import { isLogFed } from '../model/capabilities.ts'
import type { Input, Outcome, ReadImage } from '../model/change.ts'
import type { BindingModel } from '../model/entity.ts'
import {
  type AppId,
  type CanonicalKey,
  type CorrelationId,
  correlationIdOf,
  type JournalPosition,
  laneKey,
  type NativeId,
  type ObjectId,
} from '../model/ids.ts'
import type { Intent, Lane, RecordState } from '../model/record.ts'
import type { Connector, WriteOp } from '../ports/app.ts'
import type { Clock, Log } from '../ports/clock.ts'
import type { EngineLimits } from './limits.ts'

export interface DispatcherOptions {
  readonly connectors: ReadonlyMap<AppId, Connector>
  readonly clock: Clock
  readonly log: Log
  readonly limits: EngineLimits
  /** Hands an outcome or a read image back to the engine, which journals it before anything is decided on it. */
  readonly take: (input: Input, lane: string) => void
  /** An application answers again, or a slot is free: lanes that are behind can be planned. */
  readonly slotsFree: (app: AppId) => void
  readonly lastPosition: () => JournalPosition
  /** Resolves once every feed of the application has been read to its end by a read that began after this call, and what it gave is in the journal. */
  readonly passFeeds: (app: AppId) => Promise<void>
  /** Most write calls under way at once, and most writes in one call, per application. */
  readonly slots: ReadonlyMap<AppId, { readonly calls: number; readonly batchMax: number }>
}

interface AppState {
  readonly connector: Connector
  /** Write calls under way, and writes reserved for the next `flush`. */
  calls: number
  reserved: number
  failures: number
  /** open: it answers. paused: it could not be reached, nothing is sent. probing: one write at a time finds out whether it answers again. */
  state: 'open' | 'paused' | 'probing'
}

/**
 * The only place that talks to applications: sends committed writes and wanted reads, within the limits of each application, and hands back what became of
 * them. It decides nothing. It never has two requests for one lane under way.
 */
export class Dispatcher {
  readonly #options: DispatcherOptions
  readonly #apps = new Map<AppId, AppState>()
  readonly #inFlight = new Set<string>()
  readonly #abort = new AbortController()
  #writes: { app: AppState; key: CanonicalKey; op: WriteOp; lane: string }[] = []
  #reads: { app: AppState; object: ObjectId; nativeId: NativeId; correlation: Searched | null; lane: string }[] = []
  readonly #held = new Set<AppId>()
  /** Askings for a log to be read past, which are not answered yet. */
  readonly #passes = new Map<string, symbol>()
  #stopped = false
  #draining = false

  constructor(options: DispatcherOptions) {
    this.#options = options
    for (const connector of options.connectors.values()) {
      this.#apps.set(connector.app, { connector, calls: 0, reserved: 0, failures: 0, state: 'open' })
    }
  }

  get inFlight(): number {
    return this.#inFlight.size
  }

  isInFlight(lane: string): boolean {
    return this.#inFlight.has(lane)
  }

  /** Reserves a write to an application, if one may start now. Reservations end with `flush`. */
  takeSlot(app: AppId): boolean {
    const state = this.#apps.get(app)
    if (state === undefined || !this.hasSlot(app)) return false
    state.reserved++
    return true
  }

  hasSlot(app: AppId): boolean {
    return this.freeSlots(app) > 0
  }

  /** How many writes to an application may start now; one at a time while it could not be reached. */
  freeSlots(app: AppId): number {
    const state = this.#apps.get(app)
    if (state === undefined || this.#stopped || this.#draining || this.#held.has(app)) return 0
    const limits = this.#options.slots.get(app) ?? { calls: 1, batchMax: 1 }
    if (state.state !== 'open') return state.state === 'probing' && state.calls + state.reserved === 0 ? 1 : 0
    return Math.max(0, (limits.calls - state.calls) * limits.batchMax - state.reserved)
  }

  /** Queues the open write of a lane; it leaves with `flush`. The intent must be committed. */
  write(record: RecordState, lane: Lane, intent: Intent, binding: BindingModel): void {
    const app = this.#apps.get(lane.app)
    const name = laneKey(record.key, lane.app)
    if (app === undefined || this.#stopped || this.#draining || this.#inFlight.has(name)) return
    this.#inFlight.add(name)
    this.#writes.push({ app, key: record.key, op: writeOp(record, lane, intent, binding), lane: name })
  }

  /** Queues a read of a linked or unlinked record; `name` tells apart what is under way. Returns false when that read is under way already. */
  read(name: string, app: AppId, object: ObjectId, nativeId: NativeId, correlation: Searched | null): boolean {
    const state = this.#apps.get(app)
    if (state === undefined || this.#stopped || this.#draining || this.#inFlight.has(name)) return false
    this.#inFlight.add(name)
    this.#reads.push({ app: state, object, nativeId, correlation, lane: name })
    return true
  }

  /** Sends the writes queued so far, before the turn is over: what is reserved for others of the turn stays reserved. */
  flushEarly(): void {
    const writes = this.#writes
    this.#writes = []
    for (const [app, group] of groupBy(writes, (write) => write.app)) {
      app.reserved = Math.max(0, app.reserved - group.length)
      this.#sendGroup(app, group)
    }
  }

  #sendGroup(
    app: AppState,
    group: readonly { readonly key: CanonicalKey; readonly op: WriteOp; readonly lane: string }[],
  ): void {
    const { batchMax } = app.connector.capabilities(group[0]?.op.object as ObjectId)
    for (let i = 0; i < group.length; i += batchMax) void this.#sendWrites(app, group.slice(i, i + batchMax))
  }

  /** Asks for the application's log to be read past now, on behalf of a lane; `name` tells apart what is under way. */
  pass(name: string, lane: Lane, key: CanonicalKey): void {
    const { app, object } = lane
    if (this.#stopped || this.#inFlight.has(name)) return
    this.#inFlight.add(name)
    const begunAfter = this.#options.lastPosition()
    const nativeId = lane.nativeId ?? ('' as NativeId)
    const asked = Symbol(name)
    this.#passes.set(name, asked)
    this.#options.passFeeds(app).then(() => {
      if (this.#stopped || this.#passes.get(name) !== asked) return
      this.#passes.delete(name)
      this.#options.take({ type: 'read', read: { app, object, nativeId, result: 'passed' }, begunAfter, key }, name)
    })
  }

  /** The log has shown meanwhile what it was to be asked for: nobody waits for the answer any more. */
  dropPass(name: string): void {
    if (this.#passes.size > 0 && this.#passes.delete(name)) this.#inFlight.delete(name)
  }

  /** Sends all that was queued, in calls as large as each application takes. */
  flush(): void {
    for (const app of this.#apps.values()) app.reserved = 0
    if (this.#writes.length > 0) {
      const writes = this.#writes
      this.#writes = []
      for (const [app, group] of groupBy(writes, (write) => write.app)) this.#sendGroup(app, group)
    }
    if (this.#reads.length > 0) {
      const reads = this.#reads
      this.#reads = []
      for (const [app, group] of groupBy(reads, (read) => read.app)) {
        const { batchMax } = app.connector.capabilities(group[0]?.object as ObjectId)
        for (let i = 0; i < group.length; i += batchMax) void this.#sendReads(app, group.slice(i, i + batchMax))
      }
    }
  }

  async #sendWrites(app: AppState, group: readonly { key: CanonicalKey; op: WriteOp; lane: string }[]): Promise<void> {
    app.calls++
    let outcomes: readonly Outcome[]
    try {
      outcomes = await app.connector.target.write(
        group.map((write) => write.op),
        this.#options.limits.requestMs,
        this.#abort.signal,
      )
    } catch (error) {
      const reason = SyncError.from(error)
      outcomes = group.map(({ op }) => ({ op: op.op, result: 'unknown', code: reason.code, message: reason.message }))
    }
    app.calls--
    if (this.#stopped) return
    this.#noteHealth(app, outcomes)
    for (let i = 0; i < group.length; i++) {
      const { key, op, lane } = group[i] as (typeof group)[number]
      const answered = outcomes[i]
      const outcome: Outcome =
        answered?.op === op.op
          ? answered
          : {
              op: op.op,
              result: 'unknown',
              code: 'target.unknown',
              message: 'the connector gave no outcome for this write',
            }
      this.#options.take({ type: 'outcome', key, app: app.connector.app, outcome }, lane)
    }
    this.#options.slotsFree(app.connector.app)
  }

  /** An application that cannot be reached is left alone for growing pauses, one write at a time probing it. */
  #noteHealth(app: AppState, outcomes: readonly Outcome[]): void {
    const unreachable = outcomes.some(
      (outcome) => outcome.result === 'refused' && outcome.code === 'target.unreachable',
    )
    if (!unreachable) {
      app.failures = 0
      app.state = 'open'
      return
    }
    const { clock, limits, log } = this.#options
    const pauseMs = Math.min(limits.appPauseMaxMs, retryDelayMs(app.failures, 0.5, undefined))
    const wasPaused = app.state === 'paused'
    app.state = 'paused'
    if (wasPaused) return
    app.failures++
    if (app.failures === 1)
      log.log('warn', `${app.connector.app} cannot be reached; its records wait and nothing is lost`, {
        app: app.connector.app,
      })
    clock.timer(pauseMs, () => {
      if (this.#stopped || app.state === 'open') return
      app.state = 'probing'
      this.#options.slotsFree(app.connector.app)
    })
  }

  async #sendReads(
    app: AppState,
    group: readonly { object: ObjectId; nativeId: NativeId; correlation: Searched | null; lane: string }[],
  ): Promise<void> {
    const begunAfter = this.#options.lastPosition()
    const { source } = app.connector
    const plain = group.filter((read) => read.correlation === null)
    const searched = group.filter((read) => read.correlation !== null)
    const results = await Promise.all([
      plain.length === 0 ? [] : this.#readOrFail(app, plain, () => source.readRecords(plain, this.#abort.signal)),
      searched.length === 0
        ? []
        : this.#readOrFail(app, searched, () =>
            source.findByCorrelation(
              searched.map((read) => ({ object: read.object, correlationId: (read.correlation as Searched).id })),
              this.#abort.signal,
            ),
          ),
    ])
    if (this.#stopped) return
    const found = results.flat()
    for (const [i, asked] of [...plain, ...searched].entries()) {
      const read = found[i] ?? failed(app.connector.app, asked, 'the connector gave no result for this read')
      this.#options.take(
        { type: 'read', read, begunAfter, ...(asked.correlation === null ? {} : { key: asked.correlation.key }) },
        asked.lane,
      )
    }
  }

  async #readOrFail(
    app: AppState,
    asked: readonly { object: ObjectId; nativeId: NativeId }[],
    read: () => Promise<readonly ReadImage[]>,
  ): Promise<readonly ReadImage[]> {
    try {
      return await read()
    } catch (error) {
      const reason = SyncError.from(error)
      return asked.map((one) => failed(app.connector.app, one, reason.message))
    }
  }

  /** What came back from a lane has been decided on; until then nothing else is sent on it. */
  done(lane: string): void {
    this.#inFlight.delete(lane)
  }

  /** Writes nothing to an application until `unhold`; reads go on. */
  hold(app: AppId): void {
    this.#held.add(app)
  }

  unhold(app: AppId): void {
    this.#held.delete(app)
  }

  /** Lets what is under way finish and starts nothing new. */
  drain(): void {
    this.#draining = true
  }

  /** Forgets everything that is under way; answers that still come are ignored. */
  kill(): void {
    this.#stopped = true
    this.#abort.abort('the hub has stopped')
    this.#inFlight.clear()
    this.#passes.clear()
  }
}

const failed = (app: AppId, asked: { object: ObjectId; nativeId: NativeId }, message: string): ReadImage => ({
  app,
  object: asked.object,
  nativeId: asked.nativeId,
  result: 'failed',
  code: 'source.read-failed',
  message,
})

/** What our create in doubt has made is searched for by its correlation id. */
interface Searched {
  readonly key: CanonicalKey
  readonly id: CorrelationId
}

function groupBy<T, K>(items: readonly T[], keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>()
  for (const item of items) {
    const key = keyOf(item)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [item])
    else group.push(item)
  }
  return groups
}

/** The operation that a committed intent stands for. Arrays of parts go whole, so a touched part carries all its elements. */
export function writeOp(record: RecordState, lane: Lane, intent: Intent, binding: BindingModel): WriteOp {
  // A log-fed lane goes on hearing of its record while a write is open; what was decided on is what is sent, touched parts whole.
  const isDecided = isLogFed(binding.capabilities)
  const before = intent.kind === 'create' ? {} : withOverlays(lane, binding).image
  const after = (isDecided ? replaceParts : afterPatch)(binding, intent.kind === 'delete' ? {} : before, intent.native)
  const common = {
    op: intent.op,
    object: lane.object,
    kind: intent.kind,
    nativeId: lane.nativeId,
    baseToken: intent.baseToken,
    correlationId: correlationIdOf(record.key, lane.incarnation),
    resend: intent.tries > 0 || intent.state === 'unknown',
    ...(intent.lineage === undefined ? {} : { lineage: intent.lineage }),
  }
  if (intent.kind === 'delete')
    return { ...common, patch: {}, full: {}, baseValues: binding.unflatten(intent.baseImage) }
  const touched = isDecided ? intent.native : withWholeParts(binding, intent.native, after)
  return {
    ...common,
    patch: binding.unflatten(touched),
    full: binding.unflatten(after),
    baseValues: binding.unflatten(intent.baseImage),
  }
}

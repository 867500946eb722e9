import type { HubDefinition } from '../config/define-hub.ts'
import { Engine } from '../engine/engine.ts'
import { SyncError } from '../errors/index.ts'
import type { Flows } from '../flow/flows.ts'
import { systemClock, systemRandom } from '../lib/system-clock.ts'
import { type AppId, asJournalPosition } from '../model/ids.ts'
import type { Accepted, Connector, RawReply, RawRequest } from '../ports/app.ts'
import type { Clock, Log } from '../ports/clock.ts'
import type { Journal } from '../ports/journal.ts'
import type { FlowExecutor } from '../ports/listen.ts'
import type { StrayMessage } from '../ports/messages.ts'
import { SqliteMessageLog } from '../stores/sqlite/index.ts'
import { createAdmin } from './admin.ts'
import { replyAfterDelivery } from './after-delivery.ts'
import { BackfillJob } from './backfilling.ts'
import { connectorsOf } from './connectors.ts'
import { createFlows, type FlowSetup, followVerdicts, messagesPath } from './flow-setup.ts'
import { removeHubFile, writeHubFile } from './hub-file.ts'
import { createListener, type Listener } from './listener.ts'
import { withoutSecrets } from './log.ts'
import { recordNotification, recordRefusal, recordStray } from './message-notes.ts'
import type { MessageRecorder, RecordedDoor } from './message-recorder.ts'
import { limitedApps, type ObjectPromises, promisesOf } from './promises.ts'
import { type Environment, resolveApp, resolveListen, resolveTls, type TlsTexts } from './secrets.ts'
import { openStorage, type Storage } from './storage.ts'
import { UndoJob } from './undoing.ts'
import { urlOf } from './url.ts'

export interface HubOptions {
  readonly definition: HubDefinition
  /** The folder of the state file and the journal; made when it is missing. One hub at a time. */
  readonly dataDir: string
  readonly env: Environment
  readonly log: Log
  readonly clock?: Clock
  /** 0 takes a free one. */
  readonly port?: number
  readonly host?: string
}

/** What the parts of the server share. */
export interface HubContext {
  readonly definition: HubDefinition
  readonly promises: readonly ObjectPromises[]
  readonly engine: Engine
  readonly connectors: ReadonlyMap<AppId, Connector>
  readonly flows: Flows
  /** The flows' door, with a record of what goes through it. */
  readonly door: RecordedDoor
  readonly recorder: MessageRecorder
  /** Agents that run flows, by name; they come and go. */
  readonly executors: ReadonlyMap<string, FlowExecutor>
  readonly clock: Clock
  readonly log: Log
  readonly adminToken: string | undefined
  readonly startedAtMs: number
  readonly listening: () => { readonly host: string; readonly port: number }
  /** True from the end of recovery until the hub is told to stop. */
  readonly isReady: () => boolean
  /** Aborted when the hub stops, so that streams which would stay open for ever end. */
  readonly stopping: AbortSignal
  readonly backfill: BackfillJob
  readonly undo: UndoJob
}

export interface RunningHub extends AsyncDisposable {
  readonly url: string
  readonly host: string
  readonly port: number
  readonly engine: Engine
  readonly flows: Flows
  /** Takes nothing more in, lets what is under way finish, writes everything down, closes. Idempotent; within 30 s. */
  stop(): Promise<void>
  /** Resolves when the engine had to give up by itself, for example because a newer process has the store. */
  readonly failed: Promise<SyncError>
}

export const PORT_DEFAULT = 4800
export const HOST_DEFAULT = '127.0.0.1'

/** A webhook's sender has this long for its headers and its whole request: far above honest ones, short for those who hold connections. */
const HEADERS_TIMEOUT_MS = 10_000
const REQUEST_TIMEOUT_MS = 30_000
/** For writes under way when the hub stops. With the listener's 10 s and the runs' 5 s it leaves time to close within 30 s. */
const DRAIN_MS = 12_000
/** For runs of flows under way then. */
const FLOWS_DRAIN_MS = 5_000
/** How soon an engine that stopped by itself is noticed. */
const WATCH_MS = 500
/** Journal entries are kept this long after their use: providers resend for up to five days, and are recognised by their delivery ids. */
const JOURNAL_KEEP_MS = 7 * 86_400_000
const JOURNAL_DROP_EVERY_MS = 3_600_000

/** Starts everything that a hub is, in one process. Throws SyncError; nothing is left open then. */
export async function startHub(options: HubOptions): Promise<RunningHub> {
  const { definition, dataDir, env, clock = systemClock, host = HOST_DEFAULT, port = PORT_DEFAULT } = options
  const apps = [...definition.apps.values()].map((app) => resolveApp(app, env))
  const adminToken = env.LATCHWORK_ADMIN_TOKEN || undefined
  const tls = resolveTls(definition.listener, env)
  const log = withoutSecrets(options.log, [
    ...apps.flatMap((app) => app.secrets),
    ...definition.flows.flatMap((flow) => flow.listens.flatMap((listen) => resolveListen(listen, env).secrets)),
    ...(adminToken === undefined ? [] : [adminToken]),
    ...(tls === null ? [] : [tls.key]),
  ])
  const storage = await openStorage(definition.store, dataDir, env)
  const stray = (message: StrayMessage): void => hub.recordStray(message)
  const connectors = connectorsOf(apps, { clock, log, stray })
  const hub = new Hub({ ...options, clock, host, port, tls }, log, adminToken, connectors, storage)
  try {
    await hub.start()
  } catch (error) {
    await hub.stop()
    throw error
  }
  log.log('info', `hub ready on ${hub.url}`, { dataDir, pid: process.pid })
  return hub
}

class Hub implements RunningHub {
  readonly #options: Required<HubOptions> & { readonly tls: TlsTexts | null }
  readonly #log: Log
  readonly #adminToken: string | undefined
  readonly #connectors: ReadonlyMap<AppId, Connector>
  readonly #storage: Storage
  readonly #aborted = new AbortController()
  readonly #timers = new Set<{ cancel(): void }>()
  readonly #failed = Promise.withResolvers<SyncError>()
  #engine: Engine | null = null
  readonly #executors = new Map<string, FlowExecutor>()
  #flows: FlowSetup | null = null
  #listener: Listener | null = null
  #address: { readonly host: string; readonly port: number } = { host: '', port: 0 }
  #isReady = false
  #hasFile = false
  #stopped: Promise<void> | null = null

  constructor(
    options: Required<HubOptions> & { readonly tls: TlsTexts | null },
    log: Log,
    adminToken: string | undefined,
    connectors: ReadonlyMap<AppId, Connector>,
    storage: Storage,
  ) {
    this.#options = options
    this.#log = log
    this.#adminToken = adminToken
    this.#connectors = connectors
    this.#storage = storage
  }

  get url(): string {
    return urlOf(this.#address, this.#options.tls !== null)
  }

  get host(): string {
    return this.#address.host
  }

  get port(): number {
    return this.#address.port
  }

  get engine(): Engine {
    if (this.#engine === null) throw new SyncError('internal.bug', 'the engine was asked for before the hub started')
    return this.#engine
  }

  get #journal(): Journal {
    return this.#storage.journal
  }

  get flows(): Flows {
    if (this.#flows === null) throw new SyncError('internal.bug', 'the flows were asked for before the hub started')
    return this.#flows.flows
  }

  get failed(): Promise<SyncError> {
    return this.#failed.promise
  }

  /** Requests are answered from before recovery on. */
  async start(): Promise<void> {
    const { definition, dataDir, clock } = this.#options
    const { backlogMax, referenceDeadlineMs } = definition.limits
    this.#engine = new Engine({
      model: definition.model,
      connectors: this.#connectors,
      store: this.#storage.store,
      journal: this.#storage.journal,
      clock,
      random: systemRandom,
      log: this.#log,
      limits: { backlogMax, referenceDeadlineMs },
    })
    this.#flows = createFlows({
      definition,
      engine: this.#engine,
      connectors: this.#connectors,
      journal: this.#journal,
      runs: this.#storage.runs,
      messages: new SqliteMessageLog({ path: messagesPath(dataDir) }),
      env: this.#options.env,
      clock,
      log: this.#log,
    })
    const promises = promisesOf(definition)
    const startedAtMs = clock.nowMs()
    const backfill = new BackfillJob({
      engine: this.#engine,
      connectors: this.#connectors,
      stopping: this.#aborted.signal,
      log: this.#log,
    })
    const undo = new UndoJob({ engine: this.#engine, stopping: this.#aborted.signal, log: this.#log })
    await this.#listen(this.#engine, this.#flows, promises, startedAtMs, { backfill, undo })
    await backfill.takeUp()
    // Before the engine reads the first message.
    await this.#flows.recorder.open()
    await this.#engine.start()
    await undo.takeUp()
    await this.#flows.flows.start()
    followVerdicts(this.#engine, this.#flows)
    for (const listener of this.#flows.listeners) await listener.start(this.#flows.door)
    this.#isReady = true
    this.#hasFile = true
    const { tls } = this.#options
    const certificate = tls === null ? {} : { certificate: tls.cert }
    writeHubFile(dataDir, { url: this.url, pid: process.pid, startedAtMs, ...certificate })
    this.#sayLimits(promises)
    this.#every(WATCH_MS, () => this.#watch())
    this.#every(JOURNAL_DROP_EVERY_MS, () => this.#dropOldEntries())
  }

  async #listen(
    engine: Engine,
    { flows, listeners, door, recorder }: FlowSetup,
    promises: readonly ObjectPromises[],
    startedAtMs: number,
    jobs: Pick<HubContext, 'backfill' | 'undo'>,
  ): Promise<void> {
    const { definition, clock, host, port } = this.#options
    const admin = createAdmin({
      definition,
      promises,
      engine,
      connectors: this.#connectors,
      flows,
      door,
      recorder,
      executors: this.#executors,
      clock,
      log: this.#log,
      adminToken: this.#adminToken,
      startedAtMs,
      listening: () => this.#address,
      isReady: () => this.#isReady,
      stopping: this.#aborted.signal,
      ...jobs,
    })
    this.#listener = createListener({
      sources: [...this.#connectors.values()].map((connector) => connector.source),
      doors: listeners.flatMap((listener) => listener.routes),
      flows: door,
      onRefused: (error, request, owner) => recordRefusal(recorder, clock, error, request, owner),
      admin: (request) => admin.fetch(request),
      onAccept: (app, accepted, request) => this.#accept(engine, app, accepted, request),
      limits: {
        bodyBytesMax: definition.limits.bodyBytesMax,
        headersTimeoutMs: HEADERS_TIMEOUT_MS,
        requestTimeoutMs: REQUEST_TIMEOUT_MS,
      },
      tls: this.#options.tls,
      log: this.#log,
      clock,
    })
    try {
      this.#address = await this.#listener.listen(port, host)
    } catch (error) {
      throw listenError(error, host, port)
    }
  }

  recordStray(message: StrayMessage): void {
    if (this.#flows !== null) recordStray(this.#flows.recorder, this.#options.clock, message)
  }

  async #accept(engine: Engine, app: AppId, accepted: Accepted, request: RawRequest): Promise<RawReply> {
    const { changes, reply } = accepted
    if (!this.#isReady && !this.#aborted.signal.aborted) {
      throw new SyncError('intake.overloaded', 'the hub is starting; send this again in a moment', {
        retryAfterMs: 1_000,
      })
    }
    const atMs = this.#options.clock.nowMs()
    const seqs = changes.length > 0 ? await engine.accept(app, changes) : []
    recordNotification(this.#flows?.recorder, atMs, app, changes, seqs, request)
    if (accepted.waits === undefined || changes.length === 0) return reply
    return replyAfterDelivery(engine, this.#options.clock, this.#aborted.signal, accepted, seqs)
  }

  /** Said once at every start: what is not promised is never a surprise. */
  #sayLimits(promises: readonly ObjectPromises[]): void {
    for (const { app, class: letter, objects, notPromised } of limitedApps(promises)) {
      const what = notPromised.map(({ promise, why }) => `${promise}: ${why}`).join('; ')
      this.#log.log('warn', `${app} is class ${letter}; not promised for ${objects.join(', ')}: ${what}`, { app })
    }
  }

  /** Calls again and again until the hub stops. */
  #every(intervalMs: number, run: () => void): void {
    const timer = this.#options.clock.timer(intervalMs, () => {
      this.#timers.delete(timer)
      run()
      if (!this.#aborted.signal.aborted) this.#every(intervalMs, run)
    })
    this.#timers.add(timer)
  }

  #watch(): void {
    const flowsFailed = this.#flows?.flows.failed ?? null
    if ((!this.engine.killed && flowsFailed === null) || !this.#isReady) return
    this.#isReady = false
    if (flowsFailed !== null) {
      this.#failed.resolve(flowsFailed)
      return
    }
    this.#failed.resolve(
      new SyncError(
        'store.fenced',
        'the engine stopped by itself; the log above says why. Stop the other hub on this data folder, then start again',
      ),
    )
  }

  #dropOldEntries(): void {
    const beforeMs = this.#options.clock.nowMs() - JOURNAL_KEEP_MS
    this.#flows?.recorder.prune().catch(() => undefined)
    const through = asJournalPosition(Math.min(this.engine.cursor, this.flows.settled()))
    this.flows
      .prune()
      .catch((error: unknown) =>
        this.#log.log('warn', `old runs could not be removed: ${SyncError.from(error).message}`),
      )
    this.#journal.drop(through, beforeMs).then(
      (dropped) => dropped > 0 && this.#log.log('info', `dropped ${dropped} journal entries of more than 7 days ago`),
      (error: unknown) =>
        this.#log.log('warn', `old journal files could not be dropped: ${SyncError.from(error).message}`),
    )
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop(): Promise<void> {
    this.#isReady = false
    this.#aborted.abort()
    for (const timer of this.#timers) timer.cancel()
    for (const listener of this.#flows?.listeners ?? []) await listener.close()
    await this.#listener?.close()
    await this.#flows?.flows.stop(FLOWS_DRAIN_MS)
    await this.#flows?.recorder.close()
    await this.#engine?.stop(DRAIN_MS)
    this.#engine?.kill()
    for (const { source, target } of this.#connectors.values()) {
      await source.close()
      await target.close()
    }
    await this.#journal.close()
    await this.#storage.store.close()
    // Only where it is ours: a start that another hub's lock refused ends here too.
    if (this.#hasFile) removeHubFile(this.#options.dataDir, process.pid)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }
}

function listenError(error: unknown, host: string, port: number): SyncError {
  const { code, message } = error as NodeJS.ErrnoException
  const why = code === 'EADDRINUSE' ? 'another program listens there' : message
  return new SyncError(
    'hub.listen-failed',
    `cannot listen on ${host}:${port}: ${why}. Give another --port or --host.`,
    { place: { host, port }, cause: error },
  )
}

import { SyncError } from '../../errors/index.ts'
import type { AppId } from '../../model/ids.ts'
import type { Clock } from '../../ports/clock.ts'
import { type CallLimits, type SqlDatabase, SqlFailure } from '../tables/sql.ts'
import type { ChangeTableDdl } from './ddl.ts'
import type { LogPosition } from './position.ts'
import { type ReadyChangeTable, readMeta, type SetupInput, setUp, stillStands, writeMeta } from './setup.ts'
import { forget } from './statements.ts'

/** How often it is looked whether the triggers still stand, where the database does not tell that its schema changed. */
const CHECK_EVERY_MS = 30_000
/** A call waits this long for the feed's first read, which comes at once after every start. */
const COMPARE_WAIT_MS = 2_000
const COMPARE_LOOK_MS = 20
/** What a person has to put right is looked at again so often. */
const LOOK_AGAIN_MS = 5_000
/** A write of ours is remembered this long: an outcome that is in doubt is resolved within minutes, and this outlives a long weekend of a hub that is down. */
const OPS_KEEP_MS = 30 * 86_400_000

export interface ChangeTableOptions extends SetupInput {
  readonly database: SqlDatabase
  readonly ddl: ChangeTableDdl
  readonly clock: Clock
}

/** The change table of one application, made when it is first needed, and made again when it was taken away. */
export class ChangeTable {
  readonly #options: ChangeTableOptions
  #ready: Promise<ReadyChangeTable> | null = null
  #checkedAtMs = 0
  #current: ReadyChangeTable | null = null
  /** The database was compared with what was read from it so far, and is the same, or further on. */
  #isCompared = false
  #isListed = false
  /** Where it was read to when it was last compared; null before the first time. */
  #known: { readonly position: LogPosition | undefined } | null = null
  /** Why nothing is read or written until a person has decided. */
  #frozen: SyncError | null = null

  constructor(options: ChangeTableOptions) {
    this.#options = options
  }

  /** What stands now; only inside a call that has waited for `ready`. */
  get current(): ReadyChangeTable {
    if (this.#current === null) throw new SyncError('internal.bug', `${this.#app}: the change table is not ready`)
    return this.#current
  }

  get #app(): AppId {
    return this.#options.app
  }

  /** Rejects while the database is not as it must be; the next call tries again. */
  async ready(limits: CallLimits): Promise<ReadyChangeTable> {
    const { clock } = this.#options
    if (this.#ready !== null && clock.monotonicMs() - this.#checkedAtMs >= CHECK_EVERY_MS) await this.#check(limits)
    this.#ready ??= this.#setUp(limits)
    try {
      return await this.#ready
    } catch (error) {
      this.#ready = null
      throw error
    }
  }

  /**
   * As `ready`, once the feed has compared the database with what was read from it before: until then nobody knows whether it is the right one, and a record that it lacks might be
   * taken for deleted.
   */
  async usable(limits: CallLimits): Promise<ReadyChangeTable> {
    const ready = await this.ready(limits)
    const { clock } = this.#options
    const untilMs = Math.min(limits.untilMs, clock.monotonicMs() + COMPARE_WAIT_MS)
    for (;;) {
      if (this.#frozen !== null) throw this.#frozen
      if (this.#isCompared) return ready
      if (this.#isListed && this.#known === null) return ready
      if (this.#known !== null) {
        await this.compare(ready, this.#known.position, limits)
        return ready
      }
      if (clock.monotonicMs() >= untilMs || limits.signal.aborted)
        throw new SqlFailure(
          'unavailable',
          'its feed has not been read yet, so it is not known to be the right database',
        )
      await new Promise<void>((resolve) => clock.timer(COMPARE_LOOK_MS, resolve))
    }
  }

  /** For a list of all records: a process that only compares applications never reads the feed, and takes the database for what it is. */
  async listable(limits: CallLimits): Promise<ReadyChangeTable> {
    if (this.#frozen !== null) throw this.#frozen
    this.#isListed = true
    return this.ready(limits)
  }

  /** The database may be another one from now on (its file was replaced, its server restarted). */
  reset(): void {
    this.#ready = null
    this.#isCompared = false
  }

  async #setUp(limits: CallLimits): Promise<ReadyChangeTable> {
    const ready = await this.#options.database.write((session) => setUp(session, this.#options), limits)
    this.#checkedAtMs = this.#options.clock.monotonicMs()
    this.#current = ready
    return ready
  }

  async #check(limits: CallLimits): Promise<void> {
    const ready = await this.#ready
    this.#checkedAtMs = this.#options.clock.monotonicMs()
    if (ready === null) return
    const stands = await this.#options.database.read((session) => stillStands(session, this.#options, ready), limits)
    if (!stands) this.#ready = null
  }

  /**
   * Whether the database is the one that a position belongs to, or a later state of it. One that was put back from a backup has given out smaller numbers than those that were read already (hazard
   * 33): its changes would be taken for old ones, its gaps for deletions. Throws `source.server-changed`, and freezes the application until a person has decided.
   */
  async compare(ready: ReadyChangeTable, known: LogPosition | undefined, limits: CallLimits): Promise<void> {
    this.#known = { position: known }
    if (this.#isCompared) return
    this.#frozen = await this.#difference(ready, known, limits)
    if (this.#frozen !== null) throw this.#frozen
    this.#isCompared = true
  }

  async #difference(
    ready: ReadyChangeTable,
    known: LogPosition | undefined,
    limits: CallLimits,
  ): Promise<SyncError | null> {
    if (known === undefined) return null
    const [now] = ready.table.split('.')
    const [before] = known.table.split('.')
    if (before !== now)
      return changed(
        this.#app,
        `this is another database than the one that was read so far (its change table is ${now}, it was ${before})`,
      )
    const { newest } = known
    if (newest === null) return null
    const { database } = this.#options
    const { dialect } = database
    const stands = await database.read(async (session) => {
      const changes = dialect.quote(ready.names.changes)
      const { rows } = await session.run(`select at_ms from ${changes} where seq = ?`, [newest.seq])
      if (rows.length > 0) return Number(rows[0]?.[0]) === newest.atMs
      return BigInt((await readMeta(session, dialect, ready.names)).get('high') ?? '0') >= newest.seq
    }, limits)
    if (stands) return null
    return changed(
      this.#app,
      `the database was put back to an earlier state: change ${newest.seq} was read from it, and it does not know that change any more`,
    )
  }

  /** Takes out what a durable position says was delivered, and writes of ours that nobody will ask for any more. */
  async forget(position: LogPosition, limits: CallLimits): Promise<void> {
    const ready = await this.ready(limits)
    if (position.table !== ready.table) return
    const { database, ddl, clock } = this.#options
    const { dialect } = database
    await database.write(async (session) => {
      await forget(session, dialect, ddl, ready.names, position.delivered)
      const last = position.delivered.at(-1)?.to ?? 0n
      const high = BigInt((await readMeta(session, dialect, ready.names)).get('high') ?? '0')
      if (last > high) await writeMeta(session, dialect, ready.names, 'high', String(last))
      await session.run(`delete from ${dialect.quote(ready.names.ops)} where at_ms < ?`, [clock.nowMs() - OPS_KEEP_MS])
    }, limits)
  }
}

const changed = (app: AppId, what: string): SyncError =>
  new SyncError(
    'source.server-changed',
    `${app}: ${what}. Nothing is read or written there until you decide: put the right one back, or start with a new data folder to take this one as it is.`,
    { place: { app }, retryAfterMs: LOOK_AGAIN_MS },
  )

import { SyncError } from '../../errors/index.ts'
import type { Log } from '../../ports/clock.ts'
import type { Catalog } from './catalog.ts'
import { quoteName, quoteText } from './driver.ts'
import { failureOf } from './errors.ts'
import type { PostgresAppOptions } from './options.ts'
import { lsnText, type PgPosition, parseLsn } from './position.ts'
import type { Session } from './sessions.ts'

/** Which server this is: positions of another one mean nothing here. */
export interface ServerIdentity {
  readonly systemId: string
  readonly timeline: number
  /** Where its log ends now. */
  readonly endLsn: bigint
}

export interface SlotState {
  readonly confirmedLsn: bigint
}

const codeOf = (error: unknown): string => failureOf(error).code ?? ''

/** Whether this server can be followed at all. Throws SyncError `database.*`. */
export async function checkServer(options: PostgresAppOptions, session: Session): Promise<void> {
  const { rows } = await session.query(
    `SELECT pg_is_in_recovery(), current_setting('wal_level'), r.rolsuper OR r.rolreplication, r.rolname FROM pg_roles r WHERE r.rolname = current_user`,
  )
  const [isReplica, walLevel, mayReplicate, role] = rows[0] ?? []
  if (isReplica === 't')
    throw new SyncError(
      'database.read-only',
      `${options.app}: the server is a replica, which takes no writes. Name the primary in the url; after a failover it goes on by itself.`,
    )
  if (walLevel !== 'logical')
    throw new SyncError(
      'database.log-off',
      `${options.app}: wal_level is ${walLevel}, so the server's log does not tell changes of rows. Run: ALTER SYSTEM SET wal_level = logical, and restart the server.`,
    )
  if (mayReplicate !== 't')
    throw new SyncError(
      'database.privileges',
      `${options.app}: the user ${role} may not read the log. An administrator runs: ALTER ROLE ${quoteName(role ?? '')} REPLICATION.`,
    )
}

/**
 * Refuses a position that cannot go on here: of another server, of another timeline, or of a time that this server has not reached (it was restored from a
 * backup). Hazard 33.
 */
export function checkIdentity(app: string, at: PgPosition, server: ServerIdentity): void {
  const differs =
    at.systemId !== server.systemId
      ? `has the system identifier ${server.systemId}, the position is of ${at.systemId}`
      : at.timeline !== server.timeline
        ? `is on timeline ${server.timeline}, the position is of timeline ${at.timeline}`
        : at.lsn > server.endLsn
          ? `has written its log up to ${lsnText(server.endLsn)}, the position is ${lsnText(at.lsn)}: it was restored to an earlier time`
          : null
  if (differs === null) return
  throw new SyncError(
    'source.server-changed',
    `${app}: the server ${differs}. See which side is true, then run: latchwork feed reset ${app}`,
    { place: { app } },
  )
}

/** Makes the publication, or brings it to what the config names. */
export async function ensurePublication(
  options: PostgresAppOptions,
  catalog: Catalog,
  session: Session,
): Promise<void> {
  const { app, publication } = options
  const plans = [...catalog.tables.values()]
  const wanted = [...new Set(plans.flatMap((plan) => [plan.sql, ...plan.parts.map((part) => part.sql)]))]
  const withGenerated =
    catalog.serverVersion >= 180_000 && plans.some((plan) => plan.columns.some((column) => column.isGenerated))
  const settings = `publish = 'insert, update, delete, truncate', publish_via_partition_root = true${withGenerated ? ', publish_generated_columns = stored' : ''}`
  const name = quoteName(publication)
  const statement = await publicationStatement(name, publication, wanted, settings, session)
  if (statement === null) return
  try {
    await session.run(statement)
  } catch (error) {
    // 42710: another connector made it meanwhile.
    if (codeOf(error) === '42710') return ensurePublication(options, catalog, session)
    if (codeOf(error) !== '42501') throw error
    throw new SyncError(
      'database.privileges',
      `${app}: the publication ${publication} does not name all the tables, and this user may not change that (it must own the tables, and have CREATE on the database). An administrator runs: ${statement}`,
      { cause: error },
    )
  }
}

async function publicationStatement(
  name: string,
  publication: string,
  wanted: readonly string[],
  settings: string,
  session: Session,
): Promise<string | null> {
  const there = await session.query(
    `SELECT puballtables, pubinsert AND pubupdate AND pubdelete AND pubtruncate AND pubviaroot FROM pg_publication WHERE pubname = ${quoteText(publication)}`,
  )
  const [row] = there.rows
  if (row === undefined) return `CREATE PUBLICATION ${name} FOR TABLE ${wanted.join(', ')} WITH (${settings})`
  const tables = await session.query(
    `SELECT '"' || replace(n.nspname, '"', '""') || '"."' || replace(c.relname, '"', '""') || '"' FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE p.pubname = ${quoteText(publication)}`,
  )
  const known = new Set(tables.rows.map(([table]) => table))
  const missing = row[0] === 't' ? [] : wanted.filter((table) => !known.has(table))
  const statements = [
    ...(row[1] === 't' ? [] : [`ALTER PUBLICATION ${name} SET (${settings})`]),
    ...(missing.length === 0 ? [] : [`ALTER PUBLICATION ${name} ADD TABLE ${missing.join(', ')}`]),
  ]
  return statements.length === 0 ? null : statements.join('; ')
}

/**
 * The slot as it stands, made when nothing was ever read from it. With a position, a slot that is gone, given up by the server, or beyond the position means that
 * changes were lost (hazard 32): a position is confirmed to the server only once the journal has it, so the slot is never ahead of it by itself.
 */
export async function ensureSlot(
  options: PostgresAppOptions,
  at: PgPosition | null,
  session: Session,
  log: Log,
): Promise<SlotState> {
  const { app, slot } = options
  const { rows } = await session.query(
    `SELECT plugin, database = current_database(), wal_status, confirmed_flush_lsn, active, pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) FROM pg_replication_slots WHERE slot_name = ${quoteText(slot)}`,
  )
  const [row] = rows
  const reset = `Run: latchwork feed reset ${app}`
  if (row === undefined) {
    if (at !== null)
      throw new SyncError('source.slot-missing', `${app}: the replication slot ${slot} is gone. ${reset}`, {
        place: { app },
      })
    return createSlot(options, session, log)
  }
  const [plugin, isHere, walStatus, confirmed, , heldBytes] = row
  if (plugin !== 'pgoutput' || isHere !== 't')
    throw new SyncError(
      'source.slot-changed',
      `${app}: the replication slot ${slot} is of ${isHere === 't' ? `the plug-in ${plugin}` : 'another database'}. Name another: postgres({ slot: '...' }).`,
      { place: { app } },
    )
  if (walStatus === 'lost' || confirmed === null || confirmed === undefined)
    throw new SyncError(
      'source.slot-invalidated',
      `${app}: the server has given up the replication slot ${slot} (wal_status ${walStatus}). ${reset}`,
      { place: { app } },
    )
  const confirmedLsn = parseLsn(confirmed)
  if (at !== null && confirmedLsn > at.lsn)
    throw new SyncError(
      'source.slot-changed',
      `${app}: the replication slot ${slot} stands at ${confirmed}, beyond ${lsnText(at.lsn)}, where this hub has read to: it was made anew, or another program reads it. ${reset}`,
      { place: { app } },
    )
  warnOfWal(options, Number(heldBytes), walStatus ?? '', log)
  return { confirmedLsn }
}

async function createSlot(options: PostgresAppOptions, session: Session, log: Log): Promise<SlotState> {
  const { app, slot } = options
  try {
    // It waits for the transactions that are open now; the statement time-out ends a wait that is too long, and it is tried again.
    const { rows } = await session.query(
      `SELECT lsn FROM pg_create_logical_replication_slot(${quoteText(slot)}, 'pgoutput')`,
    )
    log.log('info', `${app}: the replication slot ${slot} is made; it keeps WAL until the hub has read it`, {
      app,
      slot,
    })
    return { confirmedLsn: parseLsn(rows[0]?.[0] ?? '0/0') }
  } catch (error) {
    const code = codeOf(error)
    if (code === '57014')
      throw new SyncError(
        'source.read-failed',
        `${app}: the replication slot ${slot} waits for a transaction that has been open for long. See pg_stat_activity, and end it.`,
        { cause: error },
      )
    if (code !== '53400') throw error
    throw new SyncError(
      'database.log-off',
      `${app}: all replication slots are taken (max_replication_slots). Run: ALTER SYSTEM SET max_replication_slots = 20, and restart the server; or drop a slot that nobody reads.`,
      { cause: error },
    )
  }
}

/** Before it hurts: a slot that is not read fills the disk of the server, or is given up by it. */
export function warnOfWal(options: PostgresAppOptions, heldBytes: number, walStatus: string, log: Log): void {
  const { app, slot, walWarnBytes } = options
  const atRisk = walStatus === 'unreserved'
  if (!atRisk && !(heldBytes > walWarnBytes)) return
  log.log(
    'warn',
    atRisk
      ? `${app}: the server is about to give up the replication slot ${slot}: it holds back more WAL than max_slot_wal_keep_size. Raise that setting now`
      : `${app}: the replication slot ${slot} holds back ${Math.round(heldBytes / 1_048_576)} MiB of WAL on the server, because the hub reads slower than is written, or a transaction is open for long`,
    { app, slot, heldBytes, walStatus },
  )
}

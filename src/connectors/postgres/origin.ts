import { SyncError } from '../../errors/index.ts'
import { quoteText } from './driver.ts'
import { failureOf } from './errors.ts'
import type { PostgresAppOptions } from './options.ts'
import type { Session } from './sessions.ts'

/**
 * Replication origins: what a session that bears one writes is known to come from elsewhere. The server's own replication with `origin = none` leaves it out, so another way between the same
 * databases does not carry our writes on. Our own feed is not filtered by it: what triggers do in our transactions bears the same origin (docs/protocol.md 3.6).
 */

/** Only one session at a time may bear an origin, so each takes the next that is free. Sessions of a hub that died are let go by the server within moments. */
const ORIGINS_MAX = 64
const IN_USE = '55006'
const DENIED = '42501'

export const bearOrigin =
  (options: PostgresAppOptions, origin: string) =>
  async (session: Session): Promise<void> => {
    for (let n = 1; n <= ORIGINS_MAX; n++) {
      const name = quoteText(`${origin}_${n}`)
      try {
        await session.query(
          `SELECT CASE WHEN pg_replication_origin_oid(${name}) IS NULL THEN pg_replication_origin_create(${name}) END`,
        )
        await session.query(`SELECT pg_replication_origin_session_setup(${name})`)
        return
      } catch (error) {
        const { code, message } = failureOf(error)
        // 23505: another session makes it at the same moment, and bears it.
        if (code === IN_USE || code === '23505') continue
        if (code !== DENIED) throw error
        throw new SyncError(
          'database.privileges',
          `${options.app}: its writes are to bear the replication origin ${origin}, and this user may not set one (${message}). An administrator runs: GRANT EXECUTE ON FUNCTION pg_replication_origin_oid(text), pg_replication_origin_create(text), pg_replication_origin_session_setup(text) TO <this user>; or leave \`origin\` out.`,
          { place: { app: options.app }, cause: error },
        )
      }
    }
    throw new SyncError(
      'database.privileges',
      `${options.app}: all of the replication origins ${origin}_1 to ${origin}_${ORIGINS_MAX} are borne by other sessions. Name another \`origin\`: each hub needs its own.`,
      { place: { app: options.app } },
    )
  }

import { parseLsn } from './position.ts'

/**
 * What a read saw: `pg_current_snapshot()` and where the log was durable then (taken after the snapshot). Together with what was received of the log it says at which place of the log
 * the read stands.
 */
export interface ReadSnapshot {
  /** Before the snapshot was taken. */
  readonly beforeLsn: bigint
  readonly flushLsn: bigint
  readonly isVisible: (xid: number) => boolean
}

/** `xmin:xmax:xip,...` of 64-bit transaction ids; the log has their lower 32 bits, which are unambiguous within two thousand million. */
export function parseSnapshot(text: string, beforeLsn: string, flushLsn: string): ReadSnapshot {
  const [xmin = '0', xmax = '0', running = ''] = text.split(':')
  const low = BigInt(xmin)
  const high = BigInt(xmax)
  const open = new Set(running === '' ? [] : running.split(',').map((xid) => Number(BigInt.asUintN(32, BigInt(xid)))))
  const isVisible = (xid: number): boolean => {
    const full = high + BigInt.asIntN(32, BigInt(xid) - high)
    return full < low || (full < high && !open.has(xid))
  }
  return { beforeLsn: parseLsn(beforeLsn), flushLsn: parseLsn(flushLsn), isVisible }
}

import type { Capabilities } from '../../model/capabilities.ts'

/**
 * What a SQLite file offers, by a change table of ours in it. F2 and not F3: every change of a record is told, in order, and by the record as it is when it is read; states between two reads are not told apart.
 * Versions are numbers of the change table (T2), writes are refused where the version has moved on (C2), and the writes that were applied are remembered in their own transaction (K2, M2). One batch at a time:
 * a SQLite file has one writer.
 */
export const SQLITE_CAPABILITIES: Capabilities = {
  feed: 'F2',
  token: 'T2',
  condition: 'C2',
  create: 'K2',
  mark: 'M2',
  image: 'I2',
  read: 'R2',
  correlation: true,
  idempotency: 'all',
  reply: { token: true, image: true },
  batchMax: 200,
  concurrency: 1,
  atomicGroups: false,
  fenceMs: 0,
}

import type { Capabilities } from '../../model/capabilities.ts'
import type { PostgresAppOptions, PostgresTable } from './options.ts'

/**
 * What a table offers: the log is complete and ordered (F3, T2), a write is refused where the old values differ (C2), a create is found again by the hub's id that stands
 * beside it in the same transaction (K2), and so does the mark of every write (M2). The log tells rows; a record with parts is several, so of those it gives a hint (I0).
 * Of a row, the log says all; the reply to a write of a record with parts waits until the log has shown it, and names its place.
 */
export function postgresCapabilities(
  app: Pick<PostgresAppOptions, 'connectionsMax' | 'batchMax' | 'statementTimeoutMs' | 'changes'>,
  table: Pick<PostgresTable, 'parts'>,
): Capabilities {
  if (app.changes === 'triggers') return triggered(app.connectionsMax)
  return {
    feed: 'F3',
    token: 'T2',
    condition: 'C2',
    conditionOn: 'patch',
    create: 'K2',
    mark: 'M2',
    image: table.parts.length > 0 ? 'I0' : 'I2',
    read: 'R2',
    correlation: true,
    idempotency: 'create',
    reply: { token: table.parts.length > 0, image: false },
    batchMax: app.batchMax,
    concurrency: app.connectionsMax,
    atomicGroups: false,
    fenceMs: app.statementTimeoutMs,
  }
}

/** By a change table: every change of a record is told, not every state; a record has a version of its own, and replies tell all (decision 25). */
const triggered = (connectionsMax: number): Capabilities => ({
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
  batchMax: 100,
  concurrency: connectionsMax,
  atomicGroups: false,
  fenceMs: 0,
})

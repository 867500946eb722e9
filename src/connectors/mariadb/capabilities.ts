import type { Capabilities } from '../../model/capabilities.ts'
import type { TableUse } from '../tables/options.ts'
import type { MariadbAppOptions } from './options.ts'

/**
 * What a MariaDB application offers. The log is complete and ordered (F3); a change table tells every change of a record but not every state (F2). Versions are places in the log, or numbers of the change table (T2); a write
 * is refused where the version has moved on, or where one of the values that it was based on has (C2); writes are remembered in their own transaction (K2, M2).
 */
export const mariadbCapabilities = (
  { changes, connectionsMax }: Pick<MariadbAppOptions, 'changes' | 'connectionsMax'>,
  { version }: Pick<TableUse, 'version'> = { version: null },
): Capabilities => ({
  ...(typeof changes === 'string' ? followed(changes) : polled(version !== null)),
  condition: 'C2',
  conditionOn: changes === 'triggers' ? 'record' : 'values',
  create: 'K2',
  image: 'I2',
  read: 'R2',
  correlation: true,
  idempotency: 'all',
  batchMax: 100,
  // One connection is left for reads.
  concurrency: Math.max(1, connectionsMax - 1),
  atomicGroups: false,
  fenceMs: 0,
})

const followed = (changes: 'binlog' | 'triggers') =>
  ({
    feed: changes === 'binlog' ? 'F3' : 'F2',
    token: 'T2',
    mark: 'M2',
    reply: { token: true, image: true },
  }) as const

/** A poll tells states and no versions, unless the table keeps one. */
const polled = (hasVersion: boolean) =>
  ({
    feed: 'F1',
    token: hasVersion ? 'T2' : 'T0',
    mark: 'M0',
    reply: { token: hasVersion, image: true },
  }) as const

import type { Outcome } from '../../model/change.ts'
import { asCorrelationId, asNativeId, asObjectId, asOpId } from '../../model/ids.ts'
import type { NativeRecord } from '../../model/value.ts'
import type { Connector, WriteOp } from '../../ports/app.ts'
import { appOptions, columnsOf, createDatabase, openConnector, tableOptions } from './fixture-postgres.ts'
import type { PostgresAppOptions, PostgresTable } from './options.ts'

/** Writes to a table `items` of a database of one's own, and their outcomes in brief. */

/** The log must be read for outcomes to have their place in it. */
export async function follow(connector: Connector): Promise<void> {
  await connector.source.read('log', null, 1, new AbortController().signal)
}

export const never = new AbortController().signal
let ops = 0

export function op(
  kind: WriteOp['kind'],
  id: string | null,
  patch: NativeRecord,
  baseValues: NativeRecord = {},
  object = 'items',
): WriteOp {
  const n = ++ops
  return {
    op: asOpId(`inst.1.key${n}.db.${n}`),
    object: asObjectId(object),
    kind,
    nativeId: id === null ? null : asNativeId(id),
    patch,
    full: patch,
    baseToken: null,
    baseValues,
    correlationId: asCorrelationId(`key${n}`),
    resend: false,
  }
}

export const update = (id: string, patch: NativeRecord, base?: NativeRecord): WriteOp => op('update', id, patch, base)
export const write = (connector: Connector, all: readonly WriteOp[], deadlineMs = 5_000) =>
  connector.target.write(all, deadlineMs, never)
export const brief = (outcomes: readonly Outcome[]) =>
  outcomes.map(({ result, handling, code }) => [result, handling, code].filter((part) => part !== undefined).join(' '))

export async function withItems(
  sql: readonly string[],
  columns: readonly string[],
  over: Partial<PostgresAppOptions> = {},
  table: Partial<PostgresTable> = {},
) {
  const database = await createDatabase(18)
  for (const statement of sql) await database.one(statement)
  const { schema } = database
  const options = appOptions(
    database,
    [tableOptions({ schema, table: 'items', columns: columnsOf(...columns), ...table })],
    over,
  )
  const connector = openConnector(options)
  return {
    database,
    options,
    connector,
    [Symbol.asyncDispose]: async () => {
      await connector[Symbol.asyncDispose]()
      await database[Symbol.asyncDispose]()
    },
  }
}

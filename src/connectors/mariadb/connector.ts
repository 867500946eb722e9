import { SyncError } from '../../errors/index.ts'
import type { Connector, Source, Target } from '../../ports/app.ts'
import type { Clock, Log } from '../../ports/clock.ts'
import { Answered, createChangeTableApp } from '../change-table/app.ts'
import { namesOf } from '../change-table/ddl.ts'
import { bookkeeping } from '../change-table/statements.ts'
import { createPollingApp } from '../polling/app.ts'
import type { PollingOptions } from '../polling/options.ts'
import { createTableTarget } from '../tables/target.ts'
import { Binlog } from './binlog.ts'
import { endToken } from './binlog-position.ts'
import { createBinlogSource } from './binlog-source.ts'
import { parseGtid } from './binlog-stream.ts'
import { mariadbCapabilities } from './capabilities.ts'
import { MariadbDatabase } from './database.ts'
import { mariadbDdl, opsTable } from './ddl.ts'
import { mariadbDialect } from './dialect.ts'
import { connectionOptionsOf } from './driver.ts'
import type { MariadbAppOptions } from './options.ts'

/** An application that keeps its data in MariaDB, as the engine holds it. */
export function createMariadbConnector(options: MariadbAppOptions, deps: Deps): Connector {
  const { app, changes, tables } = options
  const { source, target } =
    changes === 'binlog'
      ? byLog(options, deps)
      : changes === 'triggers'
        ? byTriggers(options, deps)
        : byPolling(options, changes, deps)
  const capabilities = new Map(tables.map((table) => [table.object, mariadbCapabilities(options, table)]))
  return {
    app,
    source,
    target,
    capabilities: (object) => {
      const found = capabilities.get(object)
      if (found !== undefined) return found
      throw new SyncError('config.invalid', `${app} declares no table ${object}.`)
    },
  }
}

interface Deps {
  readonly clock: Clock
  readonly log: Log
}

interface Both {
  readonly source: Source
  readonly target: Target
}

function connectionOf({ app, url }: MariadbAppOptions) {
  if (typeof url !== 'string')
    throw new SyncError('internal.bug', `${app}: the environment variables of the config have not been read`)
  return connectionOptionsOf(app, url)
}

function byTriggers(options: MariadbAppOptions, { clock }: Deps): Both {
  const { app, prefix, tables } = options
  const connection = connectionOf(options)
  return createChangeTableApp({
    app,
    dialect: mariadbDialect,
    ddl: mariadbDdl,
    prefix,
    uses: tables,
    clock,
    open: (onReplaced) =>
      new MariadbDatabase({ ...options, connection, isolation: 'read committed', clock, onReplaced }),
  })
}

/** By the log a record's version is a place in it. A write is compared by the values that it was based on, and its own place is known once it is committed. */
function byLog(options: MariadbAppOptions, { clock }: Deps): Both {
  const { app, tables } = options
  const connection = connectionOf(options)
  const database = new MariadbDatabase({
    ...options,
    connection,
    isolation: 'repeatable read',
    clock,
    onReplaced: () => binlog.reset(),
  })
  const binlog = new Binlog({ ...options, connection, database, clock })
  const answered = new Answered()
  let holders = 2
  const share = (): (() => Promise<void>) => {
    let held = true
    return async () => {
      if (!held) return
      held = false
      if (--holders === 0) await database.close()
    }
  }
  const books = bookkeeping(
    mariadbDialect,
    () => ({ ...binlog.current, table: '', generation: 0 }),
    () => clock.nowMs(),
  )
  return {
    source: createBinlogSource(app, {
      binlog,
      database,
      clock,
      objects: tables.map((table) => table.object),
      isAnswered: (nativeId, token) => answered.has(nativeId, token),
      release: share(),
    }),
    target: createTableTarget(app, {
      database,
      clock,
      ready: async (limits) => (await binlog.usable(limits)).plans,
      books: {
        // The place of a write that was applied before is not remembered, only that it was: the log will tell.
        applied: async (session, ops) =>
          new Map([...(await books.applied(session, ops))].map(([op, one]) => [op, { ...one, token: null }])),
        remember: books.remember,
      },
      locksReads: true,
      write: async (work, limits) => {
        const { result, gtid } = await database.writeAnd(work, limits)
        const place = parseGtid(gtid)
        return { result, token: place === undefined ? null : endToken(place.seq) }
      },
      onApplied: (outcomes) => answered.note(outcomes),
      release: share(),
    }),
  }
}

function byPolling(options: MariadbAppOptions, polling: PollingOptions, { clock, log }: Deps): Both {
  const { app, prefix, tables } = options
  const connection = connectionOf(options)
  return createPollingApp({
    app,
    prefix,
    uses: tables,
    polling,
    database: new MariadbDatabase({
      ...options,
      connection,
      isolation: 'repeatable read',
      clock,
      onReplaced: () => undefined,
    }),
    opsTable: opsTable(namesOf(prefix)),
    clock,
    log,
  })
}

import { connect, createServer, type Server, type Socket } from 'node:net'
import { Client } from 'pg'
import { systemClock } from '../../lib/system-clock.ts'
import { asAppId, asNativeId, asObjectId } from '../../model/ids.ts'
import type { NativeRecord } from '../../model/value.ts'
import type { Connector } from '../../ports/app.ts'
import { postgresBinaries } from '../../testing/postgres-binaries.ts'
import { type PostgresServer, startPostgres } from '../../testing/postgres-server.ts'
import { type AppDriver, type AppFault, type AppUnderTest, createOp } from '../../testing/suites/app-driver.ts'
import { postgresCapabilities } from './capabilities.ts'
import { createPostgresConnector } from './connector.ts'
import type { PostgresAppOptions, PostgresTable } from './options.ts'

/** Real servers for the connector's tests: one of each version per test process, a database per test. */

const servers = new Map<number, Promise<PostgresServer>>()

export const isInstalled = async (major: number): Promise<boolean> => (await postgresBinaries(major)) !== undefined

export function serverOf(major: number): Promise<PostgresServer> {
  let server = servers.get(major)
  if (server === undefined) servers.set(major, (server = startPostgres({ major })))
  return server
}

export async function stopServers(): Promise<void> {
  const all = [...servers.values()]
  servers.clear()
  for (const server of all) await (await server).close()
}

export interface TestDatabase extends AsyncDisposable {
  readonly server: PostgresServer
  /** A schema of its own, on the search path of `one` and `rows`. */
  readonly schema: string
  readonly role: string
  readonly url: string
  /** As the owner; the first column of the first row. Values come as text. */
  one(sql: string, values?: readonly unknown[]): Promise<unknown>
  rows(sql: string, values?: readonly unknown[]): Promise<Record<string, unknown>[]>
  /** After a restart of the server. */
  reconnect(): Promise<void>
}

const prepared = new Map<number, Promise<void>>()
let schemas = 0

/** One database per server, owned by an ordinary role that may replicate; each test has a schema in it. */
async function prepare(server: PostgresServer): Promise<void> {
  await asAdmin(server, 'CREATE ROLE app LOGIN REPLICATION')
  await asAdmin(server, 'CREATE DATABASE app OWNER app')
}

export async function createDatabase(major: number): Promise<TestDatabase> {
  const server = await serverOf(major)
  let ready = prepared.get(major)
  if (ready === undefined) prepared.set(major, (ready = prepare(server)))
  await ready
  const schema = `t${++schemas}`
  const url = server.url('app', 'app')
  const open = async (): Promise<Client> => {
    const made = new Client({ connectionString: url, types: { getTypeParser: () => (text: string) => text } })
    made.on('error', () => {})
    await made.connect()
    await made.query(`CREATE SCHEMA IF NOT EXISTS ${schema}; SET search_path TO ${schema}`)
    return made
  }
  let client = await open()
  return {
    server,
    schema,
    role: 'app',
    url,
    one: async (sql, values = []) => {
      const result = await client.query({ text: sql, values: [...values], rowMode: 'array' })
      // Several statements give several results.
      return [result].flat().at(-1)?.rows?.[0]?.[0]
    },
    rows: async (sql, values = []) => (await client.query(sql, [...values])).rows,
    reconnect: async () => {
      client = await open()
    },
    [Symbol.asyncDispose]: async () => {
      await client.end().catch(() => {})
      const drop = `DROP PUBLICATION IF EXISTS latchwork_${schema}; DROP SCHEMA IF EXISTS ${schema}, latchwork_${schema} CASCADE`
      await asAdmin(server, drop, 'app').catch(() => {})
      await dropSlot(server, `latchwork_${schema}`)
    },
  }
}

/** The server lets go of a slot a moment after its session ended. */
async function dropSlot(server: PostgresServer, slot: string): Promise<void> {
  const ended = `SELECT pg_terminate_backend(active_pid, 2000) FROM pg_replication_slots WHERE slot_name = '${slot}' AND active`
  await asAdmin(server, ended).catch(() => {})
  const sql = `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '${slot}'`
  await asAdmin(server, sql).catch(() => {})
}

export async function asAdmin(server: PostgresServer, sql: string, database = 'postgres'): Promise<unknown> {
  const client = new Client({ connectionString: server.url(database) })
  await client.connect()
  try {
    const result = await client.query({ text: sql, rowMode: 'array' })
    return [result].flat().at(-1)?.rows?.[0]?.[0]
  } finally {
    await client.end()
  }
}

export const silentLog = { log: (): void => {} }

export const tableOptions = (
  over: Partial<PostgresTable> & Pick<PostgresTable, 'schema' | 'table' | 'columns'>,
): PostgresTable => ({
  object: asObjectId(over.table),
  id: ['id'],
  parts: [],
  correlation: null,
  updatedAt: null,
  ...over,
})

export const columnsOf = (...names: string[]): PostgresTable['columns'] =>
  names.map((name) => ({ name, written: true }))

export function appOptions(
  database: TestDatabase,
  tables: readonly PostgresTable[],
  over: Partial<PostgresAppOptions> = {},
): PostgresAppOptions {
  const own = `latchwork_${database.schema}`
  return {
    app: asAppId('db'),
    url: database.url,
    tables,
    slot: own,
    publication: own,
    ownSchema: own,
    connectionsMax: 4,
    batchMax: 500,
    statementTimeoutMs: 2_000,
    lockTimeoutMs: 1_000,
    walWarnBytes: 1_073_741_824,
    truncate: 'stop',
    ...over,
  }
}

export function openConnector(options: PostgresAppOptions, log = silentLog): Connector & AsyncDisposable {
  const connector = createPostgresConnector(options, { clock: systemClock, log })
  return {
    ...connector,
    [Symbol.asyncDispose]: async () => {
      await connector.source.close()
      await connector.target.close()
    },
  }
}

/** A wire between the connector and its server that can be cut, held, or scrambled. */
export class Wire implements AsyncDisposable {
  readonly #server: Server
  readonly #pairs = new Set<readonly [Socket, Socket]>()
  readonly #to: number
  #port = 0
  mode: 'none' | 'down' | 'silent' | 'silent-after' | 'lost-reply' | 'garbage' = 'none'

  constructor(to: number) {
    this.#to = to
    this.#server = createServer((near) => this.#join(near))
  }

  static async open(to: number): Promise<Wire> {
    const wire = new Wire(to)
    await wire.listen()
    return wire
  }

  get port(): number {
    return this.#port
  }

  async listen(): Promise<void> {
    if (this.#server.listening) return
    await new Promise<void>((resolve) => this.#server.listen(this.#port, '127.0.0.1', resolve))
    const address = this.#server.address()
    if (typeof address === 'object' && address !== null) this.#port = address.port
  }

  #join(near: Socket): void {
    const far = connect(this.#to, '127.0.0.1')
    const pair = [near, far] as const
    this.#pairs.add(pair)
    const end = (): void => {
      this.#pairs.delete(pair)
      near.destroy()
      far.destroy()
    }
    near.on('data', (bytes) => {
      if (this.mode === 'silent') return
      far.write(bytes)
    })
    far.on('data', (bytes) => {
      // Inside a transaction nothing has happened yet: only the reply to its end is the one that says so.
      const isDone = bytes.length >= 6 && bytes.readUInt32BE(bytes.length - 5) === 5 && bytes.at(-1) === 0x49
      if (this.mode === 'none' || (!isDone && this.mode !== 'silent')) near.write(bytes)
      else if (this.mode === 'lost-reply') end()
      else if (this.mode === 'garbage') near.write(Buffer.from([0x7a, 0, 0, 0, 4]))
    })
    for (const socket of pair) socket.on('error', end).on('close', end)
  }

  cut(): void {
    for (const [near, far] of [...this.#pairs]) {
      near.destroy()
      far.destroy()
    }
  }

  async down(): Promise<void> {
    this.cut()
    if (this.#server.listening) await new Promise((resolve) => this.#server.close(resolve))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down()
  }
}

const wireFaults = ['down', 'silent', 'silent-after', 'lost-reply', 'garbage'] as const

/** The published suites' view of a database with one table. */
export function postgresDriver(major: number, isFollowed: boolean): AppDriver {
  return {
    capabilities: postgresCapabilities({ connectionsMax: 4, batchMax: 500, statementTimeoutMs: 10_000 }, { parts: [] }),
    faults: [...wireFaults, 'overloaded', 'denied', 'rejects'],
    signsBody: false,
    hasFeed: true,
    open: () => open(major, isFollowed),
  }
}

const INSERT = 'INSERT INTO items (name, city, zip, count, price) VALUES ($1, $2, $3, $4, $5) RETURNING id'

async function open(major: number, isFollowed: boolean): Promise<AppUnderTest> {
  const database = await createDatabase(major)
  const { schema } = database
  await database.one(
    'CREATE TABLE items (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, name text, city text, zip text, count integer, price numeric(12,2))',
  )
  const table = tableOptions({ schema, table: 'items', columns: columnsOf('name', 'city', 'zip', 'count', 'price') })
  const wire = await Wire.open(database.server.port)
  const url = new URL(database.url)
  url.port = String(wire.port)
  const connector = openConnector(appOptions(database, [table], { url: url.href }))
  // An outcome waits for the log, as in a hub, where it is always read.
  if (isFollowed) await connector.source.read('log', null, 1, new AbortController().signal)
  const app: AppUnderTest = {
    connector,
    object: table.object,
    textField: 'name',
    sample: (n) => ({ name: `name ${n}`, city: `city ${n}`, zip: '00123', count: n, price: `${n}.50` }),
    create: async ({ name, city, zip, count, price }) =>
      asNativeId(String(await database.one(INSERT, [name, city, zip, count, price]))),
    edit: async (nativeId, patch) => {
      for (const [name, value] of Object.entries(patch))
        await database.one(`UPDATE items SET ${name} = $2 WHERE id = $1`, [nativeId, value])
    },
    delete: async (nativeId) => void (await database.one('DELETE FROM items WHERE id = $1', [nativeId])),
    peek: async (nativeId) => {
      const [row] = await database.rows('SELECT * FROM items WHERE id = $1', [nativeId])
      return row === undefined ? undefined : ({ ...row, count: Number(row.count) } as NativeRecord)
    },
    ids: async () => (await database.rows('SELECT id FROM items ORDER BY id')).map((row) => asNativeId(String(row.id))),
    fault: async (fault) => {
      // Faults of the wire are about a session that is open, as it is in use.
      if (wire.mode === 'none' && fault !== 'none') await warmUp(app)
      await makeFault(fault, database, wire)
    },
    [Symbol.asyncDispose]: async () => {
      wire.mode = 'none'
      await asAdmin(database.server, `ALTER ROLE ${database.role} LOGIN CONNECTION LIMIT -1`)
      await connector[Symbol.asyncDispose]()
      await wire[Symbol.asyncDispose]()
      await database[Symbol.asyncDispose]()
    },
  }
  return app
}

/** A session that was cut is noticed a moment later. */
const noticed = (): Promise<void> => new Promise((resolve) => systemClock.timer(30, resolve))

async function warmUp(app: AppUnderTest): Promise<void> {
  const { signal } = new AbortController()
  const nobody = { object: app.object, nativeId: asNativeId('-1') }
  await app.connector.source.readRecords([nobody], signal)
  const [made] = await app.connector.target.write([createOp(app, 99)], 5_000, signal)
  await app.delete(made?.nativeId ?? nobody.nativeId)
}

async function makeFault(fault: AppFault | 'none', database: TestDatabase, wire: Wire): Promise<void> {
  const { server, role } = database
  wire.mode = 'none'
  await wire.listen()
  await asAdmin(server, `ALTER ROLE ${role} LOGIN CONNECTION LIMIT -1`)
  if (fault === 'down') {
    await wire.down()
    return noticed()
  }
  if (fault === 'overloaded' || fault === 'denied') {
    await asAdmin(server, `ALTER ROLE ${role} ${fault === 'denied' ? 'NOLOGIN' : 'CONNECTION LIMIT 0'}`)
    wire.cut()
    return noticed()
  }
  if (fault === 'rejects') {
    await database.one(
      `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not like this'; END $$`,
    )
    await database.one('CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON items FOR EACH ROW EXECUTE FUNCTION refuse()')
    return
  }
  if (fault !== 'none') wire.mode = fault
}

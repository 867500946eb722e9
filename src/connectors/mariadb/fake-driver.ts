import { connect, createServer, type Server, type Socket } from 'node:net'
import mysql, { type Connection } from 'mysql2/promise'
import { systemClock } from '../../lib/system-clock.ts'
import { asAppId, asNativeId, asObjectId } from '../../model/ids.ts'
import type { NativeRecord } from '../../model/value.ts'
import type { MariadbServer } from '../../testing/mariadb-server.ts'
import type { AppDriver, AppFault, AppUnderTest } from '../../testing/suites/app-driver.ts'
import type { TableUse } from '../tables/options.ts'
import { mariadbCapabilities } from './capabilities.ts'
import { createMariadbConnector } from './connector.ts'
import type { MariadbAppOptions } from './options.ts'

export const ITEMS: TableUse = {
  object: asObjectId('items'),
  table: 'items',
  id: 'id',
  idType: 'number',
  columns: ['name', 'city', 'zip', 'count'].map((name) => ({ name, written: true })),
  parts: [],
  updatedAt: null,
  version: null,
}

export const ITEMS_SQL = `create table items (id int primary key auto_increment, name varchar(200) character set utf8mb4 not null check (name <> 'refused'), city varchar(50), zip varchar(10), count int)`

/** As above, with a time of change, for polling. */
export const STAMPED: TableUse = { ...ITEMS, updatedAt: 'updated_at' }
export const STAMPED_SQL = `${ITEMS_SQL.slice(0, -1)}, updated_at datetime(6) not null default current_timestamp(6) on update current_timestamp(6), index (updated_at, id))`

export const mariadbOptions = (
  url: string,
  changes: MariadbAppOptions['changes'],
  over: Partial<MariadbAppOptions> = {},
): MariadbAppOptions => ({
  app: asAppId('shop'),
  url,
  changes,
  prefix: 'latchwork',
  pollMs: 5,
  serverId: 4_900_000 + ++lastServerId,
  connectionsMax: 4,
  lockTimeoutMs: 1_000,
  statementTimeoutMs: 10_000,
  tables: [ITEMS],
  ...over,
})

export const silentLog = { log: (): void => {} }

let lastServerId = (process.pid % 1000) * 100
let lastDatabase = 0

/** A fresh database on a server, with what the shop's own program says to it. */
export class FakeShop implements AsyncDisposable {
  readonly name = `lw_${process.pid}_${++lastDatabase}`
  readonly #server: Pick<MariadbServer, 'url'>
  db!: Connection

  constructor(server: Pick<MariadbServer, 'url'>) {
    this.#server = server
  }

  get url(): string {
    return this.#server.url(this.name)
  }

  static async open(server: Pick<MariadbServer, 'url'>, ...sql: readonly string[]): Promise<FakeShop> {
    const shop = new FakeShop(server)
    await shop.connect()
    await shop.db.query(`create database ${shop.name} character set utf8mb4`)
    await shop.db.query(`use ${shop.name}`)
    for (const statement of sql) await shop.db.query(statement)
    return shop
  }

  async connect(database = ''): Promise<void> {
    this.db = await mysql.createConnection({
      uri: this.#server.url('mysql'),
      supportBigNumbers: true,
      dateStrings: true,
    })
    this.db.on('error', () => undefined)
    if (database !== '') await this.db.query(`use ${database}`)
  }

  async rows(sql: string): Promise<Record<string, unknown>[]> {
    const [rows] = await this.db.query(sql)
    return (rows as Record<string, unknown>[]).map((row) => ({ ...row }))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.db.query(`drop database if exists ${this.name}`).catch(() => undefined)
    await this.db.end().catch(() => undefined)
  }
}

/** Stands between the connector and the server, and loses what it is told to lose. */
export class Wire implements AsyncDisposable {
  readonly #server: Server
  readonly #target: number
  readonly #sockets = new Set<Socket>()
  fault: 'none' | 'lost-reply' | 'silent-after' = 'none'
  port = 0

  constructor(target: number) {
    this.#target = target
    this.#server = createServer((client) => this.#join(client))
  }

  async up(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(this.port, '127.0.0.1', resolve))
    const address = this.#server.address()
    if (typeof address === 'object' && address !== null) this.port = address.port
  }

  async down(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
  }

  #join(client: Socket): void {
    const server = connect(this.#target, '127.0.0.1')
    let committed = false
    for (const socket of [client, server]) {
      this.#sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        this.#sockets.delete(socket)
        client.destroy()
        server.destroy()
      })
    }
    client.on('data', (bytes) => {
      // The whole query is this one word: a commit is let through, its answer is not.
      if (this.fault !== 'none' && bytes.subarray(5).toString('latin1') === 'commit') committed = true
      server.write(bytes)
    })
    server.on('data', (bytes) => {
      if (!committed) client.write(bytes)
      else if (this.fault === 'lost-reply') client.destroy()
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down()
  }
}

/** The published suites' view of a MariaDB application. */
export const fakeDriver = (server: () => MariadbServer, changes: MariadbAppOptions['changes']): AppDriver => ({
  capabilities: mariadbCapabilities({ changes, connectionsMax: 4 }),
  faults: ['down', 'rejects', 'denied', 'lost-reply', 'silent-after'],
  pushes: false,
  signsBody: false,
  hasFeed: true,
  open: () => open(server(), changes),
})

async function open(server: MariadbServer, changes: MariadbAppOptions['changes']): Promise<AppUnderTest> {
  const isPolled = typeof changes !== 'string'
  const shop = await FakeShop.open(server, isPolled ? STAMPED_SQL : ITEMS_SQL)
  const wire = new Wire(server.port)
  await wire.up()
  const user = `${shop.name}_user`
  await shop.db.query(`create user ${user}@'%' identified by 'secret'`)
  await shop.db.query(`grant all on ${shop.name}.* to ${user}@'%'`)
  await shop.db.query(`grant replication slave, binlog monitor on *.* to ${user}@'%'`)
  const url = `mysql://${user}:secret@127.0.0.1:${wire.port}/${shop.name}`
  const connector = createMariadbConnector(mariadbOptions(url, changes, { tables: [isPolled ? STAMPED : ITEMS] }), {
    clock: systemClock,
    log: silentLog,
  })
  // As a hub does at every start.
  await connector.source.read(connector.source.feeds[0]?.feed ?? '', null, 1, new AbortController().signal)
  let fault: AppFault | 'none' = 'none'
  return {
    connector,
    object: ITEMS.object,
    textField: 'name',
    sample: (n) => ({ name: `name ${n}`, city: `city ${n}`, zip: '00123', count: n }),
    create: async (record) => {
      const [made] = await shop.db.query('insert into items set ?', [record])
      return asNativeId(String((made as { insertId: number }).insertId))
    },
    edit: async (nativeId, patch) => void (await shop.db.query('update items set ? where id = ?', [patch, nativeId])),
    delete: async (nativeId) => void (await shop.db.query('delete from items where id = ?', [nativeId])),
    peek: async (nativeId) =>
      (await shop.rows(`select * from items where id = ${nativeId}`))[0] as NativeRecord | undefined,
    ids: async () => (await shop.rows('select id from items order by id')).map(({ id }) => asNativeId(String(id))),
    fault: async (next) => {
      if (fault === 'down') await wire.up()
      if (fault === 'rejects') await shop.db.query('drop trigger refuse_all')
      if (fault === 'denied') await shop.db.query(`alter user ${user}@'%' account unlock`)
      wire.fault = next === 'lost-reply' || next === 'silent-after' ? next : 'none'
      fault = next
      if (next === 'down') await wire.down()
      if (next === 'rejects')
        await shop.db.query(
          `create trigger refuse_all before insert on items for each row signal sqlstate '45000' set message_text = 'the shop takes no more'`,
        )
      if (next === 'denied') {
        await shop.db.query(`alter user ${user}@'%' account lock`)
        for (const { id } of await shop.rows(`select id from information_schema.processlist where user = '${user}'`))
          await shop.db.query(`kill ${id}`).catch(() => undefined)
      }
    },
    [Symbol.asyncDispose]: async () => {
      await connector.source.close()
      await connector.target.close()
      await wire[Symbol.asyncDispose]()
      await shop.db.query(`drop user ${user}@'%'`)
      await shop[Symbol.asyncDispose]()
    },
  }
}

import { SyncError } from '../../errors/index.ts'
import { systemClock } from '../../lib/system-clock.ts'
import type { Change, Outcome } from '../../model/change.ts'
import { asCorrelationId, asOpId, type FeedPosition } from '../../model/ids.ts'
import type { Connector, WriteOp } from '../../ports/app.ts'
import type { MariadbServer } from '../../testing/mariadb-server.ts'
import type { TableUse } from '../tables/options.ts'
import { createMariadbConnector } from './connector.ts'
import { FakeShop, ITEMS, mariadbOptions, silentLog } from './fake-driver.ts'
import type { MariadbAppOptions } from './options.ts'

/** A connector on a database of its own, read and written step by step. */

export const never = (): AbortSignal => new AbortController().signal
export type Mode = MariadbAppOptions['changes']
export const MODES = ['binlog', 'triggers'] as const

let ops = 0

export const use = (
  columns: readonly (string | TableUse['columns'][number])[],
  over: Partial<TableUse> = {},
): TableUse => ({
  ...ITEMS,
  ...over,
  columns: columns.map((name) => (typeof name === 'string' ? { name, written: true } : name)),
})

export class Bench implements AsyncDisposable {
  readonly shop: FakeShop
  readonly connector: Connector
  readonly feed: string
  position: FeedPosition | null = null

  constructor(shop: FakeShop, mode: Mode, tables: readonly TableUse[], over: Partial<MariadbAppOptions> = {}) {
    this.shop = shop
    this.connector = createMariadbConnector(mariadbOptions(shop.url, mode, { tables, ...over }), {
      clock: systemClock,
      log: silentLog,
    })
    this.feed = this.connector.source.feeds[0]?.feed ?? ''
  }

  static async open(
    server: MariadbServer,
    mode: Mode,
    tables: readonly TableUse[],
    ...sql: readonly string[]
  ): Promise<Bench> {
    return new Bench(await FakeShop.open(server, ...sql), mode, tables)
  }

  /** What was told until as many changes as wanted were. */
  async told(count: number): Promise<readonly Change[]> {
    const changes: Change[] = []
    for (let reads = 0; reads < 30; reads++) {
      const read = await this.connector.source.read(this.feed, this.position, 100, never())
      changes.push(...read.changes)
      this.position = read.position
      await this.connector.source.confirm(this.feed, read.position)
      if (changes.length >= count && !read.more) return changes
    }
    throw new Error(`waited for ${count} changes, was told ${changes.length}`)
  }

  /** Up to where nothing more is told for now. */
  async settle(): Promise<void> {
    await this.told(0)
  }

  async write(...given: Partial<WriteOp>[]): Promise<readonly Outcome[]> {
    return this.connector.target.write(
      given.map((one) => {
        const n = ++ops
        return {
          op: asOpId(`m.1.k${n}.shop.${n}`),
          object: ITEMS.object,
          kind: 'update',
          nativeId: null,
          patch: {},
          full: {},
          baseToken: null,
          baseValues: {},
          correlationId: asCorrelationId(`k${n}`),
          resend: false,
          ...one,
        } satisfies WriteOp
      }),
      10_000,
      never(),
    )
  }

  async failure(): Promise<SyncError> {
    const error = await this.connector.source.read(this.feed, this.position, 10, never()).then(
      () => undefined,
      (reason: unknown) => reason,
    )
    if (!SyncError.is(error)) throw new Error(`no SyncError: ${String(error)}`)
    return error
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.connector.source.close()
    await this.connector.target.close()
    await this.shop[Symbol.asyncDispose]()
  }
}

import { SyncError } from '../../errors/index.ts'
import type { AppId } from '../../model/ids.ts'
import type { Clock } from '../../ports/clock.ts'
import type { ConnectionOptions } from './driver.ts'

/** The server's log, behind an interface of our own: committed transactions in order, pulled and not pushed. @vlasky/zongji reads the protocol and decodes the rows. */

export interface LoggedRow {
  readonly table: string
  /** null for an insert. */
  readonly before: Readonly<Record<string, unknown>> | null
  /** null for a delete. */
  readonly after: Readonly<Record<string, unknown>> | null
  readonly atMs: number
}

/** One transaction, or a piece of a very long one. */
export interface LoggedTransaction {
  readonly gtid: Gtid
  readonly rows: readonly LoggedRow[]
  /** Of the first row: how many of the transaction came before it. */
  readonly from: number
  readonly isLast: boolean
}

export interface Gtid {
  readonly domain: number
  readonly server: number
  readonly seq: string
}

export const gtidText = ({ domain, server, seq }: Gtid): string => `${domain}-${server}-${seq}`

export function parseGtid(text: string): Gtid | undefined {
  const match = /^(\d+)-(\d+)-(\d+)$/.exec(text)
  return match === null ? undefined : { domain: Number(match[1]), server: Number(match[2]), seq: match[3] as string }
}

/** Rows that wait to be taken; above it the server is made to wait. */
const ROWS_MAX = 5_000
const ROWS_RESUME = 1_000
/** A transaction longer than this is handed on in pieces, so that its length is no matter of memory. */
const PIECE_ROWS_MAX = 10_000
/** Commits whose place in the log is remembered, so that the place of a snapshot can be told without asking the server to search. */
const PLACES_MAX = 50_000

interface ZongjiEvent {
  readonly nextPosition: number
  readonly timestamp: number
  readonly tableId?: number
  readonly rows?: readonly unknown[]
  readonly tableMap?: Readonly<Record<number, { readonly parentSchema: string; readonly tableName: string }>>
  readonly seqNo?: number | string
  readonly domainId?: number
  readonly serverId?: number
  readonly query?: string
  readonly binlogName?: string
  getEventName(): string
}

interface Zongji {
  readonly connection: { pause(): void; resume(): void } | null
  on(event: string, listener: (value: never) => void): unknown
  start(options: Readonly<Record<string, unknown>>): void
  stop(): void
}

export interface BinlogStreamOptions {
  readonly app: AppId
  readonly connection: ConnectionOptions
  readonly serverId: number
  readonly tables: readonly string[]
  readonly clock: Clock
}

export class BinlogStream {
  readonly #options: BinlogStreamOptions
  readonly #queue: LoggedTransaction[] = []
  #queued = 0
  #paused = false
  #zongji: Zongji | null = null
  #failure: unknown
  #wake: (() => void) | null = null
  #current: { gtid: Gtid; rows: LoggedRow[]; from: number } | null = null
  #file = ''
  /** `<file>:<end of the commit>` to its number. */
  readonly #places = new Map<string, string>()
  /** The last transaction that went by, whether it concerned us or not. */
  passed: Gtid | null = null

  constructor(options: BinlogStreamOptions) {
    this.#options = options
  }

  /** Begins behind what a position (`0-1-57`, one for each domain) names. */
  async start(after: string): Promise<void> {
    const { app, connection, serverId, tables } = this.#options
    const ZongJi = await loadZongji(app)
    const zongji = new ZongJi({
      ...connection,
      charset: 'utf8mb4',
      timezone: 'Z',
      dateStrings: true,
      jsonStrings: true,
      supportBigNumbers: true,
    })
    this.#zongji = zongji
    zongji.on('error', (error: never) => this.#fail(error))
    zongji.on('binlog', (event: never) => {
      try {
        this.#take(event)
      } catch (error) {
        this.#fail(error)
      }
    })
    zongji.start({
      gtidSet: after,
      serverId,
      includeEvents: [
        'rotate',
        'tablemap',
        'writerows',
        'updaterows',
        'deleterows',
        'mariadbgtid',
        'xid',
        'query',
        // MySQL and compressed logs name theirs otherwise; what cannot be read must be an error and not a silence.
        'writerowscompressed',
        'updaterowscompressed',
        'deleterowscompressed',
      ],
      includeSchema: { [connection.database]: [...tables] },
    })
  }

  #fail(error: unknown): void {
    this.#failure ??= error
    this.#wake?.()
  }

  #take(event: ZongjiEvent): void {
    const name = event.getEventName()
    if (name === 'rotate') this.#file = String(event.binlogName)
    else if (name === 'mariadbgtid') this.#begin(event)
    else if (name === 'xid') this.#end(event)
    else if (name === 'query') {
      const query = (event.query ?? '').trim().toUpperCase()
      if (query === 'COMMIT' || query === 'ROLLBACK') this.#end(event)
    } else if (/rows/.test(name)) this.#rows(event, name)
  }

  #begin(event: ZongjiEvent): void {
    // A group without a commit of its own (a change of a table's definition) ends where the next begins.
    if (this.#current !== null) this.#finish()
    const gtid = { domain: event.domainId ?? 0, server: event.serverId ?? 0, seq: String(event.seqNo) }
    this.#current = { gtid, rows: [], from: 0 }
  }

  #rows(event: ZongjiEvent, name: string): void {
    const map = event.tableId === undefined ? undefined : event.tableMap?.[event.tableId]
    if (this.#current === null || map === undefined || event.rows === undefined) return
    for (const row of event.rows) {
      const { before, after } = name.startsWith('update')
        ? (row as { before: LoggedRow['before']; after: LoggedRow['after'] })
        : name.startsWith('write')
          ? { before: null, after: row as LoggedRow['after'] }
          : { before: row as LoggedRow['before'], after: null }
      this.#current.rows.push({ table: map.tableName, before, after, atMs: event.timestamp })
    }
    if (this.#current.rows.length < PIECE_ROWS_MAX) return
    const { gtid, rows, from } = this.#current
    this.#push({ gtid, rows, from, isLast: false })
    this.#current = { gtid, rows: [], from: from + rows.length }
  }

  #end(event: ZongjiEvent): void {
    const gtid = this.#current?.gtid
    if (gtid !== undefined) {
      this.#places.set(`${this.#file}:${event.nextPosition}`, gtid.seq)
      if (this.#places.size > PLACES_MAX)
        for (const oldest of this.#places.keys()) {
          this.#places.delete(oldest)
          break
        }
    }
    this.#finish()
  }

  #finish(): void {
    if (this.#current === null) return
    const { gtid, rows, from } = this.#current
    this.#current = null
    this.passed = gtid
    if (rows.length > 0 || from > 0) this.#push({ gtid, rows, from, isLast: true })
    else this.#wake?.()
  }

  #push(transaction: LoggedTransaction): void {
    this.#queue.push(transaction)
    this.#queued += transaction.rows.length
    if (this.#queued > ROWS_MAX && !this.#paused) {
      this.#paused = true
      this.#zongji?.connection?.pause()
    }
    this.#wake?.()
  }

  /** The next transaction, if there is one. Rejects once the stream has failed and all before is taken. */
  peek(): LoggedTransaction | undefined {
    const [first] = this.#queue
    if (first === undefined && this.#failure !== undefined) throw this.#failure
    return first
  }

  shift(): void {
    const first = this.#queue.shift()
    this.#queued -= first?.rows.length ?? 0
    if (!this.#paused || this.#queued > ROWS_RESUME) return
    this.#paused = false
    this.#zongji?.connection?.resume()
  }

  /** Waits until there is something to take, or for this long. */
  async wait(maxMs: number, signal: AbortSignal): Promise<void> {
    if (this.#queue.length > 0 || this.#failure !== undefined || signal.aborted) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = this.#options.clock.timer(maxMs, resolve)
    signal.addEventListener('abort', () => resolve(), { once: true })
    this.#wake = resolve
    await promise
    this.#wake = null
    timer.cancel()
  }

  /** The number of the transaction that ended exactly there, where it went by. */
  numberAt(file: string, position: string): string | undefined {
    return this.#places.get(`${file}:${position}`)
  }

  stop(): void {
    this.#failure ??= new SyncError('internal.bug', 'the log is not read any more')
    this.#zongji?.stop()
    this.#zongji = null
    this.#wake?.()
  }
}

async function loadZongji(app: AppId): Promise<new (options: Readonly<Record<string, unknown>>) => Zongji> {
  try {
    const loaded = (await import('@vlasky/zongji')) as unknown as { default: never }
    return loaded.default
  } catch (cause) {
    throw new SyncError(
      'driver.missing',
      `${app} needs the package @vlasky/zongji to read the log: npm install @vlasky/zongji@0.9.0. Or give mariadb({ changes: 'triggers' }).`,
      { place: { app }, cause },
    )
  }
}

import type { Clock } from '../../ports/clock.ts'
import { connect, type PgClient, type PgQuery, type PgResult } from './driver.ts'

export interface SessionsOptions {
  readonly url: string
  readonly app: string
  readonly max: number
  readonly settings: Readonly<Record<string, string | number>>
  readonly clock: Clock
  /** What a new session does first. */
  readonly prepare?: (session: Session) => Promise<void>
}

/** The deadline or the caller ended it; what the server made of it is not known. */
export class SessionCut extends Error {}
/** Nothing was sent. */
export class NotSent extends Error {}

/** One session while it is held. */
export interface Session {
  query(text: string, values?: readonly (string | null)[], name?: string): Promise<PgResult>
  /** Text without parameters, also several statements. */
  run(text: string): Promise<void>
}

interface Waiter {
  resolve(client: PgClient | null): void
  reject(error: unknown): void
}

/** A handful of sessions to one database: made when needed, kept, thrown away when they break. */
export class Sessions {
  readonly #options: SessionsOptions
  readonly #idle: PgClient[] = []
  readonly #waiting: Waiter[] = []
  readonly #open = new Set<PgClient>()
  #count = 0
  #closed = false

  constructor(options: SessionsOptions) {
    this.#options = options
  }

  /**
   * Runs `work` on a session of its own. After `deadlineMs`, or when `signal` is aborted, the session is cut and SessionCut thrown. Whatever error comes out, the
   * session is not used again unless the server itself reported it.
   */
  async use<T>(work: (session: Session) => Promise<T>, deadlineMs: number, signal?: AbortSignal): Promise<T> {
    if (signal?.aborted === true) throw new NotSent('it was cancelled before it was sent')
    const { promise: cut, reject: cutBy } = Promise.withResolvers<never>()
    cut.catch(() => {})
    let client: PgClient | null = null
    let isOver = false
    const end = (why: string): void => {
      cutBy(client === null ? new NotSent(why) : new SessionCut(why))
      client?.connection.stream.destroy()
    }
    const timer = this.#options.clock.timer(deadlineMs, () => end(`no answer within ${deadlineMs} ms`))
    const aborted = (): void => end('it was cancelled')
    signal?.addEventListener('abort', aborted, { once: true })
    try {
      const got = this.#take()
      // A session that comes after the deadline belongs to the next.
      got.then(
        (late) => isOver && this.#give(late, true),
        () => {},
      )
      const held = await Promise.race([got, cut])
      client = held
      const result = await Promise.race([work(sessionOf(held)), cut])
      this.#give(held, true)
      return result
    } catch (error) {
      isOver = true
      if (client !== null) this.#give(client, isFromServer(error))
      throw error
    } finally {
      timer.cancel()
      signal?.removeEventListener('abort', aborted)
    }
  }

  async #take(): Promise<PgClient> {
    for (;;) {
      if (this.#closed) throw new NotSent('the connector is closed')
      const idle = this.#idle.pop()
      if (idle !== undefined) {
        if (idle.connection.stream.writable) return idle
        this.#forget(idle)
        continue
      }
      if (this.#count < this.#options.max) return this.#make()
      const { promise, resolve, reject } = Promise.withResolvers<PgClient | null>()
      this.#waiting.push({ resolve, reject })
      const given = await promise
      if (given !== null) return given
    }
  }

  async #make(): Promise<PgClient> {
    this.#count++
    try {
      const { url, app, settings, prepare } = this.#options
      const client = await connect({ url, app, settings })
      await prepare?.(sessionOf(client)).catch((error: unknown) => {
        client.connection.stream.destroy()
        throw error
      })
      this.#open.add(client)
      return client
    } catch (error) {
      this.#count--
      this.#waiting.shift()?.resolve(null)
      throw error
    }
  }

  #give(client: PgClient, isWell: boolean): void {
    if (!isWell || this.#closed || !client.connection.stream.writable) {
      this.#forget(client)
      this.#waiting.shift()?.resolve(null)
      return
    }
    const waiter = this.#waiting.shift()
    if (waiter === undefined) this.#idle.push(client)
    else waiter.resolve(client)
  }

  #forget(client: PgClient): void {
    if (!this.#open.delete(client)) return
    this.#count--
    if (this.#closed) void client.end().catch(() => {})
    else client.connection.stream.destroy()
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const waiter of this.#waiting.splice(0)) waiter.reject(new NotSent('the connector is closed'))
    const idle = this.#idle.splice(0)
    for (const client of idle) this.#open.delete(client)
    this.#count -= idle.length
    await Promise.all(idle.map((client) => client.end().catch(() => {})))
  }
}

/** The server answered with an error, and the session goes on; a fatal one ends it, and its socket says so. */
const isFromServer = (error: unknown): boolean =>
  typeof error === 'object' && error !== null && 'severity' in error && error.severity === 'ERROR'

const sessionOf = (client: PgClient): Session => ({
  query: (text, values, name) => {
    const query: PgQuery = {
      text,
      rowMode: 'array',
      ...(values === undefined ? {} : { values }),
      ...(name === undefined ? {} : { name }),
    }
    return client.query(query)
  },
  run: async (text) => {
    await client.query(text)
  },
})

import type { Clock } from '../../ports/clock.ts'
import { type CallLimits, SqlFailure, type SqlParam, type SqlResult, type SqlSession } from './sql.ts'

/** Sessions to a server that belongs to another program: opened when needed, kept, thrown away when they break. */

const isLost = (error: unknown): error is SqlFailure =>
  error instanceof SqlFailure && (error.kind === 'lost' || error.kind === 'unreachable')

/** One session, and whether a transaction is open in it. A connector says how a statement is sent. */
export abstract class PooledSession implements SqlSession {
  isBroken = false
  /** It has served a call before, so it may have been cut since without our knowing. */
  isReused = false
  #isCommitting = false
  #inTransaction = false

  /** Rejects with SqlFailure. */
  protected abstract send(sql: string, params: readonly SqlParam[]): Promise<SqlResult>
  protected abstract cut(): void
  protected abstract leave(): Promise<void>

  get isCommitting(): boolean {
    return this.#isCommitting
  }

  async run(sql: string, params: readonly SqlParam[] = []): Promise<SqlResult> {
    try {
      return await this.send(sql, params)
    } catch (error) {
      if (isLost(error)) this.isBroken = true
      throw error
    }
  }

  async begin(sql: string): Promise<void> {
    this.#inTransaction = true
    await this.run(sql)
  }

  /** From here on nobody can say that nothing was applied, unless the server itself says so. */
  async commit(): Promise<void> {
    this.#isCommitting = true
    try {
      await this.run('commit')
      this.#inTransaction = false
    } catch (error) {
      const inDoubt = error instanceof SqlFailure && (error.kind === 'lost' || error.kind === 'failed')
      throw inDoubt ? new SqlFailure(error.kind, error.message, { cause: error, mayBeApplied: true }) : error
    } finally {
      this.#isCommitting = false
    }
  }

  async rollback(): Promise<void> {
    if (!this.#inTransaction) return
    this.#inTransaction = false
    await this.run('rollback').catch(() => {
      this.isBroken = true
    })
  }

  destroy(): void {
    this.isBroken = true
    this.cut()
  }

  async end(): Promise<void> {
    this.isBroken = true
    await this.leave()
  }
}

export interface SessionPoolOptions<Session> {
  readonly clock: Clock
  readonly max: number
  /** Rejects with SqlFailure, or what else is known of it; never with the driver's own error. */
  readonly open: () => Promise<Session>
  /** A connection broke: the server may be another one from now on. */
  readonly onReplaced: () => void
}

export class SessionPool<Session extends PooledSession> {
  readonly #options: SessionPoolOptions<Session>
  readonly #idle: Session[] = []
  readonly #waiting: (() => void)[] = []
  #open = 0
  #closed = false

  constructor(options: SessionPoolOptions<Session>) {
    this.#options = options
  }

  /** Runs on one session, which is clean or gone afterwards. Where an idle one turns out to be cut, nothing was done on it, and another is taken. */
  async use<T>(limits: CallLimits, work: (session: Session) => Promise<T>): Promise<T> {
    for (;;) {
      let wasIdle = false
      try {
        return await this.#once(limits, (session) => {
          wasIdle = session.isReused
          return work(session)
        })
      } catch (error) {
        const again = wasIdle && error instanceof SqlFailure && error.kind === 'lost' && !error.mayBeApplied
        if (!again) throw error
      }
    }
  }

  async #once<T>({ untilMs, signal }: CallLimits, work: (session: Session) => Promise<T>): Promise<T> {
    if (signal.aborted || this.#closed) throw new SqlFailure('unavailable', 'the hub is stopping')
    const { clock, onReplaced } = this.#options
    let session: Session | undefined
    const gaveUp = Promise.withResolvers<never>()
    gaveUp.promise.catch(() => undefined)
    const giveUp = (kind: 'timeout' | 'unavailable', why: string): void => {
      const mayBeApplied = session?.isCommitting ?? false
      session?.destroy()
      gaveUp.reject(new SqlFailure(kind, why, { mayBeApplied }))
    }
    const timer = clock.timer(Math.max(0, untilMs - clock.monotonicMs()), () =>
      giveUp('timeout', 'no answer within the time allowed'),
    )
    const onAbort = (): void => giveUp('unavailable', 'the hub is stopping')
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      session = await Promise.race([this.#acquire(), gaveUp.promise])
      return await Promise.race([work(session), gaveUp.promise])
    } catch (error) {
      if (isLost(error)) onReplaced()
      throw error
    } finally {
      timer.cancel()
      signal.removeEventListener('abort', onAbort)
      if (session !== undefined) await this.#release(session)
    }
  }

  async #acquire(): Promise<Session> {
    for (;;) {
      const idle = this.#idle.pop()
      if (idle !== undefined && !idle.isBroken) {
        idle.isReused = true
        return idle
      }
      if (idle !== undefined) {
        this.#open--
        continue
      }
      if (this.#open < this.#options.max) break
      await new Promise<void>((resolve) => void this.#waiting.push(resolve))
    }
    this.#open++
    try {
      return await this.#options.open()
    } catch (error) {
      this.#open--
      this.#waiting.shift()?.()
      throw error
    }
  }

  async #release(session: Session): Promise<void> {
    if (!session.isBroken && !this.#closed) await session.rollback()
    if (session.isBroken || this.#closed) {
      session.destroy()
      this.#open--
    } else this.#idle.push(session)
    this.#waiting.shift()?.()
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await Promise.all(this.#idle.splice(0).map((session) => session.end()))
  }
}

/** A deadlock is resolved by the next try, nearly always; what is not is left to the engine's pauses. */
const CONTENTION_TRIES = 4
const CONTENTION_PAUSE_MS = 20

/** Tries what lost against others at the same rows once more, while there is time. */
export async function untilUncontended<T>(clock: Clock, limits: CallLimits, attempt: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await attempt()
    } catch (error) {
      const again = error instanceof SqlFailure && error.kind === 'contention' && tries < CONTENTION_TRIES
      const pauseMs = CONTENTION_PAUSE_MS * tries
      if (!again || clock.monotonicMs() + pauseMs >= limits.untilMs) throw error
      await new Promise<void>((resolve) => clock.timer(pauseMs, resolve))
    }
  }
}

/** For a server that tells nothing by itself: it is asked again after `ms`. False when aborted. */
export function pollPause(clock: Clock, ms: number, signal: AbortSignal): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const done = (): void => {
    timer.cancel()
    signal.removeEventListener('abort', done)
    resolve(!signal.aborted)
  }
  const timer = clock.timer(ms, done)
  signal.addEventListener('abort', done, { once: true })
  if (signal.aborted) done()
  return promise
}

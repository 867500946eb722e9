import { SyncError } from '../../errors/index.ts'
import type { Clock, Log, Random } from '../../ports/clock.ts'

/** The first pause is short, because most ends are a broker's restart; the longest keeps a broker that is away for a night from being asked without end. */
const PAUSE_FIRST_MS = 200
const PAUSE_MAX_MS = 30_000
const CLOSE_MS = 2_000

interface Session {
  readonly ended: Promise<SyncError>
  close(): Promise<void>
}

export interface KeptDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

/** Keeps one session open: after an end, or a failed beginning, the next one begins after a pause that grows up to half a minute. */
export class KeptOpen<S extends Session> {
  readonly #what: string
  readonly #open: () => Promise<S>
  readonly #deps: KeptDeps
  #session: S | null = null
  #failures = 0
  #timer: { cancel(): void } | null = null
  #opening: Promise<void> | null = null
  #isStarted = false
  #isClosed = false
  /** Why there is no session. */
  #reason: SyncError | null = null
  #waiting: ((session: S | null) => void)[] = []

  constructor(what: string, open: () => Promise<S>, deps: KeptDeps) {
    this.#what = what
    this.#open = open
    this.#deps = deps
  }

  get session(): S | null {
    return this.#session
  }

  /** Why there is no session now; null while there is one, or none was tried. */
  get reason(): SyncError | null {
    return this.#session === null ? this.#reason : null
  }

  /** From now on; idempotent. */
  start(): void {
    if (this.#isStarted) return
    this.#isStarted = true
    this.#next()
  }

  #next(): void {
    if (this.#isClosed) return
    this.#opening ??= this.#begin().finally(() => {
      this.#opening = null
    })
  }

  /** The session, as soon as there is one; null when `ms` have passed before, or it is closed. */
  within(ms: number): Promise<S | null> {
    if (this.#session !== null || this.#isClosed) return Promise.resolve(this.#session)
    return new Promise((resolve) => {
      const timer = this.#deps.clock.timer(ms, () => done(null))
      const done = (session: S | null): void => {
        timer.cancel()
        this.#waiting = this.#waiting.filter((one) => one !== done)
        resolve(session)
      }
      this.#waiting.push(done)
    })
  }

  async #begin(): Promise<void> {
    let session: S
    try {
      session = await this.#open()
    } catch (error) {
      this.#again(SyncError.from(error))
      return
    }
    if (this.#isClosed) {
      await session.close()
      return
    }
    if (this.#failures > 0) this.#deps.log.log('info', `${this.#what}: connected again`)
    this.#failures = 0
    this.#session = session
    this.#tell(session)
    void session.ended.then(async (reason) => {
      if (this.#session === session) this.#session = null
      await session.close()
      this.#again(reason)
    })
  }

  #again(reason: SyncError): void {
    if (this.#isClosed) return
    this.#reason = reason
    const full = Math.min(PAUSE_MAX_MS, PAUSE_FIRST_MS * 2 ** Math.min(this.#failures, 20))
    const pauseMs = Math.round(full / 2 + (full / 2) * this.#deps.random.next())
    // Said when it begins and then ever more seldom: a broker that is away for hours must not fill the log.
    if ((this.#failures & (this.#failures - 1)) === 0)
      this.#deps.log.log('warn', `${this.#what}: ${reason.message} It is tried again.`, {
        code: reason.code,
        ...reason.place,
      })
    this.#failures++
    this.#timer = this.#deps.clock.timer(pauseMs, () => this.#next())
  }

  #tell(session: S | null): void {
    for (const done of this.#waiting) done(session)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#timer?.cancel()
    this.#tell(null)
    // A broker that does not answer is not waited for: a session that opens later is closed as soon as it does.
    const { promise: tooLong, resolve } = Promise.withResolvers<void>()
    const timer = this.#deps.clock.timer(CLOSE_MS, resolve)
    await Promise.race([this.#opening, tooLong])
    timer.cancel()
    const session = this.#session
    this.#session = null
    await session?.close()
  }
}

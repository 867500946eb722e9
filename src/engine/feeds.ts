import { SyncError } from '../errors/index.ts'
import type { AppId } from '../model/ids.ts'
import type { Connector } from '../ports/app.ts'
import type { Engine } from './engine.ts'

/** Changes taken in one read of a feed: one commit's worth. */
const READ_MAX = 500
const PAUSE_AFTER_ERROR_MS = 1_000

/** Reads the feeds of all sources by cursor: what was read and where it ends become durable together, and only then is the position confirmed. */
export class FeedReader {
  readonly #engine: Engine
  readonly #connectors: ReadonlyMap<AppId, Connector>
  readonly #abort = new AbortController()
  /** The next read of each feed: a hub that stopped must not live on for it. */
  readonly #timers = new Map<string, { cancel(): void }>()

  readonly #unread = new Set<string>()
  /** Who waits for feeds to be read past the time of their asking. */
  #passes: Pass[] = []

  constructor(engine: Engine, connectors: ReadonlyMap<AppId, Connector>) {
    this.#engine = engine
    this.#connectors = connectors
  }

  /**
   * Begins to read. An application whose feed was never read before is not written to until what it holds is known: otherwise the hub would create there
   * what it already has.
   */
  async start(): Promise<void> {
    for (const connector of this.#connectors.values()) {
      for (const { feed, everyMs } of connector.source.feeds) {
        if ((await this.#engine.journal.feed(connector.app, feed)) === null) this.#hold(connector.app, feed)
        this.#readLater(connector, feed, everyMs, 0)
      }
    }
  }

  #hold(app: AppId, feed: string): void {
    this.#unread.add(nameOf(app, feed))
    this.#engine.dispatcher.hold(app)
  }

  /** A feed has been read to its end once. */
  #caughtUp(app: AppId, feed: string): void {
    if (!this.#unread.delete(nameOf(app, feed))) return
    for (const other of this.#unread) if (other.startsWith(app + '\u0000')) return
    this.#engine.dispatcher.unhold(app)
    this.#engine.wake()
  }

  /** Resolves once every feed of the application has been read to its end by a read that began after this call, and the journal has what it gave. */
  passed(app: AppId): Promise<void> {
    const source = this.#connectors.get(app)?.source
    const feeds = source?.feeds.map(({ feed }) => feed) ?? []
    return new Promise((resolve) => {
      this.#passes.push({ app, missing: new Set(feeds), resolve })
      for (const feed of feeds) source?.hurry?.(feed)
    })
  }

  #passedBy(passes: readonly Pass[], feed: string): void {
    for (const pass of passes) {
      pass.missing.delete(feed)
      if (pass.missing.size > 0) continue
      this.#passes = this.#passes.filter((other) => other !== pass)
      pass.resolve()
    }
  }

  stop(): void {
    this.#abort.abort('the hub has stopped')
    for (const timer of this.#timers.values()) timer.cancel()
  }

  #readLater(connector: Connector, feed: string, everyMs: number, delayMs: number): void {
    if (this.#abort.signal.aborted) return
    const timer = this.#engine.clock.timer(delayMs, () => {
      if (this.#abort.signal.aborted) return
      this.#readOnce(connector, feed).then(
        (more) => {
          if (!more) this.#caughtUp(connector.app, feed)
          this.#readLater(connector, feed, everyMs, more ? 0 : everyMs)
        },
        (error: unknown) => {
          if (this.#abort.signal.aborted) return
          const reason = SyncError.from(error)
          this.#engine.log.log('warn', `feed ${feed} of ${connector.app} could not be read: ${reason.message}`, {
            code: reason.code,
          })
          this.#readLater(connector, feed, everyMs, Math.max(everyMs, reason.retryAfterMs ?? PAUSE_AFTER_ERROR_MS))
        },
      )
    })
    this.#timers.set(nameOf(connector.app, feed), timer)
  }

  async #readOnce(connector: Connector, feed: string): Promise<boolean> {
    const { journal, limits, cursor } = this.#engine
    if (journal.last() - cursor > limits.backlogMax) return false
    const after = await journal.feed(connector.app, feed)
    const asked = this.#passes.filter((pass) => pass.app === connector.app && pass.missing.has(feed))
    const reading = connector.source.read(feed, after, READ_MAX, this.#abort.signal)
    if (asked.length > 0) connector.source.hurry?.(feed)
    const { changes, position, more } = await reading
    if (this.#abort.signal.aborted) return false
    if (changes.length === 0 && position === after) {
      if (!more) this.#passedBy(asked, feed)
      return false
    }
    await this.#engine.append(
      changes.map((change) => this.#engine.newNotification(change)),
      [{ app: connector.app, feed, position }],
    )
    if (this.#abort.signal.aborted) return false
    if (!more) this.#passedBy(asked, feed)
    await connector.source.confirm(feed, position)
    return more
  }
}

interface Pass {
  readonly app: AppId
  /** Feeds that have yet to be read to their end. */
  readonly missing: Set<string>
  readonly resolve: () => void
}

const nameOf = (app: AppId, feed: string): string => `${app}\u0000${feed}`

import { SyncError } from '../errors/index.ts'
import type { AppId } from '../model/ids.ts'
import type { Note } from '../model/record.ts'
import type { Connector } from '../ports/app.ts'
import type { Engine } from './engine.ts'

/** Changes taken in one read of a feed: one commit's worth. */
const READ_MAX = 500
const PAUSE_AFTER_ERROR_MS = 1_000
/** Of what an application held already so much stands in the journal ahead of the fold: some batches' worth, so that memory stays flat and live changes of others are not kept waiting. */
const FIRST_UNDECIDED_MAX = 5_000
const PAUSE_FULL_MS = 5

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
   * what it already has. That stands in the store before anything is read, so that a hub which is killed meanwhile still knows it.
   */
  async start(): Promise<void> {
    const { journal, brakes, clock } = this.#engine
    const notes: Note[] = []
    for (const { app, source } of this.#connectors.values()) {
      let isNew = brakes.contact.isReading(app)
      for (const { feed } of source.feeds) isNew ||= (await journal.feed(app, feed)) === null
      if (!isNew) continue
      if (!brakes.contact.isReading(app)) notes.push(brakes.contact.begin(app, clock.nowMs()))
      for (const { feed } of source.feeds) this.#hold(app, feed)
    }
    if (notes.length > 0) await this.#write(notes)
    for (const connector of this.#connectors.values())
      for (const { feed, everyMs } of connector.source.feeds) this.#readLater(connector, feed, everyMs, 0)
  }

  /** Nothing else commits yet. */
  #write(notes: readonly Note[]): Promise<void> {
    const { store, info } = this.#engine
    const nothing = { records: [], links: [], matches: [], held: [], heldDone: [], conflicts: [] }
    return store.commit({ epoch: info?.epoch ?? 0, cursor: null, ...nothing, notes })
  }

  #hold(app: AppId, feed: string): void {
    this.#unread.add(nameOf(app, feed))
    this.#engine.dispatcher.hold(app)
  }

  /** A feed has been read to its end once. What it gave stands in the journal; writes may begin when all of that is decided on, so that is said there, too. */
  async #caughtUp(app: AppId, feed: string): Promise<void> {
    if (!this.#unread.has(nameOf(app, feed))) return
    const isLast = ![...this.#unread].some((other) => other.startsWith(app + '\u0000') && other !== nameOf(app, feed))
    if (isLast) await this.#engine.operate({ action: 'first-read', app })
    this.#unread.delete(nameOf(app, feed))
  }

  /** Resolves once every feed of the application has been read to its end by a read that began after this call, and the journal has what it gave. */
  passed(app: AppId): Promise<void> {
    const source = this.#connectors.get(app)?.source
    const feeds = source?.feeds.map(({ feed }) => feed) ?? []
    let pass = this.#passes.findLast((one) => one.app === app && !one.isBegun)
    if (pass === undefined) {
      pass = { app, missing: new Set(feeds), isBegun: false, ...Promise.withResolvers<void>() }
      this.#passes.push(pass)
      for (const feed of feeds) source?.hurry?.(feed)
    }
    return pass.promise
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
      this.#readAndNote(connector, feed).then(
        (came) => {
          const pauseMs = { more: 0, end: everyMs, later: Math.max(everyMs, PAUSE_FULL_MS) }[came]
          this.#readLater(connector, feed, everyMs, pauseMs)
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

  async #readAndNote(connector: Connector, feed: string): Promise<Came> {
    const came = await this.#readOnce(connector, feed)
    if (came === 'end') await this.#caughtUp(connector.app, feed)
    return came
  }

  async #readOnce(connector: Connector, feed: string): Promise<Came> {
    const { journal, limits, cursor } = this.#engine
    const isFirst = this.#unread.has(nameOf(connector.app, feed))
    const undecidedMax = isFirst ? Math.min(limits.backlogMax, FIRST_UNDECIDED_MAX) : limits.backlogMax
    if (journal.last() - cursor > undecidedMax) return 'later'
    const after = await journal.feed(connector.app, feed)
    const asked = this.#passes.filter((pass) => pass.app === connector.app && pass.missing.has(feed))
    for (const pass of asked) pass.isBegun = true
    const reading = connector.source.read(feed, after, READ_MAX, this.#abort.signal)
    if (asked.length > 0) connector.source.hurry?.(feed)
    const { changes, position, more } = await reading
    if (this.#abort.signal.aborted) return 'later'
    if (changes.length === 0 && position === after) {
      if (!more) this.#passedBy(asked, feed)
      return more ? 'later' : 'end'
    }
    await this.#engine.append(
      changes.map((change) => this.#engine.newNotification(change)),
      [{ app: connector.app, feed, position }],
    )
    if (this.#abort.signal.aborted) return 'later'
    if (!more) this.#passedBy(asked, feed)
    await connector.source.confirm(feed, position)
    return more ? 'more' : 'end'
  }
}

/** What a read of a feed came to. later: too much is undecided, so nothing was read. */
type Came = 'more' | 'end' | 'later'

/** One asking for all who ask before any read of it has begun: a burst asks for thousands of lanes at once. */
interface Pass {
  readonly app: AppId
  /** Feeds that have yet to be read to their end. */
  readonly missing: Set<string>
  isBegun: boolean
  readonly promise: Promise<void>
  readonly resolve: () => void
}

const nameOf = (app: AppId, feed: string): string => `${app}\u0000${feed}`

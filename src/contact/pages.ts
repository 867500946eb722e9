import { SyncError } from '../errors/index.ts'
import type { ReadImage } from '../model/change.ts'
import type { AppId, FeedPosition, ObjectId } from '../model/ids.ts'
import type { Source } from '../ports/app.ts'
import type { Clock } from '../ports/clock.ts'

/** Records asked for at once: enough that a round trip does not count, few enough that a page is some MB at the most. */
export const PAGE_RECORDS = 2_000
/** A page that could not be read is asked for again so often, with growing pauses; a comparison of an hour should not fail for a moment's outage. */
const TRIES_MAX = 6
const PAUSE_FIRST_MS = 250

export interface Page {
  /** Counted from 1. */
  readonly number: number
  /** Where it began, so that it can be read again. */
  readonly after: FeedPosition | null
  readonly records: readonly ReadImage[]
  /** Where it ended; null for the last. */
  readonly position: FeedPosition | null
}

/** Lets through at most so many records a second, over all who share it. */
export class Pace {
  readonly #clock: Clock
  readonly #perSecond: number
  #nextMs = 0

  constructor(clock: Clock, perSecond: number) {
    this.#clock = clock
    this.#perSecond = perSecond
  }

  async take(records: number): Promise<void> {
    if (!Number.isFinite(this.#perSecond)) return
    const nowMs = this.#clock.monotonicMs()
    const waitMs = this.#nextMs - nowMs
    this.#nextMs = Math.max(nowMs, this.#nextMs) + (records * 1_000) / this.#perSecond
    if (waitMs > 0) await new Promise<void>((resolve) => this.#clock.timer(waitMs, resolve))
  }
}

export interface PagesOptions {
  readonly source: Source
  readonly object: ObjectId
  readonly clock: Clock
  readonly pace: Pace
  readonly signal: AbortSignal
  /** Goes on after a page that was read before. */
  readonly from?: { readonly number: number; readonly position: FeedPosition | null }
}

/** All pages of an object, the next one asked for while one is worked on. */
export async function* pagesOf(options: PagesOptions): AsyncGenerator<Page> {
  let number = options.from?.number ?? 0
  let after = options.from?.position ?? null
  let next = readPage(options, after)
  for (;;) {
    const { records, position } = await next
    const page: Page = { number: ++number, after, records, position }
    await options.pace.take(records.length)
    if (position !== null) {
      next = readPage(options, position)
      // Whoever stops reading pages must not leave a rejection that nobody hears.
      next.catch(() => {})
      after = position
    }
    yield page
    if (position === null) return
  }
}

/** One page, tried again for a while. Throws SyncError `source.not-listable` where the application cannot list its records. */
export async function readPage(
  { source, object, clock, signal }: Pick<PagesOptions, 'source' | 'object' | 'clock' | 'signal'>,
  after: FeedPosition | null,
): Promise<Pick<Page, 'records' | 'position'>> {
  if (source.scan === undefined) throw notListable(source.app, object)
  for (let attempt = 1; ; attempt++) {
    try {
      return await source.scan(object, after, PAGE_RECORDS, signal)
    } catch (error) {
      const reason = SyncError.from(error)
      if (signal.aborted || attempt === TRIES_MAX || reason.handling !== 'retry') throw reason
      const pauseMs = reason.retryAfterMs ?? PAUSE_FIRST_MS * 2 ** attempt
      await new Promise<void>((resolve) => clock.timer(pauseMs, resolve))
    }
  }
}

export const notListable = (app: AppId, object: ObjectId): SyncError =>
  new SyncError(
    'source.not-listable',
    `${app} cannot list the records of ${object}, so they cannot be compared. For an HTTP resource give \`list\` (or \`poll\`) in its binding.`,
    { place: { app, object } },
  )

import type { Change } from '../../../model/change.ts'
import { asFeedPosition, type FeedPosition, type Token } from '../../../model/ids.ts'
import type { AppRecord, SimApp } from './app.ts'

export interface FeedPage {
  readonly changes: readonly Change[]
  readonly position: FeedPosition
  readonly more: boolean
}

/** A feed that the hub reads by position. */
export interface Feed {
  committed(record: AppRecord): void
  page(after: FeedPosition | null, max: number): FeedPage
  /** Whether there is anything after this position. */
  hasNews(after: FeedPosition | null): boolean
}

const start = (after: FeedPosition | null): number => (after === null ? 0 : Number(after))

/** The application's log (F3): every version, in the order of commit, with its image, for ever. */
export class LogFeed implements Feed {
  readonly #app: SimApp
  readonly #changes: Change[] = []
  /** Which version stands at a position of the log, by its place in the order of everything. */
  readonly seqByToken = new Map<Token, number>()

  constructor(app: SimApp) {
    this.#app = app
  }

  committed(record: AppRecord): void {
    if (record.token !== undefined) this.seqByToken.set(record.token, record.version.seq)
    const deliveryId = `${this.#app.profile.app}-l${this.#changes.length + 1}`
    this.#changes.push(this.#app.changeOf(record, 'image', deliveryId))
  }

  hasNews(after: FeedPosition | null): boolean {
    return this.#changes.length > start(after)
  }

  page(after: FeedPosition | null, max: number): FeedPage {
    const from = start(after)
    const changes = this.#changes.slice(from, from + max)
    const to = from + changes.length
    const position = asFeedPosition(String(to))
    return { changes, position, more: to < this.#changes.length }
  }
}

/** Records that changed since the last look, each once, as they are now (F1): intermediate values are never seen. */
export class PollFeed implements Feed {
  readonly #app: SimApp
  /** In the order of their last change; the position is the number of that change. */
  readonly #changedAt = new Map<AppRecord, number>()
  #count = 0
  #looks = 0

  constructor(app: SimApp) {
    this.#app = app
  }

  committed(record: AppRecord): void {
    this.#changedAt.delete(record)
    this.#changedAt.set(record, ++this.#count)
  }

  hasNews(after: FeedPosition | null): boolean {
    return this.#count > start(after)
  }

  page(after: FeedPosition | null, max: number): FeedPage {
    const changes: Change[] = []
    let position = start(after)
    this.#looks++
    for (const [record, at] of this.#changedAt) {
      if (at <= position) continue
      if (changes.length === Math.min(max, this.#app.profile.pageSize)) {
        return { changes, position: asFeedPosition(String(position)), more: true }
      }
      changes.push(this.#app.changeOf(record, this.#kindFor(record), `${this.#app.profile.app}-p${this.#looks}.${at}`))
      position = at
    }
    return { changes, position: asFeedPosition(String(position)), more: false }
  }

  #kindFor(record: AppRecord): Change['kind'] {
    const { capabilities, deleteNotice } = this.#app.profile
    if (!record.isLive) return deleteNotice
    return capabilities.image === 'I0' ? 'hint' : 'image'
  }
}

import type { ReadImage } from '../../model/change.ts'
import type { FeedPosition, NativeId, ObjectId, Token } from '../../model/ids.ts'
import type { WriteOp } from '../../ports/app.ts'
import { type AppRecord, SimApp } from './apps/app.ts'
import { type Feed, type FeedPage, LogFeed, PollFeed } from './apps/feeds.ts'
import type { AppProfile } from './apps/profile.ts'
import { Webhooks } from './apps/webhooks.ts'
import type { Faults } from './faults.ts'
import type { Gate } from './gate.ts'
import { type Fate, Network, TIMEOUT_MS } from './network.ts'
import type { World } from './world.ts'

/** How soon a log that is followed shows what was committed. */
const LOG_EVERY_MS = 5
const SLUGGISH_MS = TIMEOUT_MS - 100

type Settle = (page: FeedPage | null, resolve: (page: FeedPage) => void, reject: (error: Error) => void) => void

/** One application with all that stands around it: its way of telling of changes, and its network. It outlives every process of the hub. */
export class AppNode {
  readonly app: SimApp
  readonly network: Network
  readonly feed: Feed | null
  readonly webhooks: Webhooks | null
  readonly #world: World
  readonly #faults: Faults
  /** Wakes a reader that waits for news. */
  #wake: (() => void) | null = null
  /** Told of every record that the hub makes here. */
  onHubCreate: ((record: AppRecord) => void) | null = null
  /** The record that takes long to write here. */
  sluggishRecord: number | null = null
  #confirmed: FeedPosition | null = null
  /** The page that was read last. */
  #handed: FeedPage | null = null

  constructor(profile: AppProfile, world: World, gate: Gate, faults: Faults, spanMs: number) {
    this.app = new SimApp(profile, world)
    this.network = new Network(world, faults, spanMs)
    this.#world = world
    this.#faults = faults
    this.feed =
      profile.notify === 'log' ? new LogFeed(this.app) : profile.notify === 'poll' ? new PollFeed(this.app) : null
    this.webhooks = profile.notify === 'webhook' ? new Webhooks(this.app, world, gate, faults) : null
    this.app.onCommit = (record) => {
      this.feed?.committed(record)
      this.webhooks?.committed(record)
      this.#wake?.()
      if (record.version.kind === 'create' && record.version.hub !== null) this.onHubCreate?.(record)
    }
  }

  /** A call with a write of the sluggish record takes nearly as long as the hub has patience for. */
  slowed(ops: readonly WriteOp[], fate: Fate): Fate {
    if (this.sluggishRecord === null || fate.arrivesMs === null || fate.answersMs === null) return fate
    const isSlow = ops.some((op) => this.#recordOf(op) === this.sluggishRecord)
    if (!isSlow) return fate
    return { ...fate, arrivesMs: fate.arrivesMs + SLUGGISH_MS, answersMs: fate.answersMs + SLUGGISH_MS }
  }

  #recordOf(op: WriteOp): number | undefined {
    const { app } = this
    if (op.nativeId !== null) return app.recordAt(op.object, op.nativeId)?.thing
    const object = app.profile.objectsById.get(op.object)
    return object?.thingOf(object.made(op.patch))
  }

  /** Whether the hub still has to hear of something. */
  get hasNews(): boolean {
    return (this.webhooks?.pending ?? 0) > 0 || this.feed?.hasNews(this.#confirmed) === true
  }

  /** The hub says that it has everything up to here: what it was given with that position counts as acknowledged. */
  confirmed(position: FeedPosition): void {
    this.#confirmed = position
    if (this.#handed?.position !== position) return
    const atMs = this.#world.clock.monotonicMs()
    for (const { app, deliveryId } of this.#handed.changes) {
      this.#world.history.acknowledged.push({ app, deliveryId: deliveryId ?? '', atMs })
    }
    this.#handed = null
  }

  /** A reader that waits for news wants to know now where the feed stands. */
  hurry(): void {
    this.#wake?.()
  }

  /** A read of the feed waits for news (but not for ever), looks at its own pace, and may fail. To read after a position is to confirm it. */
  readFeed(
    after: FeedPosition | null,
    max: number,
    patienceMs: number,
    signal: AbortSignal,
    settle: Settle,
  ): Promise<FeedPage> {
    if (after !== null) this.confirmed(after)
    const { clock } = this.#world
    const feed = this.feed as Feed
    const { notify, pollEveryMs } = this.app.profile
    const delayMs = this.#faults.hit('drop')
      ? TIMEOUT_MS
      : this.#faults.int('feed', 1, notify === 'poll' ? pollEveryMs : LOG_EVERY_MS)
    return new Promise((resolve, reject) => {
      let isAnswered = false
      const answer = (): void => {
        if (isAnswered) return
        isAnswered = true
        timer.cancel()
        signal.removeEventListener('abort', answer)
        this.#wake = null
        const failed = this.network.isDown || this.#faults.hit('readFailure')
        this.#handed = failed ? null : feed.page(after, max)
        settle(this.#handed, resolve, reject)
      }
      // Whoever reads for the first time wants to know where the feed stands, also when there is nothing in it.
      const answersNow = after === null || feed.hasNews(after)
      let timer = clock.timer(answersNow ? delayMs : patienceMs, answer)
      if (!answersNow) {
        this.#wake = () => {
          this.#wake = null
          timer.cancel()
          timer = clock.timer(delayMs, answer)
        }
      }
      signal.addEventListener('abort', answer, { once: true })
    })
  }

  /** Of a log that blind writes may run ahead of: how far the hub had followed it when it sent a write. */
  noteFollowed(object: ObjectId, nativeId: NativeId, token: Token | null): void {
    const { condition, feed } = this.app.profile.capabilities
    if (condition === 'C2' || feed !== 'F3' || !(this.feed instanceof LogFeed)) return
    const capturedSeq = token === null ? 0 : (this.feed.seqByToken.get(token) ?? 0)
    const receivedAtMs = this.#world.clock.monotonicMs()
    this.#world.history.reads.push({ app: this.app.profile.app, object, nativeId, capturedSeq, receivedAtMs })
  }

  /** What the hub knows of an application that takes blind writes, and since when: the start of every window in which an edit may be lost. */
  noteReads(images: readonly ReadImage[], capturedSeq: number): void {
    if (this.app.profile.capabilities.condition === 'C2') return
    const receivedAtMs = this.#world.clock.monotonicMs()
    for (const { app, object, nativeId } of images) {
      this.#world.history.reads.push({ app, object, nativeId, capturedSeq, receivedAtMs })
    }
  }
}

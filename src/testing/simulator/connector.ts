import { SyncError } from '../../errors/index.ts'
import type { Capabilities } from '../../model/capabilities.ts'
import type { Outcome, ReadImage } from '../../model/change.ts'
import {
  type AppId,
  asNativeId,
  type CorrelationId,
  type FeedPosition,
  type NativeId,
  type ObjectId,
} from '../../model/ids.ts'
import type { Accepted, Connector, Source, Target, WriteOp } from '../../ports/app.ts'
import type { AppNode } from './app-node.ts'
import type { Sent } from './apps/app.ts'
import type { FeedPage } from './apps/feeds.ts'
import { sendingChecks } from './checkers/step-checks.ts'
import { type Life, never } from './crash.ts'
import { type Fate, TIMEOUT_MS } from './network.ts'
import type { World } from './world.ts'

/** A poll with nothing to tell answers after this long, so that quiet hours cost few events. */
const LONG_POLL_MS = 55_000
export const FEED = 'changes'
/** Late duplicates of hints lead to a few reads; more is a hub that turns in a circle. */
const IDLE_READS_MAX = 100

/** The connector of one process of the hub to one simulated application, with the network in between. */
export class SimConnector implements Connector, Source, Target {
  readonly app: AppId
  readonly source: Source = this
  readonly target: Target = this
  readonly listens = []
  readonly feeds: Source['feeds']
  readonly #node: AppNode
  readonly #world: World
  readonly #life: Life
  readonly #checks: ReturnType<typeof sendingChecks>

  constructor(node: AppNode, world: World, life: Life) {
    this.app = node.app.profile.app
    this.#node = node
    this.#world = world
    this.#life = life
    this.feeds = node.feed === null ? [] : [{ feed: FEED, everyMs: 20 }]
    this.#checks = sendingChecks(node, world)
  }

  capabilities(_object: ObjectId): Capabilities {
    return this.#node.app.profile.capabilities
  }

  accept(): Accepted {
    throw new SyncError('intake.unknown-path', 'simulated applications hand their notifications to the hub as changes')
  }

  write(ops: readonly WriteOp[], _deadlineMs: number, _signal: AbortSignal): Promise<readonly Outcome[]> {
    if (!this.#life.passes('before write')) return never()
    this.#checks.leaves(ops)
    const sent = { sentAtMs: this.#world.clock.monotonicMs(), sentSeq: this.#world.seq }
    const fate = this.#node.slowed(ops, this.#node.network.fate('write'))
    if (this.#world.trace.isOn) this.#world.say(this.app, `<- ${ops.map(describeOp).join(', ')} ${describeFate(fate)}`)
    return this.#call(
      fate,
      'write',
      () => this.#applyAll(ops, fate, sent),
      (outcomes) => outcomes,
      (failure) => ops.map((op) => failedOutcome(op, failure)),
      () => this.#checks.returned(ops),
    )
  }

  readRecords(
    requests: readonly { readonly object: ObjectId; readonly nativeId: NativeId }[],
  ): Promise<readonly ReadImage[]> {
    if (this.#world.trace.isOn)
      this.#world.say(this.app, `<- read ${requests.map((request) => request.nativeId).join(', ')}`)
    return this.#reads(
      () => requests.map(({ object, nativeId }) => this.#node.app.read(object, nativeId)),
      () => requests.map(({ object, nativeId }) => ({ app: this.app, object, nativeId })),
    )
  }

  findByCorrelation(
    requests: readonly { readonly object: ObjectId; readonly correlationId: CorrelationId }[],
  ): Promise<readonly ReadImage[]> {
    if (this.#world.trace.isOn)
      this.#world.say(this.app, `<- find ${requests.map((request) => request.correlationId).join(', ')}`)
    return this.#reads(
      () => requests.map(({ object, correlationId }) => this.#node.app.find(object, correlationId)),
      () => requests.map(({ object }) => ({ app: this.app, object, nativeId: asNativeId('') })),
    )
  }

  read(_feed: string, after: FeedPosition | null, max: number, signal: AbortSignal): Promise<FeedPage> {
    if (!this.#life.passes('before feed')) return never()
    return this.#node.readFeed(after, max, LONG_POLL_MS, signal, (page, resolve, reject) => {
      if (!this.#life.passes('after feed')) return
      if (page !== null) resolve(page)
      else reject(new SyncError('source.read-failed', `${this.app} did not answer a request for its changes`))
    })
  }

  hurry(_feed: string): void {
    if (this.#life.isAlive) this.#node.hurry()
  }

  async confirm(_feed: string, position: FeedPosition): Promise<void> {
    if (this.#life.isAlive) this.#node.confirmed(position)
  }

  async close(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}

  #reads(look: () => ReadImage[], blank: () => Omit<ReadImage, 'result'>[]): Promise<readonly ReadImage[]> {
    if (!this.#life.passes('before read')) return never()
    this.#world.readsAfterQuiet += this.#world.isQuiet ? 1 : 0
    if (this.#world.readsAfterQuiet > IDLE_READS_MAX)
      this.#world.fail('busy', `${this.app} is read again and again, although everything has come to rest`)
    let capturedSeq = 0
    return this.#call(
      this.#node.network.fate('read'),
      'read',
      () => {
        capturedSeq = this.#world.seq
        return look()
      },
      (images) => {
        this.#node.noteReads(images, capturedSeq)
        if (this.#world.trace.isOn)
          for (const image of images)
            this.#world.say(
              this.app,
              `   ${image.nativeId} ${image.result} ${image.token ?? ''} ${JSON.stringify(image.record ?? null)}`,
            )
        return images
      },
      (failure) =>
        blank().map((image) => ({
          ...image,
          result: 'failed',
          code: failure.code,
          message: failure.message,
          ...failure.retry,
        })),
      () => {},
    )
  }

  /** One request over the network: its effect in the application, and its answer (or silence) to the process that sent it. */
  #call<Effect, Answer>(
    fate: Fate,
    what: 'write' | 'read',
    effect: () => Effect,
    answer: (effect: Effect) => Answer,
    failed: (failure: Failure) => Answer,
    returned: () => void,
  ): Promise<Answer> {
    const { clock } = this.#world
    return new Promise((resolve) => {
      const reply = (value: () => Answer): void => {
        this.#world.underWay--
        if (!this.#life.passes(`after ${what}`)) return
        returned()
        resolve(value())
      }
      this.#world.underWay++
      let result: Effect
      if (fate.arrivesMs !== null) {
        const outlives = fate.answersMs === null
        if (outlives) this.#world.underWay++
        clock.timer(fate.arrivesMs, () => {
          if (outlives) this.#world.underWay--
          result = effect()
        })
      }
      const failure = failureOf(fate)
      clock.timer(fate.answersMs ?? TIMEOUT_MS, () =>
        reply(() => (failure === null ? answer(result) : failed(failure))),
      )
    })
  }

  #applyAll(ops: readonly WriteOp[], fate: Fate, sent: Sent): Outcome[] {
    const done = fate.isCut && ops.length > 1 ? Math.floor(ops.length / 2) : ops.length
    return ops.map((op, i) => {
      if (i >= done) return failedOutcome(op, TIMED_OUT)
      if (fate.isMisled && op.kind === 'update') return { op: op.op, result: 'gone' }
      const outcome = this.#node.app.apply(op, sent)
      if (this.#world.trace.isOn) this.#world.say(this.app, `   ${op.op} -> ${outcome.result} ${outcome.token ?? ''}`)
      return outcome
    })
  }
}

interface Failure {
  readonly code: string
  readonly message: string
  readonly isKnown: boolean
  readonly retry: { readonly retryAfterMs?: number }
}

const TIMED_OUT: Failure = { code: 'target.unknown', message: 'no answer', isKnown: false, retry: {} }

function failureOf(fate: Fate): Failure | null {
  if (fate.answersMs === null) return TIMED_OUT
  if (fate.refusal === null) return null
  if (fate.refusal === 'unreachable') {
    return { code: 'target.unreachable', message: 'connection refused', isKnown: true, retry: {} }
  }
  if (fate.retryAfterMs !== undefined) {
    return {
      code: 'target.unavailable',
      message: 'too many requests',
      isKnown: true,
      retry: { retryAfterMs: fate.retryAfterMs },
    }
  }
  // A 500 does not say whether anything happened, although here nothing did.
  return { code: 'target.unknown', message: 'internal server error', isKnown: false, retry: {} }
}

function failedOutcome(op: WriteOp, failure: Failure): Outcome {
  const { code, message, retry } = failure
  return failure.isKnown
    ? { op: op.op, result: 'refused', handling: 'retry', code, message, ...retry }
    : { op: op.op, result: 'unknown', code, message }
}

const describeOp = (op: WriteOp): string =>
  `${op.kind} ${op.nativeId ?? op.correlationId} ${JSON.stringify(op.patch)} (${op.op}${op.baseToken === null ? '' : `, if ${op.baseToken}`}${op.resend ? ', again' : ''})`

function describeFate(fate: Fate): string {
  if (fate.refusal !== null) return `[${fate.refusal}]`
  if (fate.arrivesMs === null) return '[lost]'
  if (fate.answersMs === null) return `[no answer, applied after ${fate.arrivesMs} ms]`
  if (fate.isMisled) return '[not found, it says]'
  return fate.isCut ? '[cut]' : `[${fate.answersMs} ms]`
}

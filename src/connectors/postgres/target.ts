import { SyncError } from '../../errors/index.ts'
import type { Outcome } from '../../model/change.ts'
import type { Target, WriteOp } from '../../ports/app.ts'
import type { Clock, Log } from '../../ports/clock.ts'
import { type Chain, isInTheWay, unchain } from '../tables/unchain.ts'
import { type Batch, type BatchItem, batchesOf } from './batches.ts'
import type { Catalog } from './catalog.ts'
import { failureOf, isUnreachable, meaningOf, refusedOutcome, unknownOutcome } from './errors.ts'
import type { PostgresAppOptions } from './options.ts'
import type { OwnWrites } from './own-writes.ts'
import { NotSent, type Session, SessionCut, type Sessions } from './sessions.ts'
import { canMoveAside, swap } from './swaps.ts'
import { BatchWriter } from './writes.ts'

export interface PostgresTargetDeps {
  readonly sessions: Sessions
  readonly own: OwnWrites
  readonly catalog: () => Promise<Catalog>
  readonly clock: Clock
  readonly log: Log
  readonly release: () => Promise<void>
}

/** A log that is read shows a commit within milliseconds; a server that restarts takes seconds. */
const LOG_WAIT_MS = 10_000
/** How often a batch that lost against others at the same rows is tried at once, before its ops are left to the engine's pauses. */
const CONTENTION_TRIES = 3
/** Set-based writes: one statement and one transaction per set of changed columns, split where a row of it fails. */
export function createPostgresTarget(options: PostgresAppOptions, deps: PostgresTargetDeps): Target {
  const writer = new BatchWriter(options)
  const close = deps.release
  return {
    app: options.app,
    write: (ops, deadlineMs, signal) => new Call(options, deps, writer, ops).run(deadlineMs, signal),
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** One `write`: what is known of each op so far, and which are on their way. */
class Call {
  readonly #options: PostgresAppOptions
  readonly #deps: PostgresTargetDeps
  readonly #writer: BatchWriter
  readonly #ops: readonly WriteOp[]
  readonly #outcomes: (Outcome | undefined)[]
  /** Sent, and not answered yet. */
  #flying: readonly BatchItem[] = []

  constructor(options: PostgresAppOptions, deps: PostgresTargetDeps, writer: BatchWriter, ops: readonly WriteOp[]) {
    this.#options = options
    this.#deps = deps
    this.#writer = writer
    this.#ops = ops
    this.#outcomes = new Array(ops.length)
  }

  async run(deadlineMs: number, signal: AbortSignal): Promise<readonly Outcome[]> {
    const { clock, own } = this.#deps
    const endMs = clock.monotonicMs() + deadlineMs
    const ops = this.#ops.filter((op) => this.#needsPlace(op)).map(({ op }) => op)
    own.expect(ops)
    try {
      await this.#send(deadlineMs, signal)
      await this.#place(Math.max(0, endMs - clock.monotonicMs()), signal)
    } finally {
      own.forget(ops)
    }
    return this.#ops.map((op, at) => this.#outcomes[at] ?? unknownOutcome(this.#options.app, op, 'it was not answered'))
  }

  /**
   * Gives the outcomes their places in the log. A write that the log does not show in time is in doubt after all: without its place, what the log tells later could not be
   * told from what came before. A create needs none, because nothing came before it; nor does a row, of which the log itself says all.
   */
  async #place(leftMs: number, signal: AbortSignal): Promise<void> {
    const { own } = this.#deps
    const applied: { readonly at: number; readonly op: WriteOp }[] = []
    for (const [at, op] of this.#ops.entries())
      if (this.#needsPlace(op) && this.#outcomes[at]?.result === 'applied') applied.push({ at, op })
    if (applied.length === 0) return
    await own.settled(
      applied.map(({ op }) => op.op),
      Math.min(leftMs, LOG_WAIT_MS),
      signal,
    )
    for (const { at, op } of applied) {
      const token = own.tokenOf(op.op)
      this.#outcomes[at] =
        token === undefined
          ? unknownOutcome(this.#options.app, op, 'the log has not shown it yet')
          : { ...(this.#outcomes[at] as Outcome), token }
    }
  }

  #needsPlace(op: WriteOp): boolean {
    const table = this.#options.tables.find(({ object }) => object === op.object)
    return op.kind !== 'create' && table !== undefined && table.parts.length > 0
  }

  async #send(deadlineMs: number, signal: AbortSignal): Promise<void> {
    try {
      const catalog = await this.#deps.catalog()
      const { batches, misfits } = batchesOf(this.#ops, (op) => catalog.tables.get(op.object))
      for (const { at, why } of misfits) this.#outcomes[at] = this.#misfit(this.#ops[at] as WriteOp, why)
      if (batches.length > 0)
        await this.#deps.sessions.use((session) => this.#writeAll(session, batches), deadlineMs, signal)
    } catch (error) {
      this.#interrupted(error)
    }
  }

  #misfit(op: WriteOp, why: string): Outcome {
    return {
      op: op.op,
      result: 'refused',
      handling: 'park',
      code: 'target.rejected',
      message: `${this.#options.app}: ${op.kind} of ${op.object} ${op.nativeId ?? ''} was not sent: ${why}.`,
    }
  }

  /** The call ended early: what was on its way is unknown, what had not left was certainly not applied. */
  #interrupted(error: unknown): void {
    const { app } = this.#options
    const failure = failureOf(error)
    const flying = new Set(this.#flying.map(({ at }) => at))
    // An error that the server itself reported for the statement means that its transaction is gone.
    const isSure = meaningOf(failure) !== undefined
    for (const [at, op] of this.#ops.entries()) {
      if (this.#outcomes[at] !== undefined) continue
      if (flying.has(at) && !isSure) this.#outcomes[at] = unknownOutcome(app, op, failure.message)
      else if (SyncError.is(error)) this.#outcomes[at] = setUp(op, error)
      else if (error instanceof NotSent || error instanceof SessionCut || !(isSure || isUnreachable(failure)))
        this.#outcomes[at] = {
          op: op.op,
          result: 'refused',
          handling: 'retry',
          code:
            flying.size > 0 || error instanceof NotSent || error instanceof SessionCut
              ? 'target.unavailable'
              : 'target.unreachable',
          message: `${app}: ${op.kind} of ${op.object} was not sent: ${failure.message}.`,
        }
      else this.#outcomes[at] = refusedOutcome(app, op, failure)
    }
  }

  async #writeAll(session: Session, batches: readonly Batch[]): Promise<void> {
    for (const batch of batches) await this.#write(session, batch, CONTENTION_TRIES)
    await this.#unchain(session, batches)
  }

  async #write(session: Session, batch: Batch, tries: number): Promise<void> {
    if (batch.items.length === 0) return
    if (batch.hasParts && batch.items.length > 1) {
      for (const item of batch.items) await this.#write(session, { ...batch, items: [item] }, tries)
      return
    }
    this.#takeOff(batch.items)
    let outcomes: readonly Outcome[]
    try {
      outcomes = await this.#writer.write(session, batch)
    } catch (error) {
      return this.#failed(session, batch, error, tries)
    }
    for (const [i, { at }] of batch.items.entries()) this.#outcomes[at] = outcomes[i] as Outcome
    this.#flying = []
  }

  /** Nothing of the batch was applied. Halves find the row that is to blame; the others are not held up by it. */
  async #failed(session: Session, batch: Batch, error: unknown, tries: number): Promise<void> {
    const failure = failureOf(error)
    const meaning = meaningOf(failure)
    if (meaning === undefined) throw error
    this.#flying = []
    if ('again' in meaning && meaning.again === true && tries > 1) return this.#write(session, batch, tries - 1)
    if (meaning.split === true && batch.items.length > 1) {
      const half = batch.items.length >> 1
      await this.#write(session, { ...batch, items: batch.items.slice(0, half) }, tries)
      await this.#write(session, { ...batch, items: batch.items.slice(half) }, tries)
      return
    }
    if (isFatal(error)) throw error
    for (const { at, op } of batch.items) this.#outcomes[at] = refusedOutcome(this.#options.app, op, failure)
  }

  async #unchain(session: Session, batches: readonly Batch[]): Promise<void> {
    const codeOf = (batch: Batch): string | undefined => this.#outcomes[batch.items[0]?.at ?? -1]?.code
    const chain: Chain<Batch> = {
      left: () =>
        batches
          .flatMap((batch) => batch.items.map((item) => ({ ...batch, items: [item] })))
          .filter((batch) => isInTheWay(codeOf(batch))),
      write: (batch) => this.#write(session, batch, 1),
      canMoveAside: (batch) => codeOf(batch) === 'target.unique' && canMoveAside(batch),
      together: (ring) => this.#together(session, ring),
    }
    await unchain(
      chain,
      this.#outcomes.some((outcome) => outcome?.result === 'applied'),
    )
  }

  async #together(session: Session, ring: readonly Batch[]): Promise<number | null> {
    const items = ring.flatMap((batch) => batch.items)
    const before = this.#takeOff(items)
    const stuck = await swap(session, ring)
    this.#flying = []
    for (const [i, { at, op }] of items.entries())
      this.#outcomes[at] = stuck === null ? { op: op.op, result: 'applied' } : before[i]
    return stuck
  }

  /** From here on nothing is known of these, not even what was known of an earlier try. */
  #takeOff(items: readonly BatchItem[]): readonly (Outcome | undefined)[] {
    const before = items.map(({ at }) => this.#outcomes[at])
    for (const { at } of items) this.#outcomes[at] = undefined
    this.#flying = items
    return before
  }
}

/** The server ends the session with the error: whatever else was to be sent on it cannot be. */
const isFatal = (error: unknown): boolean =>
  typeof error === 'object' && error !== null && 'severity' in error && error.severity !== 'ERROR'

/** A database that is not set up as needed says nothing about this record: its lane waits until that is put right. */
const setUp = (op: WriteOp, error: SyncError): Outcome => ({
  op: op.op,
  result: 'refused',
  handling: error.handling === 'park' ? 'park' : 'retry',
  code: error.code,
  message: error.message,
})

import { SyncError } from '../../errors/index.ts'
import type { Outcome } from '../../model/change.ts'
import { type AppId, asNativeId, type ObjectId } from '../../model/ids.ts'
import type { NativeRecord } from '../../model/value.ts'
import type { Target, WriteOp } from '../../ports/app.ts'
import { type ChangeEvent, type WrittenEvent, writeEvent } from './events.ts'
import { type KeptDeps, KeptOpen } from './keep-open.ts'
import { marksOf } from './marks.ts'
import type { BrokerObject, BrokerTopic } from './options.ts'

/** What a target asks of a broker: one connection that publishes. */
export interface PublishingSession {
  readonly ended: Promise<SyncError>
  /** Resolves when the broker has it. Rejects with SyncError `broker.unroutable` or `broker.unconfirmed`. */
  publish(object: ObjectId, kind: WriteOp['kind'], message: PublishedChange): Promise<void>
  close(): Promise<void>
}

export interface PublishedChange extends WrittenEvent {
  readonly id: string
  /** The record's id, for routing keys and partitions. */
  readonly subject: string
  readonly timeMs: number
}

export interface TargetTopic {
  readonly object: BrokerObject
  readonly topic: BrokerTopic
}

/** Publishes changes. A change is applied once the broker has confirmed that it keeps it; who reads it, and when, is not known here. */
export function createBrokerTarget(
  app: AppId,
  topics: readonly TargetTopic[],
  prefix: string,
  open: () => Promise<PublishingSession>,
  deps: KeptDeps,
): Target {
  const kept = new KeptOpen(`${app}, to publish`, open, deps)
  const topicByObject = new Map<string, TargetTopic>(topics.map((topic) => [topic.object.object, topic] as const))
  const write = async (op: WriteOp, untilMs: number): Promise<Outcome> => {
    const known = topicByObject.get(op.object)
    if (known === undefined)
      return refusal(op, 'park', 'broker.read-only', `${app}/${op.object} is only read; nothing is published for it`)
    const session = await kept.within(Math.max(0, untilMs - deps.clock.monotonicMs()))
    if (session === null) {
      const why = kept.reason?.message ?? 'there is no connection yet.'
      return refusal(op, 'retry', 'target.unreachable', `${app}: ${why}`)
    }
    // A record that is created here has no id of its own: the hub's key is its id.
    const nativeId = op.nativeId ?? asNativeId(op.correlationId)
    const timeMs = deps.clock.nowMs()
    const written = writeEvent(eventOf(op, nativeId, known, timeMs), known.topic.form, prefix)
    const change = {
      ...written,
      headers: { ...written.headers, ...marksOf(op) },
      id: op.op,
      subject: nativeId,
      timeMs,
    }
    const { promise: late, resolve } = Promise.withResolvers<'late'>()
    const timer = deps.clock.timer(Math.max(1, untilMs - deps.clock.monotonicMs()), () => resolve('late'))
    try {
      const ended = await Promise.race([session.publish(op.object, op.kind, change), late])
      if (ended === 'late')
        return { op: op.op, result: 'unknown', code: 'target.unknown', message: `${app}: not confirmed in time` }
      return { op: op.op, result: 'applied', ...(op.kind === 'create' ? { nativeId } : {}) }
    } catch (error) {
      const reason = SyncError.from(error)
      if (reason.code === 'broker.unconfirmed')
        return { op: op.op, result: 'unknown', code: 'target.unknown', message: reason.message }
      return refusal(op, reason.handling === 'retry' ? 'retry' : 'park', reason.code, reason.message)
    } finally {
      timer.cancel()
    }
  }
  return {
    app,
    write: async (ops, deadlineMs) => {
      kept.start()
      const untilMs = deps.clock.monotonicMs() + deadlineMs
      return Promise.all(ops.map((op) => write(op, untilMs)))
    },
    close: () => kept.close(),
    [Symbol.asyncDispose]: () => kept.close(),
  }
}

const KINDS = { create: 'created', update: 'updated', delete: 'deleted' } as const

const refusal = (op: WriteOp, handling: 'retry' | 'park', code: string, message: string): Outcome => ({
  op: op.op,
  result: 'refused',
  handling,
  code,
  message,
})

function eventOf(op: WriteOp, subject: string, { object, topic }: TargetTopic, timeMs: number): ChangeEvent {
  const record: NativeRecord = op.kind === 'create' ? { ...op.full, ...op.patch } : op.full
  return {
    id: op.op,
    source: topic.source,
    type: `${topic.type}.${KINDS[op.kind]}`,
    subject,
    timeMs,
    sequence: sequenceOf(op.op),
    data: { ...record, [object.id]: subject },
  }
}

/** Twelve digits for the writes of one record, before them the generation of the store: a hub that was put back from a backup goes on above what it has published. */
const WRITES_DIGITS = 12
const GENERATION_DIGITS = 8

/** `<instance>.<generation>.<record>.<app>.<n>`, where n counts the writes of one record in one application: what it is, is in order. */
export function sequenceOf(op: string): string {
  const steps = op.split('.')
  const [generation = '', n = ''] = [steps[1], steps.at(-1)]
  return generation.padStart(GENERATION_DIGITS, '0') + n.padStart(WRITES_DIGITS, '0')
}

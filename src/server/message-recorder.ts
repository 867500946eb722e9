import type { MessagePolicy } from '../config/messages.ts'
import { SyncError } from '../errors/index.ts'
import type { FlowModel, Message, Run, SetAside } from '../model/flow.ts'
import type { FlowName, JournalPosition, RunId } from '../model/ids.ts'
import { encodeData, type NativeData } from '../model/value.ts'
import type { Clock, Log } from '../ports/clock.ts'
import type { Delivered, FlowDoor } from '../ports/listen.ts'
import type { LaterVerdict, MessageLog, MessageRow, NewMessage } from '../ports/messages.ts'

/** Written behind: so many rows in one go, half a millisecond for which nobody waits noticeably, or this long after the first. */
const ROWS_MAX = 64
const FLUSH_MS = 250
/** Rows that wait to be written. Beyond it the oldest go: this is for people to look at, and the door does not wait for it. */
const WAITING_MAX = 20_000
/** Of a payload so much is kept: enough for a record, little enough for a million of them. */
const PAYLOAD_CHARS_MAX = 16_384
/** Positions and runs whose later verdicts are looked for. */
const FOLLOWED_MAX = 20_000
const DAY_MS = 86_400_000
const PRUNE_MAX = 5_000
const REDACTED = '[redacted]'

/** What was kept of a message at the door, before it has a number. */
type Kept = Omit<NewMessage, 'payload' | 'isCut' | 'isRedacted' | 'bytes'> & {
  readonly body: NativeData
  /** The body's text, where it is at hand. */
  readonly text?: string | undefined
  readonly redact: readonly string[]
}

/**
 * Keeps what arrived and what became of it (src/ports/messages.ts). HOT PATH in `add`: it puts aside and returns; text is made, and written, when the door has nothing to do.
 */
export class MessageRecorder {
  readonly #log: MessageLog
  readonly #clock: Clock
  readonly #say: Log
  readonly #policy: MessagePolicy
  #waiting: Kept[] = []
  #later: (LaterVerdict & { readonly id: number })[] = []
  #dropped = 0
  #timer: { cancel(): void } | null = null
  #flushing: Promise<void> | null = null
  #isOpen = false
  /** Rows by journal position or run, so that later verdicts find them. */
  readonly #rowBySeq = new Map<number, number>()
  /** Verdicts that came before their message was written. */
  readonly #early = new Map<number, LaterVerdict[]>()
  readonly #listeners = new Set<(rows: readonly MessageRow[]) => void>()

  constructor(log: MessageLog, clock: Clock, say: Log, policy: MessagePolicy) {
    this.#log = log
    this.#clock = clock
    this.#say = say
    this.#policy = policy
  }

  get log(): MessageLog {
    return this.#log
  }

  async open(): Promise<void> {
    await this.#log.open()
    this.#isOpen = true
  }

  /** Whether the text of a body can be kept as it came. */
  keepsText(redact: readonly string[]): boolean {
    return redact.length + this.#policy.redact.length === 0
  }

  add(kept: Kept): void {
    if (!this.#isOpen) return
    if (this.#waiting.length >= WAITING_MAX) {
      this.#waiting.shift()
      this.#dropped++
    }
    // A full batch does not wait for the timer: what has waited through two collections of young garbage has become old garbage, which is dear.
    if (this.#waiting.push(kept) === ROWS_MAX) this.#soon(0)
    else this.#soon()
  }

  /** What was found out later about what stands at a journal position (a notification's record, or a run, whose id it is). */
  later(seq: number, verdict: LaterVerdict): void {
    const id = this.#rowBySeq.get(seq)
    if (id !== undefined) this.#later.push({ ...verdict, id })
    else if (this.#waiting.length > 0 && this.#early.size < FOLLOWED_MAX) {
      const early = this.#early.get(seq)
      if (early === undefined) this.#early.set(seq, [verdict])
      else early.push(verdict)
    } else return
    this.#soon()
  }

  /** Runs whose state says something to a person. */
  runs(runs: readonly Run[]): void {
    for (const run of runs) {
      const last = run.timeline.at(-1)
      if (last !== undefined && last.what !== 'received' && last.what !== 'started')
        this.later(run.seq, { atMs: last.atMs, verdict: last.what, text: last.text ?? '' })
    }
  }

  subscribe(listener: (rows: readonly MessageRow[]) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #soon(waitMs = FLUSH_MS): void {
    if (this.#flushing !== null || (this.#timer !== null && waitMs > 0)) return
    this.#timer?.cancel()
    this.#timer = this.#clock.timer(waitMs, () => {
      this.#timer = null
      void this.flush()
    })
  }

  /** Writes what waits. Never rejects: what cannot be written is said once, and gone. */
  flush(): Promise<void> {
    this.#flushing ??= this.#flush().finally(() => {
      this.#flushing = null
      if (this.#waiting.length + this.#later.length > 0) this.#soon()
    })
    return this.#flushing
  }

  async #flush(): Promise<void> {
    while (this.#waiting.length + this.#later.length > 0) {
      const kept = this.#waiting.splice(0, ROWS_MAX)
      const later = this.#later.splice(0, ROWS_MAX * 2)
      const rows = kept.map((one) => rowOf(one, this.#policy))
      try {
        const ids = await this.#log.write(rows, later)
        this.#follow(rows, ids)
        this.#tell(rows, ids)
      } catch (error) {
        this.#dropped += rows.length
        this.#say.log('warn', `messages could not be kept for \`latchwork messages\`: ${SyncError.from(error).message}`)
      }
      // Between two batches everything else has its turn.
      await new Promise<void>((resolve) => this.#clock.timer(1, resolve))
    }
    this.#early.clear()
    if (this.#dropped > 0) this.#say.log('warn', `${this.#dropped} messages were not kept for \`latchwork messages\``)
    this.#dropped = 0
  }

  #follow(rows: readonly NewMessage[], ids: readonly number[]): void {
    for (const [i, row] of rows.entries()) {
      const id = ids[i]
      if (id === undefined) continue
      for (const seq of row.run === null ? row.seqs : [Number(row.run)]) {
        this.#rowBySeq.set(seq, id)
        for (const verdict of this.#early.get(seq) ?? []) this.#later.push({ ...verdict, id })
        this.#early.delete(seq)
      }
    }
    for (const seq of this.#rowBySeq.keys()) {
      if (this.#rowBySeq.size <= FOLLOWED_MAX) break
      this.#rowBySeq.delete(seq)
    }
  }

  #tell(rows: readonly NewMessage[], ids: readonly number[]): void {
    if (this.#listeners.size === 0) return
    const told = rows.map((row, i): MessageRow => ({ id: ids[i] ?? 0, ...row, later: [] }))
    for (const listener of this.#listeners) listener(told)
  }

  /** Forgets what is old, and the oldest of too many. */
  async prune(): Promise<void> {
    if (!this.#isOpen) return
    const { keepDays, keepMax } = this.#policy
    const beforeMs = this.#clock.nowMs() - keepDays * DAY_MS
    while ((await this.#log.prune(beforeMs, keepMax, PRUNE_MAX)) > 0)
      await new Promise<void>((resolve) => this.#clock.timer(10, resolve))
  }

  async close(): Promise<void> {
    this.#isOpen = false
    this.#timer?.cancel()
    await this.#flushing
    await this.flush()
    await this.#log.close()
  }
}

function rowOf({ body, text: sent, redact: own, ...kept }: Kept, policy: MessagePolicy): NewMessage {
  const redact = policy.redact.length === 0 ? own : [...own, ...policy.redact]
  const { data, isRedacted } = redact.length === 0 ? { data: body, isRedacted: false } : redacted(body, redact)
  const text = sent !== undefined && redact.length === 0 ? sent : data === null ? null : encodeData(data)
  const isCut = text !== null && text.length > PAYLOAD_CHARS_MAX
  const isSecret = (name: string): boolean => redact.includes(name)
  const secrets = redact.length === 0 ? NO_IDS : Object.keys(kept.properties).filter(isSecret)
  return {
    ...kept,
    properties:
      secrets.length === 0
        ? kept.properties
        : { ...kept.properties, ...Object.fromEntries(secrets.map((name) => [name, REDACTED])) },
    bytes: text?.length ?? 0,
    payload: !policy.payloads ? null : isCut ? text.slice(0, PAYLOAD_CHARS_MAX) : text,
    isCut,
    isRedacted: isRedacted || secrets.length > 0 || !policy.payloads,
  }
}

/** A copy without what stands at the paths (dotted; `*` is every member or element). */
export function redacted(
  data: NativeData,
  paths: readonly string[],
): { readonly data: NativeData; readonly isRedacted: boolean } {
  let isRedacted = false
  const without = (at: NativeData, open: readonly (readonly string[])[]): NativeData => {
    if (open.some((steps) => steps.length === 0)) {
      isRedacted = true
      return REDACTED
    }
    if (typeof at !== 'object' || at === null) return at
    const into = (name: string, value: NativeData): NativeData => {
      const inner = open.filter(([step]) => step === name || step === '*').map((steps) => steps.slice(1))
      return inner.length === 0 ? value : without(value, inner)
    }
    if (Array.isArray(at)) return at.map((value: NativeData, i) => into(String(i), value))
    return Object.fromEntries(
      Object.entries(at as Record<string, NativeData>).map(([name, value]) => [name, into(name, value)]),
    )
  }
  const copy = without(
    data,
    paths.map((path) => path.split('.')),
  )
  return { data: copy, isRedacted }
}

/** The door with a record of everything that goes through it. */
export class RecordedDoor implements FlowDoor {
  readonly #door: FlowDoor
  readonly #recorder: MessageRecorder
  readonly #models: (flow: FlowName) => FlowModel | undefined
  readonly #clock: Clock

  constructor(
    door: FlowDoor,
    recorder: MessageRecorder,
    models: (flow: FlowName) => FlowModel | undefined,
    clock: Clock,
  ) {
    this.#door = door
    this.#recorder = recorder
    this.#models = models
    this.#clock = clock
  }

  refusal(flow: FlowName): SyncError | null {
    return this.#door.refusal(flow)
  }

  /** HOT PATH. */
  async deliver(
    flow: FlowName,
    message: Message,
    signal: AbortSignal | null,
    notes: 'refusals' | 'none' = 'refusals',
    text?: string,
  ): Promise<Delivered> {
    const atMs = this.#clock.nowMs()
    const startedMs = this.#clock.monotonicMs()
    try {
      const delivered = await this.#door.deliver(flow, message, signal, notes, text)
      const kept = { atMs, tookMs: this.#clock.monotonicMs() - startedMs, text }
      if (delivered.kind === 'replied') this.keep(flow, message, 'replied', null, kept)
      else if (delivered.kind === 'filtered')
        this.keep(flow, message, 'filtered', null, { ...kept, reason: delivered.filter })
      else
        this.keep(flow, message, delivered.duplicate ? 'duplicate' : 'accepted', null, { ...kept, run: delivered.run })
      return delivered
    } catch (error) {
      if (notes === 'refusals')
        this.#keepRefusal(flow, message, SyncError.from(error), atMs, this.#clock.monotonicMs() - startedMs)
      throw error
    }
  }

  refused(flow: FlowName, message: Message, error: SyncError): void {
    this.#keepRefusal(flow, message, error, this.#clock.nowMs(), 0)
  }

  #keepRefusal(flow: FlowName, message: Message, reason: SyncError, atMs: number, tookMs: number): void {
    const hasFailed =
      reason.code === 'flow.failed' || reason.code === 'flow.timeout' || reason.code === 'flow.output-invalid'
    this.keep(flow, message, hasFailed ? 'failed' : 'refused', reason, { atMs, tookMs })
  }

  async setAside(flow: FlowName, message: Message & { readonly setAside: SetAside }): Promise<Delivered> {
    const { code, reason } = message.setAside
    const atMs = this.#clock.nowMs()
    const startedMs = this.#clock.monotonicMs()
    const kept = await this.#door.setAside(flow, message)
    const run = kept.kind === 'accepted' ? kept.run : null
    const tookMs = this.#clock.monotonicMs() - startedMs
    this.keep(flow, message, run === null ? 'duplicate' : 'set-aside', new SyncError(code, reason), {
      atMs,
      tookMs,
      run,
    })
    return kept
  }

  keep(
    flow: FlowName,
    message: Message,
    verdict: NewMessage['verdict'],
    error: SyncError | null,
    more: {
      readonly atMs: number
      readonly tookMs: number
      readonly run?: RunId | null
      readonly reason?: string
      readonly text?: string | undefined
    },
  ): void {
    const redact = this.#models(flow)?.redact ?? NO_IDS
    // A text lies in memory as it is; a tree of objects is looked at again and again by the collection of garbage until it is written.
    const isText = more.text !== undefined && this.#recorder.keepsText(redact)
    this.#recorder.add({
      atMs: more.atMs,
      tookMs: Math.round(more.tookMs * 10) / 10,
      origin: message.origin,
      flow,
      app: null,
      deliveryId: message.deliveryId ?? null,
      verdict,
      code: error?.code ?? null,
      reason: error?.message ?? more.reason ?? null,
      run: more.run ?? null,
      seqs: NO_SEQS,
      nativeIds: NO_IDS,
      properties: message.properties,
      body: isText ? null : message.body,
      text: isText ? more.text : undefined,
      redact,
    })
  }
}

const NO_SEQS: readonly JournalPosition[] = []
const NO_IDS: readonly string[] = []

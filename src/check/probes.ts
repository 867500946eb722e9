import type { Capabilities } from '../model/capabilities.ts'
import type { Change, Outcome, ReadImage } from '../model/change.ts'
import { asCorrelationId, asOpId, type CorrelationId, compareTokens, type NativeId, type Token } from '../model/ids.ts'
import { type Image, type Value, valuesEquivalent } from '../model/value.ts'
import type { Connector, WriteOp } from '../ports/app.ts'
import type { Samples } from './samples.ts'

/**
 * The probes of a sandbox: each tries what one letter of docs/protocol.md section 1 claims, through the very connector that the hub will use. They write, and clean up behind them.
 */

export type ProbeCode =
  | 'certify.create'
  | 'certify.idempotency'
  | 'certify.correlation'
  | 'certify.read'
  | 'certify.token'
  | 'certify.condition'
  | 'certify.reply'
  | 'certify.deletes'
  | 'certify.feed'
  | 'certify.image'
  | 'certify.mark'

export interface ProbeResult {
  readonly probe: string
  readonly code: ProbeCode
  /** The letter that it tries, as declared. */
  readonly letter: string
  readonly result: 'holds' | 'fails' | 'untried'
  readonly text: string
}

/** What the application tells, while the probes go on. */
export interface Ear {
  /** The first thing told of a record since `mark()` that is wanted; undefined when there is none within the time. */
  wait(nativeId: NativeId, since: number, isWanted: (change: Change) => boolean): Promise<Change | undefined>
  /** How much has been told so far. */
  mark(): number
  /** The next notifications are answered with 503, as by a hub that is down. null where nothing is sent to us. */
  readonly refuse: ((count: number) => void) | null
}

export interface ProbeOptions {
  readonly connector: Connector
  readonly samples: Samples
  readonly tag: string
  /** null: nothing can be heard; why is said. */
  readonly ear: Ear | null
  readonly deafBecause: string
  readonly referred: (entity: string) => string | undefined
  readonly signal: AbortSignal
}

const DEADLINE_MS = 10_000
const READS = 20
const RACES = 10
const TOKENS = 8

/** Why the rest cannot be tried: the sandbox refused a plain record. */
export class NoSample {
  readonly outcome: Outcome
  constructor(outcome: Outcome) {
    this.outcome = outcome
  }
}

export class Prober {
  readonly #options: ProbeOptions
  readonly #letters: Capabilities
  readonly #results: ProbeResult[] = []
  #count = 0
  #edits = 0
  /** Kept for other entities to refer to; deleted by `clean`. */
  anchor: NativeId | null = null
  readonly #made = new Set<NativeId>()

  constructor(options: ProbeOptions) {
    this.#options = options
    this.#letters = options.connector.capabilities(options.samples.binding.object)
  }

  /** All probes. Throws NoSample when not even a plain record can be made. */
  async run(): Promise<readonly ProbeResult[]> {
    const record = await this.#create()
    this.anchor = record.nativeId
    await this.#tryIdempotentCreate(record)
    await this.#tryCorrelation(record)
    await this.#tryRead(record)
    await this.#tryUpdates(record)
    await this.#tryFeed()
    await this.#tryDeletes()
    return this.#results
  }

  async clean(): Promise<void> {
    for (const nativeId of this.#made) {
      const token = (await this.#read(nativeId)).token ?? null
      await this.#write(this.#op({ kind: 'delete', nativeId, baseToken: token }))
    }
  }

  #note(probe: string, code: ProbeCode, letter: string, holds: boolean | null, text: string): void {
    const result = holds === null ? 'untried' : holds ? 'holds' : 'fails'
    this.#results.push({ probe, code, letter, result, text })
  }

  async #create(): Promise<Made> {
    const { samples, referred } = this.#options
    const image = samples.image(++this.#count, referred)
    const record = samples.create(image)
    const op = this.#op({ kind: 'create', patch: record, full: record })
    const outcome = await this.#write(op)
    if (outcome.result !== 'applied' || outcome.nativeId === undefined) throw new NoSample(outcome)
    this.#made.add(outcome.nativeId)
    return { nativeId: outcome.nativeId, op, outcome, image }
  }

  async #tryIdempotentCreate({ op, nativeId }: Made): Promise<void> {
    const { create, idempotency } = this.#letters
    const probe = 'the same create sent again makes no second record'
    if (idempotency === 'none') {
      const how =
        create === 'K0'
          ? 'no key is sent, so a create of unknown outcome is set aside'
          : 'no key is sent; it is looked for by its external id'
      this.#note(probe, 'certify.create', create, null, how)
      return
    }
    const again = await this.#write({ ...op, resend: true })
    const isSame = again.result === 'applied' && again.nativeId === nativeId
    if (again.nativeId !== undefined) this.#made.add(again.nativeId)
    const what =
      again.nativeId !== undefined && again.nativeId !== nativeId
        ? `it made ${again.nativeId} beside ${nativeId}`
        : `it answered ${told(again)}`
    this.#note(probe, 'certify.create', create, isSame, isSame ? `it answered with ${nativeId} again` : what)
  }

  async #tryCorrelation({ op, nativeId }: Made): Promise<void> {
    const { correlation, create, idempotency } = this.#letters
    if (!correlation) return
    const read = await this.#read(nativeId)
    const kept = read.correlationId === op.correlationId
    this.#note(
      'the external id of a create is kept, and told with the record',
      'certify.correlation',
      create,
      kept,
      kept
        ? 'it is'
        : `it tells ${JSON.stringify(read.correlationId ?? null)}, not ${JSON.stringify(op.correlationId)}`,
    )
    if (idempotency !== 'none') return
    const [found] = await this.#options.connector.source.findByCorrelation(
      [{ object: op.object, correlationId: op.correlationId }],
      this.#options.signal,
    )
    const isFound = found?.result === 'found' && found.nativeId === nativeId
    const what = isFound ? 'it is' : `the search answered ${found?.result ?? 'nothing'} ${found?.message ?? ''}`.trim()
    this.#note('a record is found by its external id', 'certify.correlation', create, isFound, what)
  }

  async #tryRead(record: Made): Promise<void> {
    const { read } = this.#letters
    const probe = `a read shows what was written right before (${READS} times)`
    if (read !== 'R2' || this.#options.samples.edited(1) === null) {
      this.#note(probe, 'certify.read', read, null, read === 'R2' ? 'there is no field to edit' : 'it is not claimed')
      return
    }
    for (let i = 0; i < READS; i++) {
      const edit = this.#nextEdit()
      const before = await this.#read(record.nativeId)
      const outcome = await this.#update(record.nativeId, edit, before)
      const after = await this.#read(record.nativeId)
      if (outcome.result !== 'applied' || !this.#shows(after, edit)) {
        const what =
          outcome.result === 'applied'
            ? `read ${i + 1} still showed the value before`
            : `an update answered ${told(outcome)}`
        this.#note(probe, 'certify.read', read, false, what)
        return
      }
    }
    this.#note(probe, 'certify.read', read, true, 'each did')
  }

  async #tryUpdates(record: Made): Promise<void> {
    if (this.#options.samples.edited(1) === null) {
      this.#note('updates', 'certify.condition', this.#letters.condition, null, 'there is no field to edit')
      return
    }
    await this.#tryTokens(record)
    await this.#tryCondition(record)
    await this.#tryRace(record)
    await this.#tryIdempotentUpdate(record)
  }

  /** Versions change with each change, grow where they are claimed to, and stay where nothing changes. */
  async #tryTokens({ nativeId }: Made): Promise<void> {
    const { token } = this.#letters
    if (token === 'T0') return
    const tokens: Token[] = []
    let reply: string | null = null
    for (let i = 0; i < TOKENS; i++) {
      const before = await this.#read(nativeId)
      const edit = this.#nextEdit()
      const outcome = await this.#update(nativeId, edit, before)
      const after = await this.#read(nativeId)
      if (after.token === undefined) break
      tokens.push(after.token)
      reply ??= this.#wrongReply(outcome, after, edit)
    }
    const isThere = tokens.length === TOKENS
    const isNew = new Set(tokens).size === tokens.length
    const grows = tokens.every((one, i) => i === 0 || compareTokens(tokens[i - 1] as Token, one) < 0)
    const holds = isThere && isNew && (token === 'T1' || grows)
    const what = !isThere
      ? 'a read carried no version'
      : !isNew
        ? 'a version came twice'
        : `they did not grow: ${tokens.join(', ')}`
    const probe =
      token === 'T2' ? `versions grow with each change (${TOKENS})` : `versions differ with each change (${TOKENS})`
    this.#note(probe, 'certify.token', token, holds, holds ? tokens.slice(0, 3).join(', ') : what)
    if (!isThere) return
    const still = [await this.#read(nativeId), await this.#read(nativeId)].map((one) => one.token)
    this.#note('a version stays while nothing changes', 'certify.token', token, still[0] === still[1], still.join(', '))
    this.#note('replies carry what is claimed', 'certify.reply', 'reply', reply === null, reply ?? 'they do')
  }

  #wrongReply(outcome: Outcome, after: ReadImage, edit: Image): string | null {
    const { reply } = this.#letters
    if (reply.token && outcome.token !== after.token)
      return `a reply names version ${outcome.token ?? 'none'}, a read ${after.token ?? 'none'}`
    if (reply.image && outcome.record === undefined) return 'a reply to a write does not carry the record'
    if (reply.image && outcome.record !== undefined && !this.#shows({ ...after, record: outcome.record }, edit))
      return 'the record in a reply is not as it was written'
    return null
  }

  async #tryCondition({ nativeId }: Made): Promise<void> {
    const { condition } = this.#letters
    const probe = 'a write on an old version is refused, and changes nothing'
    if (condition !== 'C2') {
      this.#note(probe, 'certify.condition', condition, null, 'writes carry no condition')
      return
    }
    const old = await this.#read(nativeId)
    const current = this.#nextEdit()
    await this.#update(nativeId, current, old)
    const outcome = await this.#update(nativeId, this.#nextEdit(), old)
    const isKept = this.#shows(await this.#read(nativeId), current)
    const holds = outcome.result === 'conflict' && isKept
    this.#note(
      probe,
      'certify.condition',
      condition,
      holds,
      holds ? 'it is' : `it answered ${told(outcome)}${isKept ? '' : ', and overwrote what was there'}`,
    )
  }

  async #tryRace({ nativeId }: Made): Promise<void> {
    const { condition } = this.#letters
    if (condition !== 'C2') return
    let doubled = 0
    for (let i = 0; i < RACES; i++) {
      const before = await this.#read(nativeId)
      const outcomes = await Promise.all(
        [this.#nextEdit(), this.#nextEdit()].map((edit) => this.#update(nativeId, edit, before)),
      )
      if (outcomes.every(({ result }) => result === 'applied')) doubled++
    }
    const text = doubled === 0 ? 'never both' : `both were, ${doubled} of ${RACES} times`
    this.#note(
      `of two writes at once on one version one is taken (${RACES} times)`,
      'certify.condition',
      condition,
      doubled === 0,
      text,
    )
  }

  async #tryIdempotentUpdate({ nativeId }: Made): Promise<void> {
    const { idempotency, condition } = this.#letters
    if (idempotency !== 'all') return
    const before = await this.#read(nativeId)
    const op = this.#updateOp(nativeId, this.#nextEdit(), before)
    const first = await this.#write(op)
    const { token } = await this.#read(nativeId)
    const again = await this.#write({ ...op, resend: true })
    if (token === undefined) {
      this.#note(
        'the same update sent again is known to be done',
        'certify.idempotency',
        condition,
        null,
        'records carry no version that would tell',
      )
      return
    }
    const isOnce = (await this.#read(nativeId)).token === token
    const holds = first.result === 'applied' && again.result === 'applied' && isOnce
    const what = holds
      ? 'it is'
      : `the first answered ${told(first)}, the second ${told(again)}${isOnce ? '' : ', and it was done twice'}`
    this.#note('the same update sent again is known to be done', 'certify.idempotency', condition, holds, what)
  }

  async #tryFeed(): Promise<void> {
    const { feed, image, mark } = this.#letters
    const { ear, deafBecause, samples } = this.#options
    if (feed === 'none') return
    const probe = 'a change is told'
    if (ear === null) {
      this.#note(probe, 'certify.feed', feed, null, deafBecause)
      return
    }
    const since = ear.mark()
    const made = await this.#create()
    const heard = await ear.wait(made.nativeId, since, ({ kind }) => kind !== 'deleted')
    this.#note(
      probe,
      'certify.feed',
      feed,
      heard !== undefined,
      heard === undefined ? `nothing was told of ${made.nativeId}` : `as ${heard.kind}`,
    )
    if (heard === undefined) return
    const lacking = image === 'I2' ? this.#lacking(heard, made) : null
    this.#note(
      'a notification carries what is claimed',
      'certify.image',
      image,
      lacking === null,
      lacking ?? (image === 'I2' ? 'the whole record' : 'an id is enough'),
    )
    if (mark === 'M2')
      this.#note(
        'a change of ours bears the mark of its write',
        'certify.mark',
        mark,
        heard.mark === made.op.op,
        `its mark is ${heard.mark ?? 'none'}`,
      )
    if (ear.refuse !== null && samples.edited(1) !== null) await this.#tryResend(made, ear, ear.refuse)
    const beforeDelete = ear.mark()
    await this.#delete(made.nativeId)
    const gone = await ear.wait(made.nativeId, beforeDelete, ({ kind }) => kind === 'deleted' || kind === 'hint')
    this.#note(
      'a deletion is told',
      'certify.deletes',
      feed,
      feed === 'F1' && gone === undefined ? null : gone !== undefined,
      gone === undefined ? 'nothing was told' : `as ${gone.kind}`,
    )
  }

  async #tryResend({ nativeId }: Made, ear: Ear, refuse: (count: number) => void): Promise<void> {
    const since = ear.mark()
    refuse(1)
    await this.#update(nativeId, this.#nextEdit(), await this.#read(nativeId))
    const heard = await ear.wait(nativeId, since, () => true)
    this.#note(
      'a notification that was not taken is sent again',
      'certify.feed',
      this.#letters.feed,
      heard !== undefined,
      heard === undefined ? 'it was not, within the time waited' : 'it is',
    )
  }

  #lacking(heard: Change, made: Made): string | null {
    if (heard.record === undefined) return 'it carries no record'
    const image = this.#options.samples.binding.flatten(heard.record)
    const missing = Object.keys(made.image).filter((path) => !(path in image))
    return missing.length === 0 ? null : `${missing.join(', ')} is not in it`
  }

  async #tryDeletes(): Promise<void> {
    const made = await this.#create()
    const outcome = await this.#delete(made.nativeId)
    const after = await this.#read(made.nativeId)
    const again = await this.#delete(made.nativeId)
    const holds =
      outcome.result === 'applied' &&
      (after.result === 'missing' || this.#letters.read !== 'R2') &&
      again.result === 'gone'
    const what = holds
      ? 'it is'
      : `the delete answered ${told(outcome)}, a read ${after.result}, a second delete ${told(again)}`
    this.#note('what is deleted is gone, and said to be', 'certify.deletes', this.#letters.read, holds, what)
    const next = await this.#create()
    this.#note(
      'an id is not given twice',
      'certify.create',
      this.#letters.create,
      next.nativeId !== made.nativeId,
      `${made.nativeId}, then ${next.nativeId}`,
    )
    await this.#delete(next.nativeId)
  }

  #nextEdit(): Image {
    return this.#options.samples.edited(++this.#edits + 100) as Image
  }

  /** Up to what stores commonly do with what they are given. */
  #shows({ record }: ReadImage, edit: Image): boolean {
    if (record === undefined) return false
    const image = this.#options.samples.binding.flatten(record)
    return Object.keys(edit).every((path) => valuesEquivalent(image[path], edit[path] as Value))
  }

  #update(nativeId: NativeId, edit: Image, before: ReadImage): Promise<Outcome> {
    return this.#write(this.#updateOp(nativeId, edit, before))
  }

  #updateOp(nativeId: NativeId, edit: Image, before: ReadImage): WriteOp {
    const { binding } = this.#options.samples
    const held = before.record === undefined ? {} : binding.flatten(before.record)
    const base = Object.fromEntries(Object.keys(edit).map((path) => [path, held[path] ?? null]))
    return this.#op({
      kind: 'update',
      nativeId,
      patch: binding.unflatten(edit),
      full: binding.unflatten({ ...held, ...edit }),
      baseToken: before.token ?? null,
      baseValues: binding.unflatten(base),
    })
  }

  async #delete(nativeId: NativeId): Promise<Outcome> {
    const outcome = await this.#write(
      this.#op({ kind: 'delete', nativeId, baseToken: (await this.#read(nativeId)).token ?? null }),
    )
    if (outcome.result === 'applied') this.#made.delete(nativeId)
    return outcome
  }

  async #read(nativeId: NativeId): Promise<ReadImage> {
    const { connector, samples, signal } = this.#options
    const [image] = await connector.source.readRecords([{ object: samples.binding.object, nativeId }], signal)
    return image as ReadImage
  }

  async #write(op: WriteOp): Promise<Outcome> {
    const { connector, signal } = this.#options
    const [outcome] = await connector.target.write([op], DEADLINE_MS, signal)
    return outcome as Outcome
  }

  #op(given: Partial<WriteOp> & Pick<WriteOp, 'kind'>): WriteOp {
    const { tag, samples } = this.#options
    const n = ++ops
    return {
      op: asOpId(`certify.${tag}.${n}.${samples.binding.app}.${n}`),
      object: samples.binding.object,
      nativeId: null,
      patch: {},
      full: {},
      baseToken: null,
      baseValues: {},
      correlationId: correlationOf(tag, n),
      resend: false,
      ...given,
    }
  }
}

interface Made {
  readonly nativeId: NativeId
  readonly op: WriteOp
  readonly outcome: Outcome
  readonly image: Image
}

let ops = 0

const correlationOf = (tag: string, n: number): CorrelationId => asCorrelationId(`certify-${tag}-${n}`)

export const told = ({ result, code, message }: Outcome): string =>
  [result, ...(code === undefined ? [] : [`(${code}: ${message ?? ''})`])].join(' ')

import { needOf } from '../deliver/need.ts'
import { SyncError } from '../errors/index.ts'
import { changedValues, referencesIn } from '../merge/decode.ts'
import { MissingReference, type References } from '../merge/references.ts'
import type { ReadImage } from '../model/change.ts'
import type { BindingModel, EntityModel } from '../model/entity.ts'
import {
  type AppId,
  type CanonicalKey,
  type EntityName,
  type NativeId,
  type NativeRef,
  nativeRefKey,
} from '../model/ids.ts'
import type { Lane, RecordState } from '../model/record.ts'
import { type Image, type Path, type Value, valuesEqual } from '../model/value.ts'
import type { Connector } from '../ports/app.ts'
import type { StoreReader } from '../ports/store.ts'
import { type CompareOptions, Comparison, type EntityResult } from './compare.ts'

/** One thing that is not equal, and why. */
export interface Difference {
  readonly entity: EntityName
  readonly key: CanonicalKey | null
  readonly app: AppId
  readonly nativeId: NativeId | null
  /**
   * value: the application holds another value than was agreed on. missing: it should hold the record and does not. unlinked: the hub knows nothing of it.
   * undeleted: deleted elsewhere and still there. unreadable: a value does not fit. parked: set aside, with its reason.
   */
  readonly kind: 'value' | 'missing' | 'unlinked' | 'undeleted' | 'unreadable' | 'parked'
  readonly fields: readonly {
    readonly path: Path
    readonly found: Value | undefined
    readonly agreed: Value | undefined
  }[]
  readonly message: string
}

export interface VerifiedEntity extends EntityResult {
  readonly differences: readonly Difference[]
  /** Different at first, and equal when looked at again: changes that were under way. */
  readonly inFlight: number
  /** Still being worked on by the hub when the last look was over: an application that is down, a reference that has not come. */
  readonly pending: number
  readonly repaired: number
}

export interface VerifyOptions extends CompareOptions {
  readonly store: Pick<StoreReader, 'load'>
  /** Hands a difference to the hub, which reads the record and decides as always. Left out: nothing is repaired. */
  readonly repair?: (difference: Difference) => Promise<void>
  /** Pauses before each look at what differs; with the usual ones about eight seconds. */
  readonly lookPausesMs?: readonly number[]
  readonly onDifference?: (difference: Difference) => void
}

/** Looks at what differed until it is equal or stays as it is; with the pauses between them about eight seconds. */
const LOOK_PAUSES_MS = [0, 300, 700, 1_500, 2_500, 3_000]
/** Things looked at together: one read of each application. */
const GROUP = 200

/** Proves that all applications hold the same, or says where they do not. Yields an entity at a time. */
export async function* verify(
  options: VerifyOptions,
  comparison = new Comparison(options),
): AsyncGenerator<VerifiedEntity> {
  for await (const result of comparison.run()) {
    yield await new EntityVerifier(options, comparison, result).run()
  }
}

interface Verdict {
  readonly differences: readonly Difference[]
  readonly pending: boolean
}

/** What the comparison could not show to be equal, looked at one by one: fresh from the applications, beside what was agreed on. */
class EntityVerifier {
  readonly #options: VerifyOptions
  readonly #comparison: Comparison
  readonly #result: EntityResult
  readonly #entity: EntityModel
  readonly #seen = new Set<string>()
  readonly #differences: Difference[] = []
  #inFlight = 0
  #pending = 0
  #repaired = 0

  constructor(options: VerifyOptions, comparison: Comparison, result: EntityResult) {
    this.#options = options
    this.#comparison = comparison
    this.#result = result
    this.#entity = options.model.entities.get(result.entity) as EntityModel
  }

  async run(): Promise<VerifiedEntity> {
    let refs: NativeRef[] = []
    for await (const { binding, read } of this.#comparison.suspects(this.#entity.name)) {
      refs.push({ app: binding.app, object: binding.object, nativeId: read.nativeId })
      if (refs.length < GROUP) continue
      await this.#settle(refs)
      refs = []
    }
    await this.#settle(refs)
    return {
      ...this.#result,
      differences: this.#differences,
      inFlight: this.#inFlight,
      pending: this.#pending,
      repaired: this.#repaired,
    }
  }

  async #settle(refs: readonly NativeRef[]): Promise<void> {
    const last = await this.#look(refs, false)
    if (last.size === 0) return
    const { repair } = this.#options
    if (repair === undefined) return this.#note(last)
    for (const { differences } of last.values()) for (const difference of differences) await repair(difference)
    const after = await this.#look(refs, true)
    this.#repaired += last.size - after.size
    this.#note(after)
  }

  #note(verdicts: ReadonlyMap<string, Verdict>): void {
    for (const { differences, pending } of verdicts.values()) {
      if (pending) this.#pending++
      for (const difference of differences) {
        this.#differences.push(difference)
        this.#options.onDifference?.(difference)
      }
    }
  }

  /** What is still not equal after all looks, by thing. */
  async #look(refs: readonly NativeRef[], again: boolean): Promise<ReadonlyMap<string, Verdict>> {
    let open = new Map<string, Verdict>()
    for (const [attempt, pauseMs] of (this.#options.lookPausesMs ?? LOOK_PAUSES_MS).entries()) {
      if (attempt > 0 || again) await new Promise<void>((resolve) => this.#options.clock.timer(pauseMs, resolve))
      this.#options.signal.throwIfAborted()
      const found = await this.#lookOnce(refs, again ? undefined : attempt === 0)
      const wasOpen = open
      open = new Map([...found].filter(([, { differences, pending }]) => differences.length > 0 || pending))
      for (const name of wasOpen.keys()) if (!open.has(name) && !again) this.#inFlight++
      if (open.size === 0) break
    }
    return open
  }

  /** `first`: things that were looked at before by way of another application are left out. */
  async #lookOnce(refs: readonly NativeRef[], first: boolean | undefined): Promise<ReadonlyMap<string, Verdict>> {
    const { store } = this.#options
    const { links } = await store.load({ records: [], natives: refs, canonicals: [], matches: [] })
    const keys = new Set<CanonicalKey>()
    const verdicts = new Map<string, Verdict>()
    const known = new Set<string>()
    for (const { app, object, nativeId, key, state, entity } of links) {
      if (entity !== this.#entity.name || key === null) continue
      known.add(nativeRefKey(app, object, nativeId))
      if (state !== 'live') continue
      if (first === true && this.#seen.has(key)) continue
      this.#seen.add(key)
      keys.add(key)
    }
    const unlinked = refs.filter(({ app, object, nativeId }) => !known.has(nativeRefKey(app, object, nativeId)))
    for (const [name, difference] of await this.#unlinked(unlinked))
      verdicts.set(name, { differences: [difference], pending: false })
    for (const [key, verdict] of await this.#linked([...keys])) verdicts.set(key, verdict)
    return verdicts
  }

  /** Records that the cross-reference does not know: gone meanwhile, or never told of. */
  async #unlinked(refs: readonly NativeRef[]): Promise<ReadonlyMap<string, Difference>> {
    const found = new Map<string, Difference>()
    for (const read of await this.#read(refs)) {
      if (read.result !== 'found') continue
      found.set(nativeRefKey(read.app, read.object, read.nativeId), {
        entity: this.#entity.name,
        key: null,
        app: read.app,
        nativeId: read.nativeId,
        kind: 'unlinked',
        fields: [],
        message: `${read.app}:${read.nativeId} is linked to no record: the hub was never told of it, or has set it aside (\`latchwork status\`)`,
      })
    }
    return found
  }

  async #linked(keys: readonly CanonicalKey[]): Promise<ReadonlyMap<CanonicalKey, Verdict>> {
    const { records } = await this.#options.store.load({ records: keys, natives: [], canonicals: [], matches: [] })
    const wanted: NativeRef[] = []
    for (const record of records) {
      for (const lane of Object.values(record.lanes) as Lane[]) {
        if (lane.nativeId !== null && !lane.detached)
          wanted.push({ app: lane.app, object: lane.object, nativeId: lane.nativeId })
      }
    }
    const reads = new Map(
      (await this.#read(wanted)).map((read) => [nativeRefKey(read.app, read.object, read.nativeId), read]),
    )
    const references = await this.#referencesOf(reads.values())
    return new Map(records.map((record) => [record.key, this.#judge(record, reads, references)]))
  }

  #judge(record: RecordState, reads: ReadonlyMap<string, ReadImage>, references: References): Verdict {
    const differences: Difference[] = []
    let pending = false
    for (const binding of this.#entity.bindings.values()) {
      const lane = record.lanes[binding.app]
      if (lane?.detached) continue
      const read = lane?.nativeId == null ? undefined : reads.get(nativeRefKey(lane.app, lane.object, lane.nativeId))
      const judged = judgeLane(this.#entity, binding, record, lane, read, references)
      differences.push(...judged.differences)
      pending ||= judged.pending
    }
    return { differences, pending }
  }

  async #read(refs: readonly NativeRef[]): Promise<readonly ReadImage[]> {
    const { connectors, signal } = this.#options
    const byApp = Map.groupBy(refs, ({ app }) => app)
    const groups = await Promise.all(
      [...byApp].map(([app, asked]) => (connectors.get(app) as Connector).source.readRecords(asked, signal)),
    )
    return groups.flat()
  }

  async #referencesOf(reads: Iterable<ReadImage>): Promise<References> {
    const natives: NativeRef[] = []
    const { model, store } = this.#options
    for (const read of reads) {
      const binding = this.#entity.bindings.get(read.app)
      const image = binding === undefined ? null : imageOf(binding, read)
      if (binding === undefined || image === null) continue
      for (const { entity, nativeId } of referencesIn(binding, image)) {
        const object = model.entities.get(entity)?.bindings.get(read.app)?.object
        if (object !== undefined) natives.push({ app: read.app, object, nativeId })
      }
    }
    const { links } =
      natives.length === 0 ? { links: [] } : await store.load({ records: [], natives, canonicals: [], matches: [] })
    const keys = new Map(links.map(({ app, entity, nativeId, key }) => [`${app}\u0000${entity}\u0000${nativeId}`, key]))
    return {
      keyOf: (app, entity, nativeId) => keys.get(`${app}\u0000${entity}\u0000${nativeId}`) ?? undefined,
      nativeOf: () => undefined,
    }
  }
}

function imageOf(binding: BindingModel, read: ReadImage): Image | null {
  try {
    return read.result === 'found' ? binding.flatten(read.record ?? {}) : null
  } catch {
    return null
  }
}

/** One application's copy beside what was agreed on. Pure. */
function judgeLane(
  entity: EntityModel,
  binding: BindingModel,
  record: RecordState,
  lane: Lane | undefined,
  read: ReadImage | undefined,
  references: References,
): Verdict {
  const at = { entity: entity.name, key: record.key, app: binding.app, nativeId: lane?.nativeId ?? null }
  const one = (kind: Difference['kind'], message: string, fields: Difference['fields'] = []): Verdict => ({
    differences: [{ ...at, kind, fields, message }],
    pending: false,
  })
  if (lane?.park != null) return one('parked', `${lane.park.code}: ${lane.park.message}`)
  const isWorkedOn =
    lane !== undefined &&
    (lane.intent !== null ||
      lane.reading !== null ||
      lane.retry !== null ||
      lane.waitsFor !== null ||
      lane.overlays.length > 0)
  if (isWorkedOn) return { differences: [], pending: true }
  if (record.deleted)
    return read?.result === 'found' && binding.deletes === 'propagate'
      ? one('undeleted', `deleted elsewhere, and ${binding.app} still holds it`)
      : EQUAL
  if (read === undefined || read.result === 'missing') {
    const expected = binding.createHere && binding.createNeeds.every((path) => path in record.head)
    if (lane?.exists === true || expected) return one('missing', `${binding.app} does not hold it`)
    return EQUAL
  }
  if (read.result === 'failed')
    return one('unreadable', `${binding.app} could not be read: ${read.message ?? read.code ?? 'no reason given'}`)
  return judgeImage(entity, binding, record, lane as Lane, read, references, one)
}

const EQUAL: Verdict = { differences: [], pending: false }

function judgeImage(
  entity: EntityModel,
  binding: BindingModel,
  record: RecordState,
  lane: Lane,
  read: ReadImage,
  references: References,
  one: (kind: Difference['kind'], message: string, fields?: Difference['fields']) => Verdict,
): Verdict {
  try {
    const image = binding.flatten(read.record ?? {})
    // What it holds is compared with what it was known to hold, so that its own way of writing a value is no difference.
    const fields: { path: Path; found: Value | undefined; agreed: Value | undefined }[] = []
    for (const { path, value } of changedValues(entity, binding, lane.image, image, references)) {
      const agreed = record.head[path]?.value
      if (!valuesEqual(value, agreed)) fields.push({ path, found: value, agreed })
    }
    const need = needOf(binding, record, lane, false)
    for (const path in need?.patch) {
      if (!fields.some((field) => field.path === path))
        fields.push({ path, found: lane.sent[path], agreed: need?.patch[path] })
    }
    return fields.length === 0
      ? EQUAL
      : one('value', `${binding.app} holds another ${fields.map(({ path }) => path).join(', ')}`, fields)
  } catch (error) {
    if (error instanceof MissingReference)
      return one(
        'unreadable',
        `it refers to ${error.entity} ${error.nativeId} of ${binding.app}, which is linked to no record`,
      )
    return one('unreadable', SyncError.from(error).message)
  }
}

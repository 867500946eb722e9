import { SyncError } from '../errors/index.ts'
import type { ReadImage } from '../model/change.ts'
import type { BindingModel, EntityModel, HubModel } from '../model/entity.ts'
import type { AppId, CanonicalKey, EntityName, FeedPosition, NativeId } from '../model/ids.ts'
import type { Image } from '../model/value.ts'
import type { Connector } from '../ports/app.ts'
import type { Clock } from '../ports/clock.ts'
import type { StoreReader } from '../ports/store.ts'
import { factorsOf, fingerprint, Identities } from './fingerprint.ts'
import { type Hash, hashText } from './hash.ts'
import { notListable, Pace, pagesOf, readPage } from './pages.ts'
import { APPS_MAX, type PairState, type PairSummary, PairTable } from './pair-table.ts'

export interface CompareOptions {
  readonly model: HubModel
  readonly connectors: ReadonlyMap<AppId, Connector>
  /** The cross-reference, where there is one: for entities without a match key. */
  readonly store: Pick<StoreReader, 'load'> | null
  readonly clock: Clock
  readonly signal: AbortSignal
  /** Records read a second, over all applications; Infinity for as fast as it goes. */
  readonly recordsPerSecond: number
  /** Entities to compare; all unless given. Those that they refer to are read, too. */
  readonly entities?: readonly EntityName[]
  readonly onProgress?: (progress: CompareProgress) => void
  /** Where an earlier run stopped. */
  readonly resume?: CompareState
}

export interface CompareProgress {
  readonly entity: EntityName
  readonly app: AppId
  /** Records of that application read so far. */
  readonly records: number
  readonly done: boolean
}

/** How far the reading of one application's records of one entity is. */
interface Reading {
  page: number
  position: FeedPosition | null
  records: number
  done: boolean
  /** Where each page began. */
  starts: (FeedPosition | null)[]
}

/** Everything that a later run needs to go on. `table` is binary; the rest is plain data. */
export interface CompareState {
  readonly mappingVersion: number
  /** Entities that the caller has finished with. */
  readonly done: readonly EntityName[]
  readonly current: {
    readonly entity: EntityName
    readonly table: Uint8Array
    readonly readings: readonly (readonly [AppId, Readonly<Reading>])[]
    readonly unreadable: readonly Unreadable[]
  } | null
}

export interface Unreadable {
  readonly app: AppId
  readonly nativeId: NativeId
  readonly code: string
  readonly message: string
}

export interface EntityResult {
  readonly entity: EntityName
  readonly records: Readonly<Record<AppId, number>>
  readonly summary: Pick<PairSummary, 'equal' | 'different' | 'doubled'> & {
    /** Records that are not in all applications, by the applications that have them, joined with `+`. */
    readonly partial: Readonly<Record<string, number>>
  }
  readonly unreadable: readonly Unreadable[]
  readonly unreadableCount: number
}

/** A record that is not simply equal, as one application holds it. */
export interface Suspect {
  readonly entity: EntityModel
  readonly binding: BindingModel
  readonly identity: string
  readonly state: Exclude<PairState, 'equal'>
  readonly read: ReadImage
  readonly image: Image
  readonly error: SyncError | null
}

/** Unreadable records that are told one by one. */
const UNREADABLE_MAX = 100

/**
 * Compares whole applications: every record of every entity, read page by page from all of them at once, each reduced to a few bytes. What is equal costs nothing more; what is not is
 * read again by `suspects`, page by page. Memory: about 30 bytes a record, and 16 for each that others refer to.
 */
export class Comparison {
  readonly #options: CompareOptions
  readonly #pace: Pace
  readonly #identities = new Identities()
  readonly #tables = new Map<
    EntityName,
    { table: PairTable; bindings: readonly BindingModel[]; readings: ReadonlyMap<AppId, Reading> }
  >()
  readonly #done: EntityName[] = []
  #current: EntityName | null = null
  #unreadable: Unreadable[] = []
  #unreadableCount = 0

  constructor(options: CompareOptions) {
    this.#options = options
    this.#pace = new Pace(options.clock, options.recordsPerSecond)
    if (options.resume !== undefined && options.resume.mappingVersion !== options.model.mappingVersion)
      throw new SyncError(
        'compare.stale',
        'the mapping has changed since this comparison began; begin again (without --resume)',
      )
  }

  /** Entities in the order in which their references can be understood. */
  entities(): readonly EntityModel[] {
    const { model, entities } = this.#options
    const wanted = new Set<EntityName>()
    const ordered: EntityModel[] = []
    const add = (name: EntityName) => {
      const entity = model.entities.get(name)
      if (entity === undefined || wanted.has(name)) return
      wanted.add(name)
      for (const referred of referencesOf(entity)) add(referred)
      ordered.push(entity)
    }
    for (const name of entities ?? model.entities.keys()) add(name)
    return ordered
  }

  /** One entity after the other; between two of them the caller may ask for its suspects. */
  async *run(): AsyncGenerator<EntityResult> {
    const { resume, model } = this.#options
    const referred = new Set([...model.entities.values()].flatMap((entity) => [...referencesOf(entity)]))
    for (const entity of this.entities()) {
      const isDone = resume?.done.includes(entity.name) === true
      // Native ids that others refer to are not kept over a stop: such an entity is read again, though not told again.
      if (isDone && !referred.has(entity.name)) {
        this.#done.push(entity.name)
        continue
      }
      const result = await this.#compareEntity(entity, referred.has(entity.name))
      if (!isDone) yield result
      this.#done.push(entity.name)
      this.#current = null
      if (!referred.has(entity.name)) this.#tables.delete(entity.name)
    }
  }

  async #compareEntity(entity: EntityModel, isReferred: boolean): Promise<EntityResult> {
    const { connectors, resume } = this.#options
    const bindings = [...entity.bindings.values()]
    if (bindings.length > APPS_MAX)
      throw new SyncError(
        'query.invalid',
        `${entity.name} is in ${bindings.length} applications; ${APPS_MAX} can be compared`,
      )
    for (const { app, object } of bindings)
      if (connectors.get(app)?.source.scan === undefined) throw notListable(app, object)
    const current = isReferred || resume?.current?.entity !== entity.name ? null : resume.current
    const table = current === null ? new PairTable(bindings.length) : PairTable.load(current.table)
    const readings = new Map(
      bindings.map(({ app }) => [app, newReading(current?.readings.find(([name]) => name === app)?.[1])]),
    )
    this.#tables.set(entity.name, { table, bindings, readings })
    this.#current = entity.name
    this.#unreadable = [...(current?.unreadable ?? [])]
    this.#unreadableCount = this.#unreadable.length
    await Promise.all(
      bindings.map((binding, index) =>
        this.#readAll(entity, binding, index, table, readings.get(binding.app) as Reading, isReferred),
      ),
    )
    return this.#resultOf(entity, table, bindings, readings)
  }

  async #readAll(
    entity: EntityModel,
    binding: BindingModel,
    index: number,
    table: PairTable,
    reading: Reading,
    isReferred: boolean,
  ): Promise<void> {
    if (reading.done) return
    const { connectors, clock, signal, onProgress } = this.#options
    const { source } = connectors.get(binding.app) as Connector
    const factors = factorsOf(entity).get(binding) as ReadonlyMap<string, number>
    const key: Hash = { hi: 0, lo: 0 }
    const sum: Hash = { hi: 0, lo: 0 }
    const from = { number: reading.page, position: reading.position }
    for await (const page of pagesOf({ source, object: binding.object, clock, pace: this.#pace, signal, from })) {
      const linked = await this.#linkedOf(entity, binding, page.records)
      reading.starts[page.number] = page.after
      for (const read of page.records) {
        const found = fingerprint(entity, binding, read, factors, this.#identities, linked?.get(read.nativeId), sum)
        hashText(found.identity, key)
        table.add(index, key, sum, page.number)
        if (isReferred) this.#identities.learn(binding.app, entity.name, read.nativeId, key)
        if (found.error !== null) this.#noteUnreadable(binding.app, read.nativeId, found.error)
      }
      reading.page = page.number
      reading.position = page.position
      reading.records += page.records.length
      reading.done = page.position === null
      onProgress?.({ entity: entity.name, app: binding.app, records: reading.records, done: reading.done })
      signal.throwIfAborted()
    }
  }

  #noteUnreadable(app: AppId, nativeId: NativeId, error: SyncError): void {
    this.#unreadableCount++
    if (this.#unreadable.length < UNREADABLE_MAX)
      this.#unreadable.push({ app, nativeId, code: error.code, message: error.message })
  }

  /** What the cross-reference says of a page's records, for an entity that is not matched by its values. */
  async #linkedOf(
    entity: EntityModel,
    binding: BindingModel,
    records: readonly ReadImage[],
  ): Promise<ReadonlyMap<NativeId, CanonicalKey> | undefined> {
    const { store } = this.#options
    if (store === null || entity.match !== null || records.length === 0) return undefined
    const natives = records.map(({ nativeId }) => ({ app: binding.app, object: binding.object, nativeId }))
    const { links } = await store.load({ records: [], natives, canonicals: [], matches: [] })
    return new Map(
      links.flatMap(({ nativeId, key, state, entity: name }) =>
        key !== null && state === 'live' && name === entity.name ? [[nativeId, key] as const] : [],
      ),
    )
  }

  #resultOf(
    entity: EntityModel,
    table: PairTable,
    bindings: readonly BindingModel[],
    readings: ReadonlyMap<AppId, Reading>,
  ): EntityResult {
    const { equal, different, doubled, partial } = table.summary(isComplete(bindings))
    const names = (seen: number) => bindings.flatMap(({ app }, i) => (seen & (1 << i) ? [app] : [])).join('+')
    return {
      entity: entity.name,
      records: Object.fromEntries(bindings.map(({ app }) => [app, readings.get(app)?.records ?? 0])),
      summary: {
        equal,
        different,
        doubled,
        partial: Object.fromEntries([...partial].map(([seen, count]) => [names(seen), count])),
      },
      unreadable: this.#unreadable,
      unreadableCount: this.#unreadableCount,
    }
  }

  /** Every record of an entity that is not simply equal, read again, as each application holds it; in no order over applications. */
  async *suspects(entityName: EntityName): AsyncGenerator<Suspect> {
    const entity = this.#options.model.entities.get(entityName) as EntityModel
    const compared = this.#tables.get(entityName)
    if (compared === undefined) return
    const { table, bindings, readings } = compared
    const complete = isComplete(bindings)
    const { pages } = table.summary(complete)
    const factors = factorsOf(entity)
    const key: Hash = { hi: 0, lo: 0 }
    const sum: Hash = { hi: 0, lo: 0 }
    const { clock, signal } = this.#options
    for (const [index, binding] of bindings.entries()) {
      const { source } = this.#options.connectors.get(binding.app) as Connector
      const starts = (readings.get(binding.app) as Reading).starts
      for (const number of [...(pages[index] as ReadonlySet<number>)].sort((a, b) => a - b)) {
        const { records } = await readPage({ source, object: binding.object, clock, signal }, starts[number] ?? null)
        const linked = await this.#linkedOf(entity, binding, records)
        for (const read of records) {
          const own = factors.get(binding) as ReadonlyMap<string, number>
          const { identity, image, error } = fingerprint(
            entity,
            binding,
            read,
            own,
            this.#identities,
            linked?.get(read.nativeId),
            sum,
          )
          hashText(identity, key)
          const state = table.stateOf(key, complete)
          if (state !== 'equal') yield { entity, binding, identity, state, read, image, error }
        }
        await this.#pace.take(records.length)
        signal.throwIfAborted()
      }
    }
  }

  /** To be kept by the caller, so that a later run goes on from here. */
  state(): CompareState {
    const { model } = this.#options
    const current = this.#current === null ? undefined : this.#tables.get(this.#current)
    return {
      mappingVersion: model.mappingVersion,
      done: this.#done,
      current:
        current === undefined || this.#current === null
          ? null
          : {
              entity: this.#current,
              table: current.table.dump(),
              readings: [...current.readings].map(([app, reading]) => [
                app,
                { ...reading, starts: [...reading.starts] },
              ]),
              unreadable: this.#unreadable,
            },
    }
  }

  get references(): Identities {
    return this.#identities
  }
}

const isComplete = (bindings: readonly BindingModel[]) => {
  const all = (1 << bindings.length) - 1
  return (seen: number): boolean => seen === all
}

const newReading = (from: Readonly<Reading> | undefined): Reading =>
  from === undefined
    ? { page: 0, position: null, records: 0, done: false, starts: [] }
    : { ...from, starts: [...from.starts] }

function referencesOf(entity: EntityModel): ReadonlySet<EntityName> {
  const parts = Object.values(entity.parts).flatMap((part) => Object.values(part.fields))
  const referred = [...Object.values(entity.fields), ...parts].flatMap(({ reference }) =>
    reference === undefined || reference === entity.name ? [] : [reference],
  )
  return new Set(referred)
}

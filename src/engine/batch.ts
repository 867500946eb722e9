import type { LRUCache } from 'lru-cache'
import type { References } from '../merge/references.ts'
import type { EntityModel, HubModel } from '../model/entity.ts'
import {
  type AppId,
  type CanonicalKey,
  type EntityName,
  type NativeId,
  type NativeRef,
  nativeRefKey,
  type ObjectId,
} from '../model/ids.ts'
import { isThere, type Link, type RecordState } from '../model/record.ts'
import type { Store } from '../ports/store.ts'
import type { Prepared } from './prepared.ts'
import { emptyRecord, RecordWork } from './record-work.ts'

/** What the engine keeps of the store between batches. It is the only writer, so what it has seen stays true until it writes. */
export interface Caches {
  readonly records: LRUCache<CanonicalKey, RecordState>
  /** By native reference, for every entity; an empty list is known absence. */
  readonly links: LRUCache<string, readonly Link[]>
}

/**
 * One batch: what its decisions need is loaded first, in as few queries as there are levels of dependence; what they want is collected, and
 * committed as one.
 */
export class Batch implements References {
  readonly works = new Map<CanonicalKey, RecordWork>()
  readonly #model: HubModel
  readonly #store: Store
  readonly #caches: Caches
  readonly #links = new Map<string, readonly Link[]>()
  readonly #records = new Map<CanonicalKey, RecordState>()
  readonly #matches = new Map<string, CanonicalKey | null>()
  /** Who shares a hint value, by entity and hint. */
  readonly #hinted = new Map<string, CanonicalKey[]>()

  /** Links in the order in which the batch made them: the last of a native reference stands. */
  links: Link[] = []
  readonly #onLink = (link: Link): void => this.addLink(link)

  constructor(model: HubModel, store: Store, caches: Caches) {
    this.#model = model
    this.#store = store
    this.#caches = caches
  }

  /**
   * Loads all that the given entries and records can touch. Nothing to wait for (undefined) when the caches have it, as here and below: most turns need no query, and a
   * wait for nothing is a good part of a small turn.
   */
  load(entries: readonly Prepared[], keys: readonly CanonicalKey[]): Promise<void> | undefined {
    const natives: WantedLink[] = []
    const wanted = new Set<CanonicalKey>(keys)
    for (const entry of entries) {
      this.#wantLink(natives, entry.binding.app, entry.binding.object, entry.nativeId, entry.linksRef)
      for (const reference of entry.references) {
        const object = this.#objectOf(reference.entity, entry.binding.app)
        if (object !== undefined) this.#wantLink(natives, entry.binding.app, object, reference.nativeId)
      }
    }
    if (natives.length === 0) return this.#loadLinked(entries, wanted)
    return this.#loadLinks(natives).then(() => this.#loadLinked(entries, wanted))
  }

  /** The records of the links that are known now, and the match keys of what has none. */
  #loadLinked(entries: readonly Prepared[], wanted: Set<CanonicalKey>): Promise<void> | undefined {
    const matches: { entity: EntityName; matchKey: string }[] = []
    const hints: { entity: EntityName; hint: string }[] = []
    for (const entry of entries) {
      const link = this.linkOf(entry)
      if (link?.key != null) wanted.add(link.key)
      if (link?.state === 'live') continue
      if (entry.correlation !== undefined) wanted.add(entry.correlation.key)
      if (entry.matchKey !== null && !this.#matches.has(matchName(entry.binding.entity, entry.matchKey))) {
        matches.push({ entity: entry.binding.entity, matchKey: entry.matchKey })
      }
      for (const { text } of entry.hints) {
        if (!this.#hinted.has(matchName(entry.binding.entity, text)))
          hints.push({ entity: entry.binding.entity, hint: text })
      }
    }
    return hints.length === 0
      ? this.#loadRecords(wanted, matches)
      : this.#loadHinted(hints, wanted).then(() => this.#loadRecords(wanted, matches))
  }

  /** Who shares the hints of what is not linked yet; where it is too many to tell anything, nobody. */
  async #loadHinted(hints: readonly { entity: EntityName; hint: string }[], wanted: Set<CanonicalKey>): Promise<void> {
    for (const { entity, hint } of hints) this.#hinted.set(matchName(entity, hint), [])
    const loaded = await this.#store.load({ records: [], natives: [], canonicals: [], matches: [], hints })
    for (const { entity, hint, key } of loaded.hints ?? []) {
      this.#hinted.get(matchName(entity, hint))?.push(key)
      wanted.add(key)
    }
  }

  /** Records that share a hint value, as the batch began and as it has made since. */
  hinted(entity: EntityName, hint: string): readonly CanonicalKey[] {
    return this.#hinted.get(matchName(entity, hint)) ?? []
  }

  addHinted(entity: EntityName, hint: string, key: CanonicalKey): void {
    this.#hinted.set(matchName(entity, hint), [...this.hinted(entity, hint), key])
  }

  /** Loads the records that the touched ones refer to: their native ids are needed to write references. */
  loadReferred(): Promise<void> | undefined {
    const wanted = new Set<CanonicalKey>()
    for (const work of this.works.values()) {
      for (const key of referredKeys(work.entity, work.state)) wanted.add(key)
    }
    return wanted.size === 0 ? undefined : this.#loadRecords(wanted, [])
  }

  async loadMatches(matches: readonly { readonly entity: EntityName; readonly matchKey: string }[]): Promise<void> {
    await this.#loadRecords(
      new Set(),
      matches.filter((match) => !this.#matches.has(matchName(match.entity, match.matchKey))),
    )
  }

  #wantLink(
    natives: WantedLink[],
    app: AppId,
    object: ObjectId,
    nativeId: NativeId,
    ref = nativeRefKey(app, object, nativeId),
  ): void {
    if (this.#links.has(ref)) return
    const cached = isAsked(this.#model, app, object) ? undefined : this.#caches.links.get(ref)
    this.#links.set(ref, cached ?? NO_LINKS)
    if (cached === undefined) natives.push({ app, object, nativeId, ref })
  }

  /** Loads links by native reference, for records that no entry of the batch speaks of. */
  async loadLinks(refs: readonly NativeRef[]): Promise<void> {
    const natives: WantedLink[] = []
    for (const { app, object, nativeId } of refs) this.#wantLink(natives, app, object, nativeId)
    if (natives.length > 0) await this.#loadLinks(natives)
  }

  async #loadLinks(natives: readonly WantedLink[]): Promise<void> {
    const { links } = await this.#store.load({ records: [], natives, canonicals: [], matches: [] })
    for (const link of links) {
      const ref = nativeRefKey(link.app, link.object, link.nativeId)
      this.#links.set(ref, [...(this.#links.get(ref) ?? NO_LINKS), link])
    }
    for (const { ref } of natives) this.#caches.links.set(ref, this.#links.get(ref) ?? NO_LINKS)
  }

  #loadRecords(
    wanted: Set<CanonicalKey>,
    matches: readonly { readonly entity: EntityName; readonly matchKey: string }[],
  ): Promise<void> | undefined {
    const missing: CanonicalKey[] = []
    for (const key of wanted) {
      if (this.#records.has(key)) continue
      const cached = this.#caches.records.get(key)
      if (cached === undefined || isAskedEntity(this.#model, cached.entity)) missing.push(key)
      else {
        this.#records.set(key, cached)
        // Met further on in this loop.
        if (cached.mergedInto !== undefined) wanted.add(cached.mergedInto)
      }
    }
    return missing.length === 0 && matches.length === 0 ? undefined : this.#readRecords(missing, matches)
  }

  async #readRecords(
    missing: readonly CanonicalKey[],
    matches: readonly { readonly entity: EntityName; readonly matchKey: string }[],
  ): Promise<void> {
    const loaded = await this.#store.load({ records: missing, natives: [], canonicals: [], matches })
    const further = new Set<CanonicalKey>()
    for (const record of loaded.records) {
      this.#keep(record)
      if (record.mergedInto !== undefined) further.add(record.mergedInto)
    }
    for (const { entity, matchKey } of matches) this.#matches.set(matchName(entity, matchKey), null)
    for (const match of loaded.matches) {
      this.#matches.set(matchName(match.entity, match.matchKey), match.key)
      further.add(match.key)
    }
    if (further.size > 0) await this.#loadRecords(further, [])
  }

  #keep(record: RecordState): void {
    this.#records.set(record.key, record)
    this.#caches.records.set(record.key, record)
  }

  #objectOf(entity: EntityName, app: AppId): ObjectId | undefined {
    return this.#model.entities.get(entity)?.bindings.get(app)?.object
  }

  /** The newest state of a record in this batch. */
  state(key: CanonicalKey): RecordState | undefined {
    return this.works.get(key)?.state ?? this.#records.get(key)
  }

  /** The record for deciding on; undefined when it does not exist. */
  work(key: CanonicalKey): RecordWork | undefined {
    const known = this.works.get(key)
    if (known !== undefined) return known
    const stored = this.#records.get(key)
    const entity = stored === undefined ? undefined : this.#model.entities.get(stored.entity)
    if (stored === undefined || entity === undefined) return undefined
    const work = new RecordWork(entity, stored, stored, this.#onLink)
    this.works.set(key, work)
    return work
  }

  create(entity: EntityModel, key: CanonicalKey): RecordWork {
    const work = new RecordWork(entity, emptyRecord(entity, key), undefined, this.#onLink)
    this.works.set(key, work)
    return work
  }

  link(app: AppId, object: ObjectId, nativeId: NativeId, entity: EntityName): Link | undefined {
    return ofEntity(this.#links.get(nativeRefKey(app, object, nativeId)), entity)
  }

  /** The link of an entry's native record. */
  linkOf({ linksRef, binding }: Prepared): Link | undefined {
    return ofEntity(this.#links.get(linksRef), binding.entity)
  }

  /** Whether the native record of an entry is a live one of ours. */
  isLinked(prepared: Prepared): boolean {
    return this.linkOf(prepared)?.state === 'live'
  }

  /** A link made or ended: visible to the rest of the batch, and written with it. */
  addLink(link: Link): void {
    const ref = nativeRefKey(link.app, link.object, link.nativeId)
    const others = (this.#links.get(ref) ?? NO_LINKS).filter((other) => other.entity !== link.entity)
    this.#links.set(ref, [...others, link])
    this.links.push(link)
  }

  /** Takes back a record that was made in this batch and cannot be folded yet, with its links. */
  undo(key: CanonicalKey): void {
    this.works.delete(key)
    const undone = this.links.filter((link) => link.key === key)
    this.links = this.links.filter((link) => link.key !== key)
    for (const { app, object, nativeId } of undone) {
      const ref = nativeRefKey(app, object, nativeId)
      this.#links.set(ref, this.#caches.links.get(ref) ?? NO_LINKS)
    }
  }

  matched(entity: EntityName, matchKey: string): CanonicalKey | null {
    return this.#matches.get(matchName(entity, matchKey)) ?? null
  }

  setMatch(entity: EntityName, matchKey: string, key: CanonicalKey | null): void {
    this.#matches.set(matchName(entity, matchKey), key)
  }

  /** The record that one has become, because a person said that the two are one. */
  #followed(key: CanonicalKey): RecordState | undefined {
    let record = this.state(key)
    for (let step = 0; record?.mergedInto !== undefined && step < REDIRECTS_MAX; step++)
      record = this.state(record.mergedInto)
    return record
  }

  /** The key under which a record is found that others may still refer to under an older one. */
  nowUnder(key: CanonicalKey): CanonicalKey {
    return this.#followed(key)?.key ?? key
  }

  keyOf(app: AppId, entity: EntityName, nativeId: NativeId): CanonicalKey | undefined {
    const object = this.#objectOf(entity, app)
    const link = object === undefined ? undefined : this.link(app, object, nativeId, entity)
    return link?.state === 'live' && link.key !== null ? this.nowUnder(link.key) : undefined
  }

  nativeOf(app: AppId, key: CanonicalKey): NativeId | undefined {
    const lane = this.#followed(key)?.lanes[app]
    return lane !== undefined && isThere(lane) ? (lane.nativeId ?? undefined) : undefined
  }

  /** A record that was deleted, everywhere or in this application. */
  isGone(app: AppId, key: CanonicalKey): boolean {
    const record = this.#followed(key)
    const lane = record?.lanes[app]
    return (
      record !== undefined &&
      (record.deleted ||
        (lane !== undefined && (lane.detached || (!isThere(lane) && lane.exists !== null && lane.nativeId !== null))))
    )
  }

  /** Links of the batch after its commit: they replace what the cache had. */
  commitLinks(): void {
    for (const link of this.links) {
      const ref = nativeRefKey(link.app, link.object, link.nativeId)
      this.#caches.links.set(ref, this.#links.get(ref) ?? NO_LINKS)
    }
  }
}

/** A native record whose links are to be loaded, and the name that they are kept under. */
interface WantedLink extends NativeRef {
  readonly ref: string
}

const ofEntity = (links: readonly Link[] = NO_LINKS, entity: EntityName): Link | undefined =>
  links.find((link) => link.entity === entity)

/** Latching mode `table`: what the store says counts, and nothing that is remembered. */
const isAsked = (model: HubModel, app: AppId, object: ObjectId): boolean =>
  model.bindingsOf(app, object).some(({ latching }) => latching === 'table')

const askedEntities = new WeakMap<EntityModel, boolean>()

function isAskedEntity(model: HubModel, name: EntityName): boolean {
  const entity = model.entities.get(name)
  if (entity === undefined) return false
  let asked = askedEntities.get(entity)
  if (asked === undefined) {
    asked = [...entity.bindings.values()].some(({ latching }) => latching === 'table')
    askedEntities.set(entity, asked)
  }
  return asked
}

const NO_LINKS: readonly Link[] = []
/** One record is said to be another, that one a third, and so on: by hand, so there are few. */
const REDIRECTS_MAX = 32
const matchName = (entity: EntityName, matchKey: string): string => entity + '\u0000' + matchKey

/** Canonical keys that a record's head refers to. */
export function referredKeys(entity: EntityModel, state: RecordState): CanonicalKey[] {
  const keys: CanonicalKey[] = []
  const fields = referenceFields(entity)
  if (fields.none) return keys
  for (const path in state.head) {
    const at = path.indexOf('].')
    const isReference =
      at < 0 ? fields.plain.has(path) : fields.inParts.has(path.slice(0, path.indexOf('[')) + '.' + path.slice(at + 2))
    const value = isReference ? state.head[path]?.value : null
    if (typeof value === 'string') keys.push(value as CanonicalKey)
  }
  return keys
}

interface ReferenceFields {
  readonly plain: ReadonlySet<string>
  readonly inParts: ReadonlySet<string>
  readonly none: boolean
}

const referenceFieldsOf = new WeakMap<EntityModel, ReferenceFields>()

function referenceFields(entity: EntityModel): ReferenceFields {
  let found = referenceFieldsOf.get(entity)
  if (found !== undefined) return found
  const plain = new Set<string>()
  const inParts = new Set<string>()
  for (const field of Object.values(entity.fields)) if (field.reference !== undefined) plain.add(field.name)
  for (const part of Object.values(entity.parts)) {
    for (const field of Object.values(part.fields))
      if (field.reference !== undefined) inParts.add(`${part.name}.${field.name}`)
  }
  found = { plain, inParts, none: plain.size + inParts.size === 0 }
  referenceFieldsOf.set(entity, found)
  return found
}

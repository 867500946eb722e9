import { SyncError } from '../errors/index.ts'
import { referencesIn } from '../merge/decode.ts'
import { type Hint, hintsOfImage } from '../merge/hints.ts'
import { matchKeyOf } from '../merge/match.ts'
import type { JournalEntry } from '../model/change.ts'
import type { BindingModel, EntityModel, HubModel } from '../model/entity.ts'
import {
  asCanonicalKey,
  type CanonicalKey,
  correlationOf,
  type EntityName,
  type JournalPosition,
  type NativeId,
  nativeRefKey,
  type Token,
} from '../model/ids.ts'
import { imageWithRoots, type Lineage } from '../model/lineage.ts'
import type { HeldEntry } from '../model/record.ts'
import type { Image, NativeRecord, Path } from '../model/value.ts'

/** A notification or read of one native record, seen by one entity that follows it; flattened once, however often it has to wait. */
export interface Prepared {
  readonly entry: JournalEntry
  readonly seq: JournalPosition
  readonly atMs: number
  readonly entity: EntityModel
  readonly binding: BindingModel
  readonly nativeId: NativeId
  /** `<app, object, native id>`: the name of its links. */
  readonly linksRef: string
  /** `<app, object, native id, entity>`: entries of one of these are handled in order. */
  readonly ref: string
  readonly kind: 'image' | 'deleted' | 'hint'
  readonly partial: boolean
  readonly image: Image | null
  readonly matchKey: string | null
  readonly hints: readonly Hint[]
  readonly token: Token | undefined
  /** Which record of ours it was made for, and which life of it there; undefined where only a mark tells of it. */
  readonly correlation: { readonly key: CanonicalKey; readonly life: number | undefined } | undefined
  readonly mark: string | undefined
  readonly lineage: Readonly<Record<Path, Lineage>> | undefined
  readonly sourceTimeMs: number | undefined
  /** Set for a read of ours. */
  readonly begunAfter: JournalPosition | null
  readonly references: readonly { readonly entity: EntityName; readonly nativeId: NativeId }[]
  /** Why it cannot be folded at all, found before any decision. */
  readonly broken: SyncError | null
  /** Creates that were open when it was first held: later ones do not hold it (no starving). */
  holdKeys: readonly CanonicalKey[] | null
  /** What it waits for, once it was written down. */
  heldFor: Pick<HeldEntry, 'waitsOn' | 'waitsFor' | 'code'> | null
  /** It stands in the store's held entries. */
  durable: boolean
}

export const refOf = (binding: BindingModel, nativeId: NativeId): string =>
  refIn(nativeRefKey(binding.app, binding.object, nativeId), binding)

const refIn = (linksRef: string, { entity }: BindingModel): string => linksRef + '\u0000' + entity

/** A journal entry of a notification or read, once for each entity that follows its object. */
export function prepare(model: HubModel, entry: JournalEntry): Prepared[] {
  const { input } = entry
  if (input.type !== 'notification' && input.type !== 'read') return []
  if (input.type === 'read' && input.read.result === 'passed') return []
  const from = input.type === 'notification' ? input.change : input.read
  return model.bindingsOf(from.app, from.object).map((binding) => prepareFor(model, binding, entry))
}

export function prepareFor(model: HubModel, binding: BindingModel, entry: JournalEntry): Prepared {
  const entity = model.entities.get(binding.entity) as EntityModel
  const { input } = entry
  const facts =
    input.type === 'read'
      ? factsOfRead(input)
      : input.type === 'notification'
        ? factsOfChange(binding, input.change)
        : null
  if (facts === null) throw new SyncError('internal.bug', `journal entry ${entry.seq} is not an observation`)
  const linksRef = nativeRefKey(binding.app, binding.object, facts.nativeId)
  const flat = facts.kind === 'image' ? flatten(binding, facts.record) : { image: null, broken: null }
  const lineage = input.type === 'notification' ? input.change.lineage : undefined
  return {
    entry,
    seq: entry.seq,
    atMs: entry.atMs,
    entity,
    binding,
    nativeId: facts.nativeId,
    linksRef,
    ref: refIn(linksRef, binding),
    kind: facts.kind,
    partial: facts.partial,
    image: flat.image === null || lineage === undefined ? flat.image : imageWithRoots(flat.image, lineage),
    matchKey: flat.image === null ? null : matchKeyOf(entity, binding, flat.image),
    hints: flat.image === null ? [] : hintsOfImage(entity, binding, flat.image),
    token: facts.token,
    correlation: correlationIn(facts),
    mark: facts.mark,
    lineage,
    sourceTimeMs: facts.sourceTimeMs,
    begunAfter: input.type === 'read' ? input.begunAfter : null,
    references: flat.image === null ? [] : referencesIn(binding, flat.image),
    broken: flat.broken,
    holdKeys: null,
    heldFor: null,
    durable: false,
  }
}

/** A new record that bears the mark of a create of ours belongs to it: every op id, of any installation, has the canonical key in it. */
function correlationIn({ correlationId, mark }: Facts): Prepared['correlation'] {
  if (correlationId !== undefined) return correlationOf(correlationId)
  const key = mark?.split('.')[2]
  return key === undefined ? undefined : { key: asCanonicalKey(key), life: undefined }
}

interface Facts {
  readonly nativeId: NativeId
  readonly kind: Prepared['kind']
  readonly partial: boolean
  readonly record: NativeRecord | undefined
  readonly token: Token | undefined
  readonly correlationId: string | undefined
  readonly mark: string | undefined
  readonly sourceTimeMs: number | undefined
}

function factsOfRead(input: Extract<JournalEntry['input'], { type: 'read' }>): Facts {
  const { read } = input
  const kind = read.result === 'found' ? 'image' : 'deleted'
  return {
    nativeId: read.nativeId,
    kind,
    partial: false,
    record: read.record,
    token: read.token,
    correlationId: read.correlationId,
    mark: undefined,
    sourceTimeMs: read.sourceTimeMs,
  }
}

/**
 * What may be believed of a notification: without an ordered token or a full state it is only a hint, and leads to a read (docs/protocol.md step 5). A part of a state says nothing of what the parts before
 * it have said, so it is believed only where none of those can be missing: in a log.
 */
function factsOfChange(
  binding: BindingModel,
  change: Extract<JournalEntry['input'], { type: 'notification' }>['change'],
): Facts {
  const { token, image, feed, read } = binding.capabilities
  const ordered = token === 'T2' && change.token !== undefined
  const isWhole = change.kind !== 'partial' || feed === 'F3' || read === 'R0'
  const believable = ordered && isWhole && change.kind !== 'hint' && (image !== 'I0' || change.kind === 'deleted')
  const kind = !believable ? 'hint' : change.kind === 'deleted' ? 'deleted' : 'image'
  return {
    nativeId: change.nativeId,
    kind,
    partial: kind === 'image' && change.kind === 'partial',
    record: change.record,
    token: change.token,
    correlationId: change.correlationId,
    mark: change.mark,
    sourceTimeMs: change.sourceTimeMs,
  }
}

function flatten(
  binding: BindingModel,
  record: NativeRecord | undefined,
): { image: Image | null; broken: SyncError | null } {
  try {
    return { image: binding.flatten(record ?? {}), broken: null }
  } catch (error) {
    return { image: null, broken: SyncError.from(error) }
  }
}

import { SyncError } from '../errors/index.ts'
import { changedValues } from '../merge/decode.ts'
import { matchKeyOf } from '../merge/match.ts'
import type { References } from '../merge/references.ts'
import type { ReadImage } from '../model/change.ts'
import type { BindingModel, EntityModel } from '../model/entity.ts'
import { asCanonicalKey, type CanonicalKey, type EntityName, type NativeId } from '../model/ids.ts'
import { type Image, type Path, splitPartPath } from '../model/value.ts'
import { type Hash, hashText, valueText } from './hash.ts'
import { IdTable } from './id-table.ts'

/** What two applications have to have in common to be the same record: its match key, else what the cross-reference says, else nothing. */
export function identityOf(
  entity: EntityModel,
  binding: BindingModel,
  image: Image,
  nativeId: NativeId,
  linked: CanonicalKey | undefined,
): string {
  const matchKey = matchKeyOf(entity, binding, image)
  if (matchKey !== null) return 'm' + matchKey
  return linked === undefined ? `n${binding.app}\u0000${nativeId}` : 'k' + linked
}

/** How the applications that map a path are weighted: factors that add up to zero over all of them. A path that one alone maps says nothing. */
export function factorsOf(entity: EntityModel): ReadonlyMap<BindingModel, ReadonlyMap<string, number>> {
  const appsByPath = new Map<string, BindingModel[]>()
  for (const binding of entity.bindings.values()) {
    for (const path of comparedPaths(binding)) {
      const apps = appsByPath.get(path)
      if (apps === undefined) appsByPath.set(path, [binding])
      else apps.push(binding)
    }
  }
  const factors = new Map<BindingModel, Map<string, number>>()
  for (const binding of entity.bindings.values()) factors.set(binding, new Map())
  for (const [path, apps] of appsByPath) {
    if (apps.length < 2) continue
    for (const [i, binding] of apps.entries()) factors.get(binding)?.set(path, i === 0 ? 1 - apps.length : 1)
  }
  return factors
}

/** `email`, `lines[]` for the presence of an element, `lines[].qty`: without the keys of elements. */
function comparedPaths(binding: BindingModel): string[] {
  const readable = (field: BindingModel['fields'][number]): boolean =>
    field.direction !== 'out' && field.decode !== null && field.lossy !== true
  const paths = binding.fields.filter(readable).map(({ field }) => field)
  for (const part of binding.parts) {
    paths.push(`${part.part}[]`)
    for (const field of part.fields) if (readable(field)) paths.push(`${part.part}[].${field.field}`)
  }
  return paths
}

export function classOfPath(path: Path): string {
  const inPart = splitPartPath(path)
  if (inPart === undefined) return path
  return inPart.field === '' ? `${inPart.part}[]` : `${inPart.part}[].${inPart.field}`
}

/** Which identity a native id of an application stands for, for entities that others refer to. */
export class Identities implements References {
  readonly #table = new IdTable()
  readonly #key: Hash = { hi: 0, lo: 0 }
  readonly #value: Hash = { hi: 0, lo: 0 }

  learn(app: string, entity: EntityName, nativeId: NativeId, identity: Hash): void {
    hashText(`${app}\u0000${entity}\u0000${nativeId}`, this.#key)
    this.#table.set(this.#key, identity)
  }

  /** A stand-in for the canonical key, equal for equal things; an id that nobody was seen under stands for itself alone. */
  keyOf(app: string, entity: EntityName, nativeId: NativeId): CanonicalKey {
    hashText(`${app}\u0000${entity}\u0000${nativeId}`, this.#key)
    return this.#table.get(this.#key, this.#value)
      ? asCanonicalKey(`${this.#value.hi.toString(16)}.${this.#value.lo.toString(16)}`)
      : asCanonicalKey(`unseen ${entity} ${app}:${nativeId}`)
  }

  nativeOf(): NativeId | undefined {
    return undefined
  }
}

export interface Fingerprint {
  readonly identity: string
  readonly image: Image
  readonly error: SyncError | null
}

/** The image, identity and weighted sum of one record; the sum goes into `sum`. HOT PATH. */
export function fingerprint(
  entity: EntityModel,
  binding: BindingModel,
  read: ReadImage,
  factors: ReadonlyMap<string, number>,
  references: References,
  linked: CanonicalKey | undefined,
  sum: Hash,
): Fingerprint {
  sum.hi = 0
  sum.lo = 0
  let image: Image = {}
  try {
    image = binding.flatten(read.record ?? {})
    for (const { path, value } of changedValues(entity, binding, {}, image, references)) {
      const factor = factors.get(path) ?? (path.includes('[') ? factors.get(classOfPath(path)) : undefined)
      if (factor === undefined) continue
      hashText(path + '\u0000' + valueText(value), cell)
      sum.hi = (sum.hi + Math.imul(cell.hi, factor)) >>> 0
      sum.lo = (sum.lo + Math.imul(cell.lo, factor)) >>> 0
    }
    return { identity: identityOf(entity, binding, image, read.nativeId, linked), image, error: null }
  } catch (error) {
    // It cannot be equal to anything: it is looked at again with the rest that is not.
    sum.hi = 1
    return {
      identity: identityOf(entity, binding, image, read.nativeId, linked),
      image,
      error: SyncError.from(error),
    }
  }
}

const cell: Hash = { hi: 0, lo: 0 }

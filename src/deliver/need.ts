import { SyncError } from '../errors/index.ts'
import { hasAgreed } from '../model/basis.ts'
import type { BindingModel, FieldMapping } from '../model/entity.ts'
import { type AppId, asNativeId, type CanonicalKey, type EntityName, type NativeId } from '../model/ids.ts'
import type { HeadCell, Lane, RecordState } from '../model/record.ts'
import { type Image, type Path, type Value, valuesEqual } from '../model/value.ts'

/** What has to be written to bring an application to the head: canonical values, and the origin farthest from a person. */
export interface Need {
  readonly patch: Readonly<Record<Path, Value>>
  readonly root: HeadCell['origin']['root']
  readonly hops: number
}

/**
 * need = the mapped values of the head that differ from what the application holds (docs/protocol.md step 12); null when there is none. For a create
 * (`whole`) all of them. Level-triggered: it looks at states, never at events.
 */
export function needOf(binding: BindingModel, record: RecordState, lane: Lane, whole: boolean): Need | null {
  const collector = new Collector(record, whole ? NOTHING : lane.sent, whole, isRetold(binding, record, lane))
  for (const mapping of binding.fields) {
    if (mapping.direction !== 'in' && mapping.encode !== null) collector.field(mapping.field)
  }
  for (const part of binding.parts) {
    const names = part.fields.filter((field) => field.direction !== 'in' && field.encode !== null)
    const prefix = part.part + '['
    for (const path in record.head) {
      if (path.startsWith(prefix) && path.endsWith(']')) collector.element(path, names)
    }
  }
  return collector.result()
}

/**
 * Where messages say where their values come from, a value that went away and came back is told again, though the application has had it: it comes from elsewhere now, and whoever knows of the old one alone would take
 * what came between for the newer.
 */
const isRetold = (binding: BindingModel, record: RecordState, lane: Lane): ((path: Path) => boolean) =>
  binding.capabilities.lineage === true ? (path) => !hasAgreed(record, lane, path) : never

const never = (): boolean => false

const NOTHING: Lane['sent'] = {}
const NONE_PARKED: RecordState['parkedPaths'] = {}

class Collector {
  readonly record: RecordState
  readonly sent: Lane['sent']
  readonly patch: Record<Path, Value> = {}
  /** A field that is set aside is written to nobody but a new record, which would not be whole without it. */
  readonly #parked: RecordState['parkedPaths']
  #origin: HeadCell['origin'] | null = null

  readonly #isRetold: (path: Path) => boolean

  constructor(record: RecordState, sent: Lane['sent'], whole: boolean, isRetold: (path: Path) => boolean) {
    this.#isRetold = isRetold
    this.record = record
    this.sent = sent
    this.#parked = whole ? NONE_PARKED : record.parkedPaths
  }

  field(path: Path): void {
    const cell = this.record.head[path]
    if (cell === undefined || path in this.#parked) return
    if (valuesEqual(cell.value, this.sent[path]) && !this.#isRetold(path)) return
    this.#take(path, cell)
  }

  element(path: Path, fields: readonly FieldMapping[]): void {
    const presence = this.record.head[path] as HeadCell
    if (presence.value === false) {
      if (this.sent[path] === true) this.#take(path, presence)
      return
    }
    const added = this.sent[path] !== true
    if (added) this.#take(path, presence)
    for (const { field } of fields) {
      const cell = this.record.head[`${path}.${field}`]
      // Like a new record, an element that is put there would not be whole without what is set aside.
      if (!added && `${path}.${field}` in this.#parked) continue
      if (cell !== undefined && (added || !valuesEqual(cell.value, this.sent[`${path}.${field}`])))
        this.#take(`${path}.${field}`, cell)
    }
  }

  #take(path: Path, cell: HeadCell): void {
    this.patch[path] = cell.value
    if (this.#origin === null || cell.origin.hops > this.#origin.hops) this.#origin = cell.origin
  }

  result(): Need | null {
    return this.#origin === null ? null : { patch: this.patch, root: this.#origin.root, hops: this.#origin.hops }
  }
}

/** A referred record that has no native id in the application yet: the lane waits on that link. */
export interface MissingLink {
  readonly entity: EntityName
  readonly key: CanonicalKey
}

/**
 * The native values of a patch. Returns the first missing link instead when a referred record is not in the application yet.
 * Throws SyncError `mapping.encode-failed`.
 */
export function encodePatch(
  binding: BindingModel,
  patch: Readonly<Record<Path, Value>>,
  nativeOf: (app: AppId, key: CanonicalKey) => NativeId | undefined,
): { readonly native: Image } | { readonly missing: MissingLink } {
  const native: Record<Path, Value> = {}
  let missing: MissingLink | undefined
  const put = (mapping: FieldMapping, prefix: Path, value: Value) => {
    let outgoing = value
    if (mapping.reference !== null && value !== null) {
      const id = nativeOf(binding.app, value as CanonicalKey)
      if (id === undefined) {
        missing ??= { entity: mapping.reference, key: value as CanonicalKey }
        return
      }
      outgoing = asNativeId(id)
    }
    const encoded = encodeValue(binding, mapping, prefix, outgoing)
    for (const name in encoded) native[prefix + name] = encoded[name] as Value
  }
  for (const mapping of binding.fields) {
    if (mapping.encode !== null && mapping.direction !== 'in' && mapping.field in patch)
      put(mapping, '', patch[mapping.field] as Value)
  }
  for (const part of binding.parts) {
    const prefix = part.part + '['
    for (const path in patch) {
      if (!path.startsWith(prefix)) continue
      native[part.container] = true
      const close = path.indexOf(']')
      const element = part.container + path.slice(part.part.length, close + 1)
      if (close === path.length - 1) {
        native[element] = patch[path] as Value
        continue
      }
      const mapping = part.fields.find((field) => field.field === path.slice(close + 2))
      if (mapping !== undefined) put(mapping, element + '.', patch[path] as Value)
    }
  }
  return missing === undefined ? { native } : { missing }
}

function encodeValue(
  binding: BindingModel,
  mapping: FieldMapping,
  prefix: Path,
  value: Value,
): Readonly<Record<string, Value>> {
  try {
    return (mapping.encode as NonNullable<FieldMapping['encode']>)(value)
  } catch (error) {
    if (SyncError.is(error)) throw error
    const reason = error instanceof Error ? error.message : String(error)
    throw new SyncError(
      'mapping.encode-failed',
      `${binding.app}: field ${prefix}${mapping.field} of ${binding.entity} cannot be written as ${mapping.natives.join(', ')}: ${reason}. Correct the value, or the codec.`,
      { place: { app: binding.app, entity: binding.entity, field: prefix + mapping.field }, cause: error },
    )
  }
}

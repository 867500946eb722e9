import { SyncError } from '../errors/index.ts'
import type { BindingModel, EntityModel, FieldMapping, FieldModel } from '../model/entity.ts'
import { asNativeId } from '../model/ids.ts'
import { TOLD, toldFrom } from '../model/lineage.ts'
import { type Image, type Path, type Value, valuesEqual } from '../model/value.ts'
import { MissingReference, type References } from './references.ts'

/** One canonical value that an observation changes. `presence` of a part element is a value too. */
export interface ChangedValue {
  readonly path: Path
  /** The element that the path lies in, for a part's field. */
  readonly element: Path | null
  readonly value: Value
  /** The native paths that it was decoded from. */
  readonly natives: readonly Path[]
}

/**
 * The canonical values that differ between what an application was known to hold and what it holds now (docs/protocol.md step 8). Compared on native values: a
 * canonical field is changed when a native field that it maps from is. Presences of part elements come before their fields.
 * Throws SyncError `mapping.decode-failed` or `config.value-invalid`, or MissingReference.
 */
export function changedValues(
  entity: EntityModel,
  binding: BindingModel,
  before: Image,
  now: Image,
  references: References,
  missing: Missing[] | null = null,
): ChangedValue[] {
  const changed: ChangedValue[] = []
  // The same value from another change than before: it went away and came back, at another hub.
  const isRetold = (name: Path): boolean => {
    if (!(TOLD in now)) return false
    const from = toldFrom(name)
    return from in now && now[from] !== before[from]
  }
  for (const mapping of binding.fields) {
    if (mapping.direction === 'out' || mapping.decode === null) continue
    if (!mapping.natives.some((name) => name in now && (!valuesEqual(now[name], before[name]) || isRetold(name))))
      continue
    const model = entity.fields[mapping.field]
    if (model === undefined) continue
    const { natives } = mapping
    const value = orMissing(missing, natives, () => decodeValue(binding, mapping, model, '', before, now, references))
    if (value !== undefined) changed.push({ path: mapping.field, element: null, value, natives })
  }
  if (binding.parts.length > 0) changedParts(entity, binding, before, now, references, changed, missing)
  return changed
}

function changedParts(
  entity: EntityModel,
  binding: BindingModel,
  before: Image,
  now: Image,
  references: References,
  changed: ChangedValue[],
  missing: Missing[] | null,
): void {
  for (const mapping of binding.parts) {
    const part = entity.parts[mapping.part]
    if (part === undefined || now[mapping.container] !== true) continue
    const elementsNow = elementsOf(now, mapping.container)
    for (const element of elementsOf(before, mapping.container)) {
      if (before[element] === true && now[element] !== true) {
        changed.push({
          path: mapping.part + element.slice(mapping.container.length),
          element: null,
          value: false,
          natives: [element],
        })
      }
    }
    for (const element of elementsNow) {
      const path = mapping.part + element.slice(mapping.container.length)
      if (before[element] !== true) changed.push({ path, element: null, value: true, natives: [element] })
      for (const field of mapping.fields) {
        if (field.direction === 'out' || field.decode === null) continue
        const natives = field.natives.map((name) => `${element}.${name}`)
        if (!natives.some((name) => name in now && !valuesEqual(now[name], before[name]))) continue
        const model = part.fields[field.field]
        if (model === undefined) continue
        const value = orMissing(missing, natives, () =>
          decodeValue(binding, field, model, element + '.', before, now, references),
        )
        if (value === undefined) continue
        changed.push({ path: `${path}.${field.field}`, element: path, value, natives })
      }
    }
  }
}

/** Native values that cannot be translated yet, because the record that they refer to is not known. */
export interface Missing {
  readonly reference: MissingReference
  readonly natives: readonly Path[]
}

/** The value, or undefined when it refers to what is not known and that is collected; otherwise throws MissingReference. */
function orMissing(missing: Missing[] | null, natives: readonly Path[], decode: () => Value): Value | undefined {
  try {
    return decode()
  } catch (error) {
    if (missing === null || !(error instanceof MissingReference)) throw error
    missing.push({ reference: error, natives })
    return undefined
  }
}

/** The presence paths of a container's elements in an image. */
export function elementsOf(image: Image, container: string): Path[] {
  const prefix = container + '['
  const elements: Path[] = []
  for (const path in image) {
    if (path.startsWith(prefix) && path.endsWith(']')) elements.push(path)
  }
  return elements
}

function decodeValue(
  binding: BindingModel,
  mapping: FieldMapping,
  model: FieldModel,
  prefix: Path,
  before: Image,
  now: Image,
  references: References,
): Value {
  const values: Record<string, Value> = {}
  for (const name of mapping.natives) {
    const path = prefix + name
    const value = path in now ? now[path] : before[path]
    if (value !== undefined) values[name] = value
  }
  const place = { entity: binding.entity, app: binding.app, field: prefix + mapping.field }
  let decoded: Value
  try {
    decoded = (mapping.decode as NonNullable<FieldMapping['decode']>)(values)
  } catch (error) {
    if (SyncError.is(error)) throw error
    const reason = error instanceof Error ? error.message : String(error)
    throw new SyncError(
      'mapping.decode-failed',
      `${binding.app}: field ${prefix}${mapping.field} of ${binding.entity} cannot be read from ${shown(values)}: ${reason}. Correct the value in ${binding.app}, or the codec.`,
      { place, cause: error },
    )
  }
  if (mapping.reference !== null && decoded !== null) {
    const key = references.keyOf(binding.app, mapping.reference, asNativeId(String(decoded)))
    if (key === undefined) throw new MissingReference(mapping.reference, asNativeId(String(decoded)))
    return key
  }
  return model.validate(decoded)
}

const shown = (values: Readonly<Record<string, Value>>): string =>
  Object.entries(values)
    .map(([name, value]) => `${name} = ${typeof value === 'bigint' ? String(value) : JSON.stringify(value)}`)
    .join(', ')
    .slice(0, 300)

/** All native ids that an image refers to, so that the cross-reference can be loaded before the fold. A value that cannot be decoded is left to the fold to report. */
export function referencesIn(
  binding: BindingModel,
  image: Image,
): { entity: NonNullable<FieldMapping['reference']>; nativeId: ReturnType<typeof asNativeId> }[] {
  const found: { entity: NonNullable<FieldMapping['reference']>; nativeId: ReturnType<typeof asNativeId> }[] = []
  const look = (mapping: FieldMapping, prefix: Path) => {
    if (mapping.reference === null || mapping.decode === null) return
    const values: Record<string, Value> = {}
    for (const name of mapping.natives) {
      const value = image[prefix + name]
      if (value === undefined) return
      values[name] = value
    }
    try {
      const decoded = mapping.decode(values)
      if (decoded !== null) found.push({ entity: mapping.reference, nativeId: asNativeId(String(decoded)) })
    } catch {
      // The fold decodes the same value again and reports it with its place.
    }
  }
  for (const mapping of binding.fields) look(mapping, '')
  for (const part of binding.parts) {
    if (!part.fields.some((field) => field.reference !== null)) continue
    for (const element of elementsOf(image, part.container)) {
      for (const mapping of part.fields) look(mapping, element + '.')
    }
  }
  return found
}

import type { BindingModel, EntityModel } from '../model/entity.ts'
import type { RecordState } from '../model/record.ts'
import type { Image, Value } from '../model/value.ts'

/**
 * The match key of an image: its match fields decoded, and compared as people do (letter case and surrounding space do not tell two customers apart).
 * null when the entity has none, the application does not map all of them, or one is empty: such a record is never matched.
 */
export function matchKeyOf(entity: EntityModel, binding: BindingModel, image: Image): string | null {
  if (entity.match === null) return null
  const parts: Value[] = []
  for (const name of entity.match) {
    const value = decodedField(binding, image, name)
    if (value === undefined) return null
    parts.push(value)
  }
  return keyText(parts)
}

/** The match key of a canonical record. */
export function matchKeyOfRecord(entity: EntityModel, record: RecordState): string | null {
  if (entity.match === null || record.deleted || record.mergedInto !== undefined) return null
  const parts: Value[] = []
  for (const name of entity.match) {
    const cell = record.head[name]
    if (cell === undefined) return null
    parts.push(cell.value)
  }
  return keyText(parts)
}

/** Most keys are ASCII, which NFKC leaves as it is; asking is much cheaper than normalising. */
const plain = (text: string): string => (/^[\x20-\x7e]*$/.test(text) ? text : text.normalize('NFKC'))

/** One canonical field of an image; undefined where the application does not map it, has not sent it, or it cannot be read. */
export function decodedField(binding: BindingModel, image: Image, name: string): Value | undefined {
  const mapping = binding.fields.find((field) => field.field === name)
  if (mapping === undefined || mapping.decode === null) return undefined
  const values: Record<string, Value> = {}
  for (const native of mapping.natives) {
    if (!(native in image)) return undefined
    values[native] = image[native] as Value
  }
  try {
    return mapping.decode(values)
  } catch {
    return undefined
  }
}

/** The text by which people would call two values the same; null where one is empty. */
export function keyText(parts: readonly Value[]): string | null {
  const texts: string[] = []
  for (const part of parts) {
    const text = typeof part === 'string' ? plain(part).trim().toLowerCase() : String(part)
    if (part === null || text === '') return null
    texts.push(text)
  }
  return JSON.stringify(texts)
}

import type { BindingModel, EntityModel } from '../model/entity.ts'
import type { RecordState } from '../model/record.ts'
import type { Image, Value } from '../model/value.ts'
import { decodedField, keyText } from './match.ts'

/** One value by which a record may be recognised: the fields it is made of, and a text that is equal where two records share it. */
export interface Hint {
  readonly fields: readonly string[]
  readonly text: string
}

const NONE: readonly Hint[] = []

/** The hint values of an image; those with a field that is empty, or that the application does not map, are none. */
export function hintsOfImage(entity: EntityModel, binding: BindingModel, image: Image): readonly Hint[] {
  return hintsBy(entity, (name) => decodedField(binding, image, name))
}

/** The hint values of a canonical record; one that is deleted, or has become another, has none. */
export function hintsOfRecord(entity: EntityModel, record: RecordState): readonly Hint[] {
  if (record.deleted || record.mergedInto !== undefined) return NONE
  return hintsBy(entity, (name) => record.head[name]?.value)
}

function hintsBy({ hints = [] }: EntityModel, valueIn: (name: string) => Value | undefined): readonly Hint[] {
  if (hints.length === 0) return NONE
  return hints.flatMap((fields) => {
    const parts: Value[] = []
    for (const name of fields) {
      const value = valueIn(name)
      if (value === undefined) return []
      parts.push(value)
    }
    const text = keyText(parts)
    return text === null ? [] : [{ fields, text: `${fields.join('+')}=${text}` }]
  })
}

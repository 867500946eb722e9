import type { z } from 'zod'
import { defOf, isZod } from './schema.ts'

/** What an application's records look like, for the types alone: `rowOf<Client>()`. */
export interface RowType<Row> {
  readonly kind: 'row'
  readonly row?: Row
}

/** The type of an application's records where there is no schema for them. Give `idType: 'number'` where ids are numbers. */
export const rowOf = <Row>(): RowType<Row> => ({ kind: 'row' })

/** What is known of a native field when the config is read: nothing (`unknown`), that it cannot be there, or its kind. */
export type NativeKind = 'text' | 'number' | 'other' | 'unknown' | 'missing'

/** Looks a native field up in a row schema. Row schemas describe; records are not checked against them. */
export function nativeKindOf(row: unknown, path: string): NativeKind {
  let at: unknown = row
  for (const segment of path.split('.')) {
    const inner = unwrapped(at)
    if (inner === undefined) return 'unknown'
    const def = defOf(inner)
    if (def.type !== 'object')
      return def.type === 'any' || def.type === 'unknown' || def.type === 'record' ? 'unknown' : 'missing'
    if (!Object.hasOwn(def.shape, segment))
      return def.catchall === undefined || defOf(def.catchall).type === 'never' ? 'missing' : 'unknown'
    at = def.shape[segment]
  }
  return kindOfValue(unwrapped(at))
}

/** The schema of a native field as it was given, null and all; undefined when nothing is known of it. */
export function schemaAt(row: unknown, path: string): z.core.$ZodType | undefined {
  let at: unknown = row
  for (const segment of path.split('.')) {
    const inner = unwrapped(at)
    if (inner === undefined || defOf(inner).type !== 'object') return undefined
    at = defOf(inner).shape[segment]
  }
  return isZod(at) ? at : undefined
}

/** The element schema of a native array; undefined when nothing is known of it. */
export function elementOf(row: unknown, path: string): unknown {
  const list = unwrapped(schemaAt(row, path))
  return list !== undefined && defOf(list).type === 'array' ? defOf(list).element : undefined
}

/** The names of a row schema's fields, to suggest the nearest one. */
export function nativeNames(row: unknown): readonly string[] {
  const inner = unwrapped(row)
  return inner !== undefined && defOf(inner).type === 'object' ? Object.keys(defOf(inner).shape) : []
}

function kindOfValue(schema: z.core.$ZodType | undefined): NativeKind {
  if (schema === undefined) return 'unknown'
  const { type, values } = defOf(schema)
  if (type === 'string' || type === 'enum' || type === 'template_literal') return 'text'
  if (type === 'number' || type === 'bigint') return 'number'
  if (type === 'literal')
    return typeof values[0] === 'string' ? 'text' : typeof values[0] === 'number' ? 'number' : 'other'
  return type === 'any' || type === 'unknown' ? 'unknown' : 'other'
}

function unwrapped(schema: unknown): z.core.$ZodType | undefined {
  let at = schema
  while (isZod(at)) {
    const def = defOf(at)
    if (def.innerType !== undefined) at = def.innerType
    else if (def.type === 'lazy') at = def.getter()
    else if (def.type === 'pipe') at = def.out
    else return at
  }
  return undefined
}

import type { JsonSchema, XmlMapping } from './spec.ts'

/** A JSON schema after its references and the "or null" around it are gone. */
export interface PlainSchema {
  readonly schema: JsonSchema
  readonly isNullable: boolean
}

/** Deeper schemas refer to themselves; what lies below is left to the message. */
const SCHEMA_DEPTH_MAX = 16

/** Resolves `$ref` into the root's own `$defs` and takes `anyOf [x, null]` and `type: [x, 'null']` apart. */
export function plainSchema(schema: JsonSchema, root: JsonSchema): PlainSchema {
  let plain = schema
  let isNullable = false
  for (let i = 0; i < SCHEMA_DEPTH_MAX; i++) {
    const { $ref, anyOf, type } = plain
    if (typeof $ref === 'string' && $ref.startsWith('#/$defs/')) {
      plain = ((root.$defs as Record<string, JsonSchema> | undefined)?.[$ref.slice(8)] ?? {}) as JsonSchema
    } else if (Array.isArray(anyOf)) {
      const real = (anyOf as readonly JsonSchema[]).filter((option) => option.type !== 'null')
      if (real.length !== 1) break
      isNullable ||= real.length < anyOf.length
      plain = real[0] as JsonSchema
    } else if (Array.isArray(type)) {
      isNullable ||= type.includes('null')
      const real = type.filter((one) => one !== 'null')
      if (real.length !== 1) break
      plain = { ...plain, type: real[0] }
    } else break
  }
  return { schema: plain, isNullable }
}

export const propertiesOf = (schema: JsonSchema): Readonly<Record<string, JsonSchema>> =>
  (schema.properties ?? {}) as Readonly<Record<string, JsonSchema>>

/** What a schema says about a message in XML: which elements are lists, which are numbers or booleans, and the order of all. */
export function schemaMapping(root: JsonSchema): Pick<XmlMapping, 'lists' | 'types' | 'order'> {
  const lists: string[] = []
  const types: Record<string, 'number' | 'boolean'> = {}
  const order: Record<string, readonly string[]> = {}
  const walk = (schema: JsonSchema, path: string, depth: number): void => {
    if (depth > SCHEMA_DEPTH_MAX) return
    const plain = plainSchema(schema, root).schema
    if (plain.type === 'array') {
      if (path !== '') lists.push(path)
      walk((plain.items ?? {}) as JsonSchema, path, depth + 1)
    } else if (plain.type === 'object') {
      const properties = propertiesOf(plain)
      const names = Object.keys(properties)
      if (names.length > 0) order[path] = names
      for (const name of names) {
        const at = name === '#text' ? path : path === '' ? name : `${path}.${name}`
        walk(properties[name] as JsonSchema, at, depth + 1)
      }
    } else if (plain.type === 'number' || plain.type === 'integer') types[path] = 'number'
    else if (plain.type === 'boolean') types[path] = 'boolean'
  }
  walk(root, '', 0)
  return { lists, types, order }
}

/** A mapping with what a schema says; what was said by hand goes before it. */
export function withSchema<T extends XmlMapping>(mapping: T, schema: JsonSchema | null): T {
  if (schema === null) return mapping
  const said = schemaMapping(schema)
  return {
    ...mapping,
    lists: [...new Set([...mapping.lists, ...said.lists])],
    types: { ...said.types, ...mapping.types },
    order: { ...said.order, ...mapping.order },
  }
}

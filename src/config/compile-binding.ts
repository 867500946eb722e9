import type { Capabilities } from '../model/capabilities.ts'
import type { BindingModel, FieldMapping, Latching, PartMapping } from '../model/entity.ts'
import { type AppId, asEntityName } from '../model/ids.ts'
import type { Value } from '../model/value.ts'
import type { BindingSpec } from './app.ts'
import type { CompiledEntity, CompiledFields, CompiledPart } from './compile-entity.ts'
import { type CompiledField, compileFieldMapping } from './compile-field.ts'
import type { MappingOptions } from './mapping.ts'
import { compileRecords } from './records.ts'
import { checkKeys, checkNativeName, isPlainObject, refuse, refuseUnknown } from './refuse.ts'
import { elementOf, nativeKindOf, nativeNames } from './row.ts'
import { compileWritebacks } from './writeback.ts'

interface CompiledBinding {
  readonly model: BindingModel
  /** What the digest of the mapping says of it. */
  readonly shape: readonly string[]
}

export function compileBinding(
  entity: CompiledEntity,
  app: AppId,
  spec: BindingSpec,
  rank: number,
  capabilities: Capabilities,
  apps: ReadonlySet<string>,
): CompiledBinding {
  const { mapping, row, object } = spec
  const where = `${entity.name}.${app}`
  const fields = compileFields(where, `${where}.fields`, mapping.fields, entity.fields, row)
  const parts = Object.entries(mapping.parts ?? {}).map(([part, given]) => compilePart(where, part, given, entity, row))
  const onCreate = readOnCreate(`${where}.onCreate`, mapping.onCreate ?? {}, row)
  const writebacks = compileWritebacks(`${where}.writeback`, mapping.writeback, app, row, apps)
  const mappings = [...fields, ...writebacks].map((field) => field.mapping)
  checkNatives(where, mappings, parts)
  const natives = [...new Set(mappings.flatMap((field) => field.natives))]
  const partMappings = parts.map((part) => part.mapping)
  const model: BindingModel = {
    app,
    object,
    entity: asEntityName(entity.name),
    rank,
    capabilities,
    fields: mappings,
    parts: partMappings,
    ...(writebacks.length === 0 ? {} : { writebacks: writebacks.map((one) => one.writeback) }),
    createHere: readFlag(where, 'createHere', mapping.createHere),
    adoptHere: readFlag(where, 'adoptHere', mapping.adoptHere),
    onCreate,
    createNeeds: createNeeds(entity.fields, mappings, onCreate),
    deletes: readDeletes(where, mapping.deletes),
    latching: readLatching(where, mapping, capabilities),
    ...compileRecords({ where: `${app}/${object}`, natives, extra: Object.keys(onCreate), parts: partMappings }),
  }
  return {
    model,
    shape: [...[...fields, ...writebacks].map((field) => field.shape), ...parts.flatMap((part) => part.shape)],
  }
}

function compileFields(
  where: string,
  place: string,
  given: unknown,
  fields: CompiledFields,
  row: unknown,
): CompiledField[] {
  if (!isPlainObject(given))
    refuse(place, 'the field mappings are missing', "Give fields: { canonical: 'native', ... }.")
  return Object.entries(given).map(([name, form]) => {
    const model = Object.hasOwn(fields.models, name) ? fields.models[name] : undefined
    const shape = fields.shapes[name]
    if (model === undefined || shape === undefined) {
      refuseUnknown(place, `a field of ${where.split('.')[0]}`, name, Object.keys(fields.models))
    }
    return compileFieldMapping(`${place}.${name}`, model, shape, form, row)
  })
}

interface CompiledPartMapping {
  readonly mapping: PartMapping
  readonly shape: readonly string[]
}

function compilePart(
  where: string,
  name: string,
  given: unknown,
  entity: CompiledEntity,
  row: unknown,
): CompiledPartMapping {
  const place = `${where}.parts.${name}`
  const part = Object.hasOwn(entity.parts, name) ? entity.parts[name] : undefined
  if (part === undefined) refuseUnknown(`${where}.parts`, `a part of ${entity.name}`, name, Object.keys(entity.parts))
  checkKeys(place, given, ['from', 'key', 'keyType', 'fields'])
  const options = given as { from: unknown; key: unknown; keyType: unknown; fields: unknown }
  checkNativeName(`${place}.from`, options.from)
  if (options.key === undefined)
    refuse(place, 'the part has no key here', 'Name the native field of an element that holds its key.')
  checkNativeName(`${place}.key`, options.key)
  if (nativeKindOf(row, options.from) === 'missing') {
    refuseUnknown(`${place}.from`, "a field of this application's records", options.from, nativeNames(row))
  }
  const element = elementOf(row, options.from)
  const keyType = readKeyType(place, options.key, options.keyType, element, part)
  const fields = compileFields(
    where,
    `${place}.fields`,
    options.fields,
    withoutKey(part, place, options.fields),
    element,
  )
  return {
    mapping: {
      part: name,
      container: options.from,
      key: options.key,
      keyType,
      fields: fields.map((field) => field.mapping),
    },
    shape: [`part ${name} ${options.from} ${options.key}:${keyType}`, ...fields.map((field) => field.shape)],
  }
}

/** The key of an element is in its path, so it is mapped by `key` and not once more as a field. */
function withoutKey(part: CompiledPart, place: string, fields: unknown): CompiledFields {
  if (isPlainObject(fields) && Object.hasOwn(fields, part.model.key)) {
    refuse(`${place}.fields`, `'${part.model.key}' is the key of the part, which \`key\` maps already`, 'Take it out.')
  }
  return part
}

function readKeyType(
  place: string,
  key: string,
  given: unknown,
  element: unknown,
  part: CompiledPart,
): 'text' | 'number' {
  const kind = nativeKindOf(element, key)
  if (kind === 'missing') refuseUnknown(`${place}.key`, 'a field of an element', key, nativeNames(element))
  if (kind === 'other')
    refuse(`${place}.key`, `'${key}' is neither text nor a number`, 'Name a field that tells elements apart.')
  if (given !== undefined && given !== 'text' && given !== 'number') {
    refuseUnknown(`${place}.keyType`, 'a type of keys', String(given), ['text', 'number'])
  }
  if (kind !== 'unknown') return kind
  return (given as 'text' | 'number' | undefined) ?? (part.shapes[part.model.key]?.kind === 'int64' ? 'number' : 'text')
}

/** One native field may be read by many, but written by one: otherwise the last would silently win. */
function checkNatives(where: string, fields: readonly FieldMapping[], parts: readonly CompiledPartMapping[]): void {
  const check = (place: string, mappings: readonly FieldMapping[]) => {
    const writers = new Map<string, string>()
    for (const mapping of mappings) {
      if (mapping.encode === null) continue
      for (const native of mapping.natives) {
        const other = writers.get(native)
        if (other !== undefined)
          refuse(
            `${place}.${mapping.field}`,
            `'${native}' is already written by '${other}'`,
            'Let one of them be readOnly().',
          )
        writers.set(native, mapping.field)
      }
    }
  }
  check(`${where}.fields`, fields)
  for (const { mapping } of parts) check(`${where}.parts.${mapping.part}.fields`, mapping.fields)
}

function readOnCreate(where: string, given: unknown, row: unknown): Readonly<Record<string, Value>> {
  if (!isPlainObject(given)) refuse(where, 'an object is needed', 'Give { native: value }.')
  for (const [name, value] of Object.entries(given)) {
    checkNativeName(where, name)
    if (nativeKindOf(row, name) === 'missing')
      refuseUnknown(where, "a field of this application's records", name, nativeNames(row))
    if (value === undefined || (typeof value === 'object' && value !== null)) {
      refuse(
        `${where}.${name}`,
        'a single value is needed',
        "Reach into objects with dots: { 'address.country': 'DE' }.",
      )
    }
  }
  return { ...given } as Record<string, Value>
}

/**
 * Canonical fields without which a create is not attempted: those that are written here, must be there, and are not given by
 * `onCreate`. A nullable field may wait: a record without it is one that has none yet.
 */
function createNeeds(
  fields: CompiledFields,
  mappings: readonly FieldMapping[],
  onCreate: Readonly<Record<string, Value>>,
): string[] {
  return mappings
    .filter(({ field, direction, natives }) => {
      const shape = fields.shapes[field]
      if (direction === 'in' || shape === undefined || shape.optional || shape.nullable) return false
      return !natives.every((native) => Object.hasOwn(onCreate, native))
    })
    .map(({ field }) => field)
}

function readFlag(where: string, name: string, given: unknown): boolean {
  if (given === undefined) return true
  if (typeof given !== 'boolean') refuse(`${where}.${name}`, `${String(given)} is not a boolean`, 'Give true or false.')
  return given
}

function readDeletes(where: string, given: unknown): BindingModel['deletes'] {
  if (given === undefined) return 'propagate'
  if (given !== 'propagate' && given !== 'ignore')
    refuseUnknown(`${where}.deletes`, 'a way to treat deletes', String(given), ['propagate', 'ignore'])
  return given
}

/** Without a condition a lost latch overwrites unseen, and without an idempotent create it makes a second record: then nothing may be lost. */
function readLatching(where: string, mapping: MappingOptions, capabilities: Capabilities): Latching {
  const { latching: given, createHere } = mapping
  const known: readonly Latching[] = ['memory', 'table', 'volatile']
  if (given === undefined) return 'memory'
  if (!known.includes(given)) refuseUnknown(`${where}.latching`, 'a latching mode', String(given), known)
  if (given !== 'volatile') return given
  const next = "Say latching: 'memory', or give the binding what it lacks."
  if (capabilities.condition !== 'C2')
    refuse(`${where}.latching`, 'volatile needs conditional writes (C2), and this binding writes blindly', next)
  if (capabilities.create !== 'K2' && createHere !== false)
    refuse(
      `${where}.latching`,
      `volatile needs idempotent creates (K2), and this binding has ${capabilities.create}`,
      next,
    )
  return given
}

import type { BindingModel, EntityModel, FieldModel, PartModel } from '../model/entity.ts'
import { type AppId, asAppId, asEntityName } from '../model/ids.ts'
import type { AppDescription } from './app.ts'
import { compileBinding } from './compile-binding.ts'
import { readDeletes } from './deletes.ts'
import { digest } from './digest.ts'
import type { PartDefinition, SyncDefinition } from './entity.ts'
import { readDefaultPolicy, readPolicies } from './policies.ts'
import { checkCanonicalName, checkKeys, refuse, refuseUnknown } from './refuse.ts'
import { compileField, fieldSchemasOf, type Shape } from './schema.ts'

export interface EntityContext {
  readonly descriptions: ReadonlyMap<AppId, AppDescription>
  /** The applications in which each entity is synced. */
  readonly appsByEntity: ReadonlyMap<string, ReadonlySet<string>>
}

/** Fields as models, with what the mapping has to know of their schemas. */
export interface CompiledFields {
  readonly models: Readonly<Record<string, FieldModel>>
  readonly shapes: Readonly<Record<string, Shape>>
}

export interface CompiledPart extends CompiledFields {
  readonly model: PartModel
}

export interface CompiledEntity {
  readonly name: string
  readonly fields: CompiledFields
  readonly parts: Readonly<Record<string, CompiledPart>>
}

export function compileEntity(sync: SyncDefinition, context: EntityContext): EntityModel {
  const { entity, options } = sync
  const { name } = entity
  const fields = compileFields(name, entity.schema, context)
  const parts = Object.fromEntries(
    Object.entries(entity.parts).map(([part, given]) => [part, compilePart(name, part, given, context)]),
  )
  for (const part of Object.keys(parts)) {
    if (part in fields.models)
      refuse(`${name}.${part}`, 'it is a field and a part', 'Take it out of the schema: the part declares it.')
  }
  const compiled: CompiledEntity = { name, fields, parts }
  const bindings = compileBindings(sync, compiled, context)
  checkOwners(name, bindings)
  const match = entity.match === null ? null : checkMatch(name, entity.match.fields, compiled, bindings)
  const apps = [...bindings.keys()]
  const policyDefault = readDefaultPolicy(name, options.conflicts?.default, apps)
  const policies = readPolicies(name, options.conflicts?.fields ?? {}, compiled, bindings)
  const deletes = readDeletes(name, options.deletes, compiled)
  return {
    name: asEntityName(name),
    fields: fields.models,
    parts: Object.fromEntries(Object.entries(parts).map(([part, { model }]) => [part, model])),
    match,
    ...(entity.hints.length === 0 ? {} : { hints: checkHints(name, entity.hints, compiled) }),
    bindings: new Map([...bindings].map(([app, { model }]) => [app, model])),
    policyDefault,
    policies,
    ...deletes,
    mappingVersion: digest([
      name,
      ...describeFields(fields),
      ...Object.values(parts).flatMap((part) => [`part ${part.model.name} ${part.model.key}`, ...describeFields(part)]),
      `match ${match?.join('+') ?? ''}`,
      ...[...bindings].flatMap(([app, { shape }]) => [`app ${app}`, ...shape]),
    ]),
  }
}

type Bindings = ReadonlyMap<AppId, { readonly model: BindingModel; readonly shape: readonly string[] }>

function compileFields(where: string, schema: unknown, context: EntityContext): CompiledFields {
  const models: Record<string, FieldModel> = {}
  const shapes: Record<string, Shape> = {}
  for (const [name, field] of Object.entries(fieldSchemasOf(where, schema))) {
    checkCanonicalName(where, name)
    if (name.startsWith('@')) refuse(`${where}.${name}`, 'names with @ are derived by the hub', 'Use another name.')
    const { model, shape } = compileField(`${where}.${name}`, name, field)
    if (shape.reference !== null && !context.appsByEntity.has(shape.reference)) {
      refuseUnknown(`${where}.${name}`, 'an entity of this hub', shape.reference, [...context.appsByEntity.keys()])
    }
    models[name] = model
    shapes[name] = shape
  }
  return { models, shapes }
}

function compilePart(entity: string, name: string, given: PartDefinition, context: EntityContext): CompiledPart {
  const where = `${entity}.${name}`
  checkCanonicalName(where, name)
  checkKeys(where, given, ['key', 'schema'])
  const fields = compileFields(where, given.schema, context)
  const next = 'Name the field that tells elements apart, for example the line number.'
  if (typeof given.key !== 'string') refuse(where, 'a part needs a key', next)
  const shape = fields.shapes[given.key]
  if (shape === undefined) refuseUnknown(`${where}.key`, 'a field of this part', given.key, Object.keys(fields.models))
  if (shape.nullable || shape.optional) refuse(`${where}.key`, `'${given.key}' may be missing`, next)
  return { ...fields, model: { name, key: given.key, fields: fields.models } }
}

const describeFields = (fields: CompiledFields): string[] =>
  Object.entries(fields.shapes).map(
    ([name, shape]) => `field ${name} ${shape.kind}${shape.nullable ? '?' : ''}${shape.optional ? ' optional' : ''}`,
  )

function compileBindings(sync: SyncDefinition, entity: CompiledEntity, context: EntityContext): Bindings {
  const entries = Object.entries(sync.bindings)
  if (entries.length === 0)
    refuse(entity.name, 'no application is bound to it', 'Give sync(entity, { app: app.resource(...) }).')
  const compiled = entries.map(([name, spec], rank) => {
    const app = asAppId(name)
    const capabilities = context.descriptions.get(app)?.capabilities.get(spec.object)
    if (capabilities === undefined)
      refuse(
        `${entity.name}.${name}`,
        `the connector does not know '${spec.object}'`,
        'Bind it with the connector of this application.',
      )
    return [app, compileBinding(entity, app, spec, rank, capabilities, new Set(Object.keys(sync.bindings)))] as const
  })
  const bindings: Bindings = new Map(compiled)
  for (const [app, { model }] of bindings) {
    checkCompleteness(entity, app, model, bindings)
    checkReferences(entity.name, app, model, context)
  }
  return bindings
}

/** A record can be created here only when every field that it must have comes from somewhere. */
function checkCompleteness(entity: CompiledEntity, app: AppId, model: BindingModel, bindings: Bindings): void {
  if (!model.createHere || bindings.size < 2) return
  for (const field of model.createNeeds) {
    const supplied = [...bindings].some(
      ([other, { model: binding }]) =>
        other !== app && binding.fields.some((mapping) => mapping.field === field && mapping.direction !== 'out'),
    )
    if (supplied) continue
    refuse(
      `${entity.name}.${app}.fields.${field}`,
      `a new record needs '${field}' here, and no other application supplies it`,
      'Give its native value in onCreate, say createHere: false, or make the field nullable.',
    )
  }
}

/** An id of a record that is not synced in this application cannot be translated; the record would wait for ever. */
function checkReferences(entity: string, app: AppId, model: BindingModel, context: EntityContext): void {
  for (const { field, reference } of [...model.fields, ...model.parts.flatMap((part) => part.fields)]) {
    if (reference === null || context.appsByEntity.get(reference)?.has(app)) continue
    refuse(
      `${entity}.${app}.fields.${field}`,
      `it refers to the entity ${reference}, which is not synced in ${app}, so its id there is never known`,
      `Bind ${reference} in ${app} too, or leave this field out.`,
    )
  }
}

/** Two applications that only tell can never be brought to agree: neither can be corrected. */
function checkOwners(entity: string, bindings: Bindings): void {
  const owners = new Map<string, AppId>()
  for (const [app, { model }] of bindings) {
    const mapped = [
      ...model.fields.map((mapping) => ({ path: mapping.field, mapping })),
      ...model.parts.flatMap((part) =>
        part.fields.map((mapping) => ({ path: `${part.part}.${mapping.field}`, mapping })),
      ),
    ]
    for (const { path, mapping } of mapped) {
      if (mapping.direction !== 'in') continue
      const owner = owners.get(path)
      if (owner !== undefined) {
        refuse(
          `${entity}.${app}.fields.${path}`,
          `it is read-only here and in ${owner}, so the two can never be made equal`,
          'Let one of them be written, or map it in one only.',
        )
      }
      owners.set(path, app)
    }
  }
}

/** A hint serves in the applications that map all of its fields. */
function checkHints(
  entity: string,
  hints: readonly (readonly string[])[],
  compiled: CompiledEntity,
): readonly (readonly string[])[] {
  for (const name of hints.flat()) {
    if (!(name in compiled.fields.models))
      refuseUnknown(`${entity}.hints`, 'a field of this entity', name, Object.keys(compiled.fields.models))
  }
  return hints
}

function checkMatch(
  entity: string,
  names: readonly string[],
  compiled: CompiledEntity,
  bindings: Bindings,
): readonly string[] {
  const where = `${entity}.match`
  if (names.length === 0) refuse(where, 'no field is named', "Give key('email').")
  for (const name of names) {
    if (!(name in compiled.fields.models))
      refuseUnknown(where, 'a field of this entity', name, Object.keys(compiled.fields.models))
    for (const [app, { model }] of bindings) {
      if (model.fields.some((mapping) => mapping.field === name && mapping.direction === 'both')) continue
      refuse(
        where,
        `'${name}' is not mapped both ways in ${app}, so records there cannot be matched by it`,
        'Map it both ways, or match by another field.',
      )
    }
  }
  return names
}

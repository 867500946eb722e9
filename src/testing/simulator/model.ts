import { compileRecords } from '../../config/records.ts'
import type {
  BindingModel,
  DeletePolicy,
  EntityModel,
  FieldMapping,
  FieldModel,
  HubModel,
  Latching,
  PartMapping,
  Policy,
} from '../../model/entity.ts'
import type { AppId, EntityName, ObjectId } from '../../model/ids.ts'
import type { Value } from '../../model/value.ts'
import { type DrawnField, DrawnObject, decode, encode } from './apps/mapping.ts'
import type { AppProfile } from './apps/profile.ts'
import type { EntitySpec, FieldSpec } from './fields.ts'

export interface ModelChoices {
  readonly policyDefault: Policy
  readonly policies: Readonly<Record<string, Policy>>
  readonly deletes: DeletePolicy
  /** Of every binding; absent: memory. */
  readonly latching?: Latching
}

const MAPPING_VERSION = 1

/** The hub's model of the simulated entities and applications: what `defineHub` would have made of their config. */
export function buildModel(
  specs: readonly EntitySpec[],
  profiles: readonly AppProfile[],
  choices: ModelChoices,
): HubModel {
  const entities = new Map<EntityName, EntityModel>()
  const byObject = new Map<AppId, Map<ObjectId, BindingModel[]>>()
  for (const spec of specs) {
    const bindings = new Map<AppId, BindingModel>()
    for (const profile of profiles) {
      const object = profile.objects.get(spec.name)
      if (!(object instanceof DrawnObject)) continue
      const binding = buildBinding(object, profile, bindings.size, choices.latching)
      bindings.set(profile.app, binding)
      const objects = byObject.get(profile.app) ?? new Map<ObjectId, BindingModel[]>()
      byObject.set(profile.app, objects)
      objects.set(object.object, [...(objects.get(object.object) ?? []), binding])
    }
    entities.set(spec.name, buildEntity(spec, bindings, choices))
  }
  const none: readonly BindingModel[] = []
  return {
    entities,
    bindingsOf: (app: AppId, object: ObjectId) => byObject.get(app)?.get(object) ?? none,
    mappingVersion: MAPPING_VERSION,
  }
}

function buildEntity(spec: EntitySpec, bindings: ReadonlyMap<AppId, BindingModel>, choices: ModelChoices): EntityModel {
  return {
    name: spec.name,
    fields: fieldModels(spec.fields),
    parts: Object.fromEntries(
      spec.parts.map(({ name, key, fields }) => [name, { name, key, fields: fieldModels(fields) }]),
    ),
    match: ['code'],
    bindings,
    policyDefault: choices.policyDefault,
    policies: choices.policies,
    deletes: choices.deletes,
    mappingVersion: MAPPING_VERSION,
  }
}

const unchecked = (value: Value): Value => value

function fieldModels(fields: readonly FieldSpec[]): Record<string, FieldModel> {
  return Object.fromEntries(
    fields.map(({ name, nullable, refersTo }) => {
      const field: FieldModel = { name, validate: unchecked, optional: nullable }
      return [name, refersTo === undefined ? field : { ...field, reference: refersTo }]
    }),
  )
}

function buildBinding(object: DrawnObject, profile: AppProfile, rank: number, latching?: Latching): BindingModel {
  const parts = object.parts.map(
    ({ name, container, key, fields }): PartMapping => ({
      part: name,
      container,
      key,
      keyType: 'number',
      fields: fields.map(fieldMapping),
    }),
  )
  const fields = object.fields.map(fieldMapping)
  return {
    app: profile.app,
    object: object.object,
    entity: object.spec.name,
    rank,
    capabilities: profile.capabilities,
    fields,
    parts,
    createHere: true,
    adoptHere: true,
    onCreate: {},
    createNeeds: object.fields.filter((field) => !field.nullable).map((field) => field.name),
    deletes: 'propagate',
    ...(latching === undefined ? {} : { latching }),
    ...compileRecords({
      where: `${profile.app}/${object.object}`,
      natives: fields.flatMap((field) => field.natives),
      extra: [],
      parts,
    }),
  }
}

function fieldMapping(field: DrawnField): FieldMapping {
  return {
    field: field.name,
    natives: [field.native],
    direction: 'both',
    reference: field.refersTo ?? null,
    decode: (values) => decode(field, values[field.native] ?? null),
    encode: (value) => ({ [field.native]: encode(field, value) }),
  }
}

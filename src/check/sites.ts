import type { HubDefinition } from '../config/define-hub.ts'
import type { PartDefinition, SyncDefinition } from '../config/entity.ts'
import { elementOf, schemaAt } from '../config/row.ts'
import { fieldSchemasOf } from '../config/schema.ts'
import type { BindingModel, EntityModel, FieldMapping, FieldModel } from '../model/entity.ts'
import { type AppId, asAppId, asEntityName } from '../model/ids.ts'

/** Where values pass between applications: every canonical field, with every application that maps it. */
export interface FieldSite {
  readonly entity: string
  /** `email`, or `lines.quantity` for a field of a part. */
  readonly path: string
  readonly model: FieldModel
  readonly schema: unknown
  readonly ends: readonly FieldEnd[]
  /** The key of a part is mapped with the part itself. */
  readonly isKey: boolean
}

/** One field in one application. */
export interface FieldEnd {
  readonly app: AppId
  readonly mapping: FieldMapping
  /** The schemas of its native fields, in their order; undefined where nothing is known of one. */
  readonly natives: readonly unknown[]
}

/** One entity with the schemas that its model was compiled from. */
export interface DeclaredEntity {
  readonly model: EntityModel
  readonly sync: SyncDefinition
}

export function declaredEntities(definition: HubDefinition): readonly DeclaredEntity[] {
  return definition.declared.flatMap((sync) => {
    const model = definition.model.entities.get(asEntityName(sync.entity.name))
    return model === undefined ? [] : [{ model, sync }]
  })
}

export const sitesOf = ({ model, sync }: DeclaredEntity): readonly FieldSite[] => [
  ...fieldSites(model.name, '', sync.entity.schema, model.fields, null, (field) => endsOf(model, sync, field, null)),
  ...Object.entries(sync.entity.parts).flatMap(([part, { schema, key }]: [string, PartDefinition]) =>
    fieldSites(model.name, `${part}.`, schema, model.parts[part]?.fields ?? {}, key, (field) =>
      endsOf(model, sync, field, part),
    ),
  ),
]

type EndsOf = (field: string) => readonly FieldEnd[]

function fieldSites(
  entity: string,
  prefix: string,
  schema: unknown,
  models: Readonly<Record<string, FieldModel>>,
  key: string | null,
  ends: EndsOf,
): FieldSite[] {
  const schemas = fieldSchemasOf(entity, schema)
  return Object.values(models).map((model) => ({
    entity,
    path: prefix + model.name,
    model,
    schema: schemas[model.name],
    ends: ends(model.name),
    isKey: model.name === key,
  }))
}

function endsOf(model: EntityModel, sync: SyncDefinition, field: string, part: string | null): FieldEnd[] {
  return Object.entries(sync.bindings).flatMap(([name, { row }]) => {
    const binding = model.bindings.get(asAppId(name))
    if (binding === undefined) return []
    const { mappings, element } = mappingsOf(binding, row, part)
    return mappings
      .filter((mapping) => mapping.field === field)
      .map((mapping) => ({
        app: binding.app,
        mapping,
        natives: mapping.natives.map((native) => schemaAt(element, native)),
      }))
  })
}

function mappingsOf(
  binding: BindingModel,
  row: unknown,
  part: string | null,
): { readonly mappings: readonly FieldMapping[]; readonly element: unknown } {
  if (part === null) return { mappings: binding.fields, element: row }
  const mapping = binding.parts.find((one) => one.part === part)
  return mapping === undefined
    ? { mappings: [], element: undefined }
    : { mappings: mapping.fields, element: elementOf(row, mapping.container) }
}

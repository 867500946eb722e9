import { schemaTakes } from '../../../check/values.ts'
import type { BindingModel, FieldMapping, FieldModel } from '../../../model/entity.ts'
import type { AppId, ObjectId } from '../../../model/ids.ts'
import {
  type Fields,
  type Image,
  type NativeRecord,
  type Path,
  splitPartPath,
  type Value,
  valuesEqual,
} from '../../../model/value.ts'
import { type AppField, type AppObject, type AppPart, type Cells, type Entry, elementKeys } from '../apps/mapping.ts'
import type { EntitySpec } from '../fields.ts'
import { UNJUDGED } from '../fields.ts'
import { cellOf, nativesOf, type PoolValue } from './pool.ts'

/** One field of a config in one of its applications. */
export interface OwnField extends AppField {
  readonly mapping: FieldMapping
  readonly model: FieldModel
  /** Schemas of the native fields; undefined where nothing is known of one. */
  readonly schemas: readonly unknown[]
  readonly pool: readonly PoolValue[]
}

export interface OwnPart extends AppPart {
  readonly container: string
  readonly fields: readonly OwnField[]
}

export interface OwnObjectOptions {
  readonly binding: BindingModel
  readonly spec: EntitySpec
  readonly fields: readonly OwnField[]
  readonly parts: readonly OwnPart[]
  /** What tells each thing from the others, by its number: the values of the match fields. null where the entity is not matched. */
  readonly identities: readonly (readonly PoolValue[])[] | null
  readonly match: readonly string[]
  readonly isDeletable: boolean
}

/** An entity of a config in one of its applications, kept by its own mapping: a copy of the application that stores what it is given, and refuses what the schema of its records does not take. */
export class OwnObject implements AppObject {
  readonly object: ObjectId
  readonly spec: EntitySpec
  readonly fields: readonly OwnField[]
  readonly parts: readonly OwnPart[]
  readonly isDeletable: boolean
  readonly isAdopted: boolean
  /** Whether a record of another application with the same match fields is the same thing. */
  readonly isMatched: boolean
  readonly #options: OwnObjectOptions
  readonly #binding: BindingModel
  readonly #app: AppId
  /** What is written back into it: kept, and judged by nobody. */
  readonly #writebacks: readonly string[]
  readonly #byName = new Map<string, OwnField>()

  constructor(options: OwnObjectOptions) {
    this.#options = options
    this.#binding = options.binding
    this.#app = options.binding.app
    this.object = options.binding.object
    this.spec = options.spec
    this.fields = options.fields
    this.parts = options.parts
    this.isDeletable = options.isDeletable
    this.isAdopted = options.binding.adoptHere
    this.isMatched = options.identities !== null
    this.#writebacks = (options.binding.writebacks ?? []).flatMap(({ field }) =>
      options.binding.fields.filter((one) => one.field === field).flatMap(({ natives }) => natives),
    )
    for (const field of this.fields) this.#byName.set(field.name, field)
    for (const part of this.parts)
      for (const field of part.fields) this.#byName.set(`${part.name}.${field.name}`, field)
  }

  isExpected(head: Readonly<Record<Path, unknown>>): boolean {
    return this.#binding.createHere && this.#binding.createNeeds.every((path) => path in head)
  }

  fieldAt(path: Path): OwnField | undefined {
    const inPart = splitPartPath(path)
    return this.#byName.get(inPart === undefined ? path : `${inPart.part}.${inPart.field}`)
  }

  maps(path: Path): boolean {
    if (this.fieldAt(path) !== undefined) return true
    const inPart = splitPartPath(path)
    return inPart?.field === '' && this.parts.some(({ name }) => name === inPart.part)
  }

  entered(field: AppField, { random }: Entry): Value {
    const { pool } = field as OwnField
    return pool.length === 0 ? null : (random.pick(pool).cells.get(this.#app) as Value)
  }

  pointing(field: AppField, nativeId: string): Value {
    const { mapping, schemas } = field as OwnField
    if (mapping.encode !== null) return cellOf(mapping.natives, mapping.encode(nativeId))
    return schemas[0] !== undefined && !schemaTakes(schemas[0])(nativeId) ? Number(nativeId) : nativeId
  }

  identity(record: number): Cells | undefined {
    const { identities, match } = this.#options
    if (identities === null) return {}
    const values = identities[record - 1]
    if (values === undefined) return undefined
    return Object.fromEntries(match.map((name, i) => [name, values[i]?.cells.get(this.#app) as Value]))
  }

  thingOf(cells: Cells): number | undefined {
    const { identities, match } = this.#options
    if (identities === null) return undefined
    const told = match.map((name) => this.canonical(name, cells[name] ?? null))
    const index = identities.findIndex((values) => values.every(({ value }, i) => valuesEqual(value, told[i])))
    return index < 0 ? undefined : index + 1
  }

  settled(before: Cells, next: Cells): Cells {
    const changed: Record<Path, Value> = {}
    const kept: Record<Path, Value> = {}
    for (const path in next) (valuesEqual(before[path], next[path]) ? kept : changed)[path] = next[path] as Value
    return this.#cells({ ...this.#image(kept, next), ...this.#image(changed, next) })
  }

  rendition(path: Path, value: Value): Value {
    const mapping = this.fieldAt(path)?.mapping
    if (mapping === undefined) return value
    const natives =
      mapping.encode === null ? { [mapping.natives[0] ?? '']: value } : tried(() => mapping.encode?.(value))
    return natives === undefined ? null : cellOf(mapping.natives, natives)
  }

  isKept(path: Path, value: Value, cell: Value | undefined): boolean {
    const field = this.fieldAt(path)
    // What an application only tells cannot be brought to what the others hold.
    if (field === undefined || field.mapping.direction === 'in') return true
    if (cell === undefined) return value === null
    if (field.mapping.decode === null || field.mapping.lossy === true)
      return valuesEqual(this.rendition(path, value), cell)
    return valuesEqual(this.canonical(path, cell), value)
  }

  canonical(path: Path, cell: Value): Value | undefined {
    const field = this.fieldAt(path)
    if (field === undefined) return cell
    return readAs(field, nativesOf(field.mapping.natives, cell))
  }

  /** A config's application tells whole records. */
  partOnWire(cells: Cells): NativeRecord {
    return this.toWire(cells)
  }

  toWire(cells: Cells): NativeRecord {
    return this.#binding.unflatten(this.#image(cells, cells))
  }

  made(patch: NativeRecord): Cells {
    const cells: Record<Path, Value> = { ...this.#cells(this.#binding.flatten(patch)) }
    for (const field of this.fields)
      if (!(field.name in cells) && field.mapping.direction !== 'out') cells[field.name] = this.#blank(field)
    return cells
  }

  written(cells: Cells, patch: NativeRecord): Cells {
    const given = this.#binding.flatten(patch)
    const image: Record<Path, Value> = {}
    const before = this.#image(cells, cells)
    for (const path in before) {
      const open = path.indexOf('[')
      if (open < 0 || !(path.slice(0, open) in given)) image[path] = before[path] as Value
    }
    return this.#cells({ ...image, ...given })
  }

  canonicalPatch(patch: NativeRecord): Fields {
    const cells = this.#cells(this.#binding.flatten(patch))
    const written: Record<Path, Value> = {}
    for (const path in cells) {
      const value = this.canonical(path, cells[path] as Value)
      if (value !== undefined) written[path] = value
    }
    return written
  }

  refusal(patch: NativeRecord): string | undefined {
    const cells = this.#cells(this.#binding.flatten(patch))
    for (const path in cells) {
      const field = this.fieldAt(path)
      if (field === undefined) continue
      const natives = nativesOf(field.mapping.natives, cells[path] as Value)
      const wrong = field.mapping.natives.find(
        (name, i) => field.schemas[i] !== undefined && !schemaTakes(field.schemas[i])(natives[name]),
      )
      if (wrong !== undefined) return `'${wrong}' does not take ${JSON.stringify(natives[wrong])}`
    }
    return undefined
  }

  /** What an application puts into a field that was not given with a new record. */
  #blank({ nullable, pool }: OwnField): Value {
    return nullable ? null : (pool[0]?.cells.get(this.#app) ?? null)
  }

  /** The native values of cells; of parts, those elements that `all` has. */
  #image(cells: Cells, all: Cells): Image {
    const image: Record<Path, Value> = {}
    const put = (field: OwnField, path: Path, prefix: Path): void => {
      const cell = cells[path]
      if (cell === undefined) return
      for (const [name, value] of Object.entries(nativesOf(field.mapping.natives, cell))) image[prefix + name] = value
    }
    for (const field of this.fields) put(field, field.name, '')
    for (const name of this.#writebacks) {
      const value = cells[UNJUDGED + name]
      if (value !== undefined) image[name] = value
    }
    for (const part of this.parts) {
      image[part.container] = true
      for (const key of elementKeys(all, part)) {
        image[`${part.container}[${key}]`] = true
        for (const field of part.fields) put(field, `${part.name}[${key}].${field.name}`, `${part.container}[${key}].`)
      }
    }
    return image
  }

  #cells(image: Image): Cells {
    const cells: Record<Path, Value> = {}
    const put = (field: OwnField, path: Path, prefix: Path): void => {
      const { natives } = field.mapping
      if (!natives.some((name) => prefix + name in image)) return
      cells[path] = cellOf(natives, Object.fromEntries(natives.map((name) => [name, image[prefix + name] ?? null])))
    }
    for (const field of this.fields) put(field, field.name, '')
    for (const name of this.#writebacks) if (name in image) cells[UNJUDGED + name] = image[name] as Value
    for (const part of this.parts) {
      for (const key of elementKeys(image, { name: part.container })) {
        cells[`${part.name}[${key}]`] = true
        for (const field of part.fields) put(field, `${part.name}[${key}].${field.name}`, `${part.container}[${key}].`)
      }
    }
    return cells
  }
}

/** The canonical value that natives tell; undefined when the application does not tell it, or it is set aside for what it is. */
function readAs(
  { mapping, model }: Pick<OwnField, 'mapping' | 'model'>,
  natives: Readonly<Record<string, Value>>,
): Value | undefined {
  if (mapping.decode === null) return undefined
  return tried(() => {
    const value = mapping.decode?.(natives) as Value
    return mapping.reference === null ? model.validate(value) : value
  })
}

function tried<T>(run: () => T): T | undefined {
  try {
    return run()
  } catch {
    return undefined
  }
}

import { asObjectId, type ObjectId } from '../../../model/ids.ts'
import {
  type Fields,
  type NativeData,
  type NativeRecord,
  type Path,
  partPath,
  type Value,
  valuesEquivalent,
} from '../../../model/value.ts'
import { codeText, type EntitySpec, type FieldSpec, fieldAt, freshValue, recordOfCode } from '../fields.ts'
import type { Rng } from '../rng.ts'
import { drawNormaliser, type Normaliser } from './normalisers.ts'

/** What an application stores of one record: its own values, under the canonical paths that they belong to. */
export type Cells = Readonly<Record<Path, Value>>

/** A user's action, as far as the values that it enters depend on it. */
export interface Entry {
  readonly id: number
  readonly random: Rng
}

/** One canonical field in one application. */
export interface AppField extends FieldSpec {
  /** Whether the users of this application change it. */
  readonly isEdited: boolean
  /** Whether they give it with a new record. */
  readonly isEntered: boolean
  /** What it keeps is less than it is given, as its mapping declares. */
  readonly isInexact?: true
}

export interface AppPart {
  readonly name: string
  readonly fields: readonly AppField[]
}

/** One entity as one application keeps it: what its users enter, what it stores, and what of both is which canonical value. */
export interface AppObject {
  readonly object: ObjectId
  readonly spec: EntitySpec
  readonly fields: readonly AppField[]
  readonly parts: readonly AppPart[]
  /** Whether its users' deletions are carried to the others as they are. */
  readonly isDeletable: boolean
  /** Whether a record that appears here is made in the others. */
  readonly isAdopted: boolean
  /** Whether the hub makes a record with these values here. */
  isExpected(head: Readonly<Record<Path, unknown>>): boolean
  /** The field at a canonical path; undefined for presences and for fields that the application does not keep. */
  fieldAt(path: Path): AppField | undefined
  maps(path: Path): boolean
  /** What a user enters, as it comes to be stored. */
  entered(field: AppField, entry: Entry): Value
  /** A reference to a record of this application, as it is stored. */
  pointing(field: AppField, nativeId: string): Value
  /** What tells a thing of the world from others; undefined where it cannot be entered here. */
  identity(record: number): Cells | undefined
  /** The thing that a record stands for by what is in it; undefined where that does not say. */
  thingOf(cells: Cells): number | undefined
  /** The cells of a record, once a user has put some of them; two may lie over one native field. */
  settled(before: Cells, next: Cells): Cells
  /** The application's value for a canonical one, as it comes to stand in its store. */
  rendition(path: Path, value: Value): Value
  /** Whether what is stored is this application's form of a canonical value. */
  isKept(path: Path, value: Value, cell: Value | undefined): boolean
  /** The canonical value of a stored one; undefined where the application does not tell it. */
  canonical(path: Path, cell: Value): Value | undefined
  toWire(cells: Cells): NativeRecord
  /** Only what stands at some paths; parts that they lie in whole. */
  partOnWire(cells: Cells, paths: readonly Path[]): NativeRecord
  /** The cells of a record that is made from what was written. */
  made(patch: NativeRecord): Cells
  /** The cells of a record after a write that names some fields; a written container replaces all its elements. */
  written(cells: Cells, patch: NativeRecord): Cells
  /** What a patch says in canonical values, not yet normalised by the application. */
  canonicalPatch(patch: NativeRecord): Fields
  /** Why its records cannot hold what is written; undefined where they can. */
  refusal(patch: NativeRecord): string | undefined
}

/** One canonical field as one simulated application names, codes and normalises it. */
export interface DrawnField extends AppField {
  /** Its native name; dotted when it lies in a nested object. */
  readonly native: string
  readonly steps: readonly string[]
  readonly codec: 'same' | 'cents'
  readonly normalise: Normaliser
}

export interface DrawnPart extends AppPart {
  readonly container: string
  readonly key: string
  readonly fields: readonly DrawnField[]
}

const NATIVE_NAMES: Readonly<Record<string, readonly string[]>> = {
  code: ['code', 'ref', 'number', 'shortName'],
  name: ['name', 'displayName', 'fullName', 'title'],
  note: ['note', 'info.remark', 'comment', 'memo'],
  amount: ['amount', 'credit', 'limit', 'money.max'],
  title: ['title', 'subject', 'heading', 'about'],
  customer: ['customer', 'customerId', 'client', 'buyer'],
  lines: ['lines', 'rows', 'items', 'positions'],
  lineNo: ['lineNo', 'pos', 'n', 'line'],
  item: ['item', 'product', 'sku', 'what'],
  qty: ['qty', 'quantity', 'count', 'pieces'],
}

/** An entity of the simulator in an application of the simulator: its mapping, and the conversions between stored cells, wire and canonical values. */
export class DrawnObject implements AppObject {
  readonly object: ObjectId
  readonly spec: EntitySpec
  readonly fields: readonly DrawnField[]
  readonly parts: readonly DrawnPart[]
  readonly isDeletable = true
  readonly isAdopted = true
  readonly #byName = new Map<string, DrawnField>()

  constructor(spec: EntitySpec, fields: readonly DrawnField[], parts: readonly DrawnPart[]) {
    this.object = asObjectId(spec.name + 's')
    this.spec = spec
    this.fields = fields
    this.parts = parts
    for (const field of fields) this.#byName.set(field.name, field)
    for (const part of parts) for (const field of part.fields) this.#byName.set(`${part.name}.${field.name}`, field)
  }

  entered(field: AppField, { id, random }: Entry): Value {
    const drawn = field as DrawnField
    return drawn.normalise(encode(drawn, freshValue(field, id, random)))
  }

  pointing(_field: AppField, nativeId: string): Value {
    return nativeId
  }

  isExpected(): boolean {
    return true
  }

  identity(record: number): Cells {
    return { code: codeText(record) }
  }

  thingOf(cells: Cells): number | undefined {
    return recordOfCode(cells.code)
  }

  settled(_before: Cells, next: Cells): Cells {
    return next
  }

  fieldAt(path: Path): DrawnField | undefined {
    const open = path.indexOf('[')
    if (open < 0) return this.#byName.get(path)
    return this.#byName.get(path.slice(0, open) + path.slice(path.indexOf(']') + 1))
  }

  maps(path: Path): boolean {
    return this.fieldAt(path) !== undefined || fieldAt(this.spec, path)?.kind === 'presence'
  }

  rendition(path: Path, value: Value): Value {
    const field = this.fieldAt(path)
    return field === undefined ? value : field.normalise(encode(field, value))
  }

  /** Up to case and space: an edit that changes nothing else, made while our own value was not yet seen as the application keeps it, passes for that (docs/protocol.md hazard 6). */
  isKept(path: Path, value: Value, cell: Value | undefined): boolean {
    const expected = this.rendition(path, value)
    return expected === cell || valuesEquivalent(expected, cell)
  }

  canonical(path: Path, native: Value): Value {
    const field = this.fieldAt(path)
    return field === undefined ? native : decode(field, native)
  }

  toWire(cells: Cells): NativeRecord {
    const record: Record<string, NativeData> = {}
    for (const field of this.fields) {
      const value = cells[field.name]
      if (value !== undefined) put(record, field.steps, value)
    }
    for (const part of this.parts)
      record[part.container] = elementKeys(cells, part).map((key) => this.#element(cells, part, key))
    return record
  }

  partOnWire(cells: Cells, paths: readonly Path[]): NativeRecord {
    const record: Record<string, NativeData> = {}
    for (const field of this.fields) {
      const value = cells[field.name]
      if (value !== undefined && paths.includes(field.name)) put(record, field.steps, value)
    }
    for (const part of this.parts)
      if (paths.some((path) => path.startsWith(part.name + '[')))
        record[part.container] = elementKeys(cells, part).map((key) => this.#element(cells, part, key))
    return record
  }

  #element(cells: Cells, part: DrawnPart, key: string): NativeRecord {
    const element: Record<string, NativeData> = { [part.key]: Number(key) }
    const prefix = partPath(part.name, key) + '.'
    for (const field of part.fields) {
      const value = cells[prefix + field.name]
      if (value !== undefined) element[field.native] = value
    }
    return element
  }

  made(patch: NativeRecord): Cells {
    const cells: Record<Path, Value> = { ...this.#named(patch) }
    for (const field of this.fields) if (!(field.name in cells)) cells[field.name] = null
    return cells
  }

  written(cells: Cells, patch: NativeRecord): Cells {
    const replaced = this.parts.filter(({ container }) => patch[container] !== undefined)
    if (replaced.length === 0) return { ...cells, ...this.#named(patch) }
    const next: Record<Path, Value> = {}
    for (const path in cells)
      if (!replaced.some(({ name }) => path.startsWith(name + '['))) next[path] = cells[path] as Value
    return { ...next, ...this.#named(patch) }
  }

  canonicalPatch(patch: NativeRecord): Fields {
    return this.#read(patch, decode)
  }

  refusal(): undefined {
    return undefined
  }

  /** The cells that a written record names, normalised. */
  #named(patch: NativeRecord): Cells {
    return this.#read(patch, (field, value) => field.normalise(value))
  }

  #read(record: NativeRecord, convert: (field: DrawnField, value: Value) => Value): Cells {
    const cells: Record<Path, Value> = {}
    for (const field of this.fields) {
      const value = get(record, field.steps)
      if (value !== undefined) cells[field.name] = convert(field, value as Value)
    }
    for (const part of this.parts) {
      for (const element of (record[part.container] ?? []) as readonly NativeRecord[]) {
        const path = partPath(part.name, String(element[part.key]))
        cells[path] = true
        for (const field of part.fields) {
          const value = element[field.native]
          if (value !== undefined) cells[`${path}.${field.name}`] = convert(field, value as Value)
        }
      }
    }
    return cells
  }
}

/** The keys of the elements that a record holds, in order. */
export function elementKeys(cells: Cells, part: { readonly name: string }): string[] {
  const keys: string[] = []
  const prefix = part.name + '['
  for (const path in cells) {
    if (cells[path] === true && path.startsWith(prefix) && path.endsWith(']')) keys.push(path.slice(prefix.length, -1))
  }
  return keys.sort()
}

export function encode(field: Pick<DrawnField, 'codec'>, value: Value): Value {
  if (field.codec === 'same' || value === null) return value
  const [whole = '0', fraction = ''] = String(value).split('.')
  return Number(whole) * 100 + Number(fraction.padEnd(2, '0').slice(0, 2))
}

/** Decimal texts have one canonical spelling, whichever the application uses. */
export function decode(field: Pick<DrawnField, 'codec' | 'kind'>, native: Value): Value {
  if (native === null || field.kind !== 'decimal') return native
  if (field.codec === 'same') return plainDecimal(String(native))
  const cents = Number(native)
  return plainDecimal(Math.floor(cents / 100) + '.' + String(cents % 100).padStart(2, '0'))
}

const plainDecimal = (text: string): string => (text.includes('.') ? text.replace(/\.?0+$/, '') : text)

function put(record: Record<string, NativeData>, steps: readonly string[], value: NativeData): void {
  if (steps.length === 1) {
    record[steps[0] as string] = value
    return
  }
  const inner = (record[steps[0] as string] ??= {}) as Record<string, NativeData>
  inner[steps[1] as string] = value
}

function get(record: NativeRecord, steps: readonly string[]): NativeData | undefined {
  const outer = record[steps[0] as string]
  return steps.length === 1 ? outer : (outer as NativeRecord | undefined)?.[steps[1] as string]
}

export interface MappingChoices {
  readonly normalise: boolean
  /** The chance that an optional field is not kept by this application. */
  readonly leaveOut: number
}

/** Draws how the application with this number keeps an entity. */
export function drawMapping(spec: EntitySpec, appIndex: number, choices: MappingChoices, random: Rng): DrawnObject {
  const draw = (field: FieldSpec): DrawnField => drawField(field, appIndex, choices, random.fork(field.name))
  const kept = spec.fields.filter(
    (field) => !field.nullable || !random.fork('keep ' + field.name).chance(choices.leaveOut),
  )
  const parts = spec.parts.map(
    (part): DrawnPart => ({
      name: part.name,
      container: nativeName(part.name, appIndex),
      key: nativeName(part.key, appIndex),
      fields: part.fields.map(draw),
    }),
  )
  return new DrawnObject(spec, kept.map(draw), parts)
}

function drawField(field: FieldSpec, appIndex: number, choices: MappingChoices, random: Rng): DrawnField {
  const native = nativeName(field.name, appIndex)
  return {
    ...field,
    isEdited: field.kind !== 'code',
    isEntered: true,
    native,
    steps: native.split('.'),
    codec: field.kind === 'decimal' && random.chance(0.4) ? 'cents' : 'same',
    normalise: choices.normalise ? drawNormaliser(field.kind, field.nullable, random) : (value) => value,
  }
}

const nativeName = (name: string, appIndex: number): string => {
  const names = NATIVE_NAMES[name] ?? [name]
  return names[appIndex % names.length] as string
}

import { asObjectId, type ObjectId } from '../../../model/ids.ts'
import { type NativeData, type NativeRecord, type Path, partPath, type Value } from '../../../model/value.ts'
import { type EntitySpec, type FieldKind, type FieldSpec, kindOf } from '../fields.ts'
import type { Rng } from '../rng.ts'
import { drawNormaliser, type Normaliser } from './normalisers.ts'

/** What an application stores of one record: its own values, under the canonical paths that they belong to. */
export type Cells = Readonly<Record<Path, Value>>

/** One canonical field as one application names, codes and normalises it. */
export interface AppField {
  readonly name: string
  readonly kind: FieldKind
  readonly nullable: boolean
  /** Its native name; dotted when it lies in a nested object. */
  readonly native: string
  readonly steps: readonly string[]
  readonly codec: 'same' | 'cents'
  readonly normalise: Normaliser
}

export interface AppPart {
  readonly name: string
  readonly container: string
  readonly key: string
  readonly fields: readonly AppField[]
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

/** One entity as one application keeps it: its mapping, and the conversions between stored cells, wire and canonical values. */
export class AppObject {
  readonly object: ObjectId
  readonly spec: EntitySpec
  readonly fields: readonly AppField[]
  readonly part: AppPart | null
  readonly #byName = new Map<string, AppField>()

  constructor(spec: EntitySpec, fields: readonly AppField[], part: AppPart | null) {
    this.object = asObjectId(spec.name + 's')
    this.spec = spec
    this.fields = fields
    this.part = part
    for (const field of fields) this.#byName.set(field.name, field)
    for (const field of part?.fields ?? []) this.#byName.set(`${part?.name}.${field.name}`, field)
  }

  /** The field at a canonical path; undefined for presences and for fields that the application does not keep. */
  fieldAt(path: Path): AppField | undefined {
    const open = path.indexOf('[')
    if (open < 0) return this.#byName.get(path)
    return this.#byName.get(path.slice(0, open) + path.slice(path.indexOf(']') + 1))
  }

  maps(path: Path): boolean {
    return this.fieldAt(path) !== undefined || (this.part !== null && kindOf(this.spec, path) === 'presence')
  }

  /** The application's value for a canonical one, as it comes to stand in its store. */
  rendition(path: Path, value: Value): Value {
    const field = this.fieldAt(path)
    return field === undefined ? value : field.normalise(encode(field, value))
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
    if (this.part !== null)
      record[this.part.container] = elementKeys(cells, this.part).map((key) => this.#element(cells, key))
    return record
  }

  #element(cells: Cells, key: string): NativeRecord {
    const part = this.part as AppPart
    const element: Record<string, NativeData> = { [part.key]: Number(key) }
    const prefix = partPath(part.name, key) + '.'
    for (const field of part.fields) {
      const value = cells[prefix + field.name]
      if (value !== undefined) element[field.native] = value
    }
    return element
  }

  /** The cells that a written record names, normalised. A container replaces all its elements: those not in it come back as null. */
  fromWire(record: NativeRecord): { readonly cells: Cells; readonly replacesPart: boolean } {
    const cells: Record<Path, Value> = {}
    for (const field of this.fields) {
      const value = get(record, field.steps)
      if (value !== undefined) cells[field.name] = field.normalise(value as Value)
    }
    const container = this.part === null ? undefined : record[this.part.container]
    if (container === undefined) return { cells, replacesPart: false }
    for (const element of container as readonly NativeRecord[]) this.#readElement(element, cells)
    return { cells, replacesPart: true }
  }

  #readElement(element: NativeRecord, cells: Record<Path, Value>): void {
    const part = this.part as AppPart
    const path = partPath(part.name, String(element[part.key]))
    cells[path] = true
    for (const field of part.fields) {
      const value = element[field.native]
      if (value !== undefined) cells[`${path}.${field.name}`] = field.normalise(value as Value)
    }
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

export function encode(field: Pick<AppField, 'codec'>, value: Value): Value {
  if (field.codec === 'same' || value === null) return value
  const [whole = '0', fraction = ''] = String(value).split('.')
  return Number(whole) * 100 + Number(fraction.padEnd(2, '0').slice(0, 2))
}

/** Decimal texts have one canonical spelling, whichever the application uses. */
export function decode(field: Pick<AppField, 'codec' | 'kind'>, native: Value): Value {
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
export function drawMapping(spec: EntitySpec, appIndex: number, choices: MappingChoices, random: Rng): AppObject {
  const draw = (field: FieldSpec): AppField => drawField(field, appIndex, choices, random.fork(field.name))
  const kept = spec.fields.filter(
    (field) => !field.nullable || !random.fork('keep ' + field.name).chance(choices.leaveOut),
  )
  const part: AppPart | null = spec.part && {
    name: spec.part.name,
    container: nativeName(spec.part.name, appIndex),
    key: nativeName(spec.part.key, appIndex),
    fields: spec.part.fields.map(draw),
  }
  return new AppObject(spec, kept.map(draw), part)
}

function drawField(field: FieldSpec, appIndex: number, choices: MappingChoices, random: Rng): AppField {
  const native = nativeName(field.name, appIndex)
  return {
    ...field,
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

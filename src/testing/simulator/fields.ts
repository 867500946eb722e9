import { asEntityName, type EntityName } from '../../model/ids.ts'
import { type Path, splitPartPath, type Value } from '../../model/value.ts'
import type { Rng } from './rng.ts'

/**
 * The simulated entities, and the values that simulated users write. Every written value carries the id of the user's action that wrote it (its *taint*) in a way that
 * survives what applications normalise: case, space, length, and the fraction of a number. Values that cannot carry one (null, a presence, a reference) have taints that
 * several writes share; the oracle then takes all of them into account.
 */
export type FieldKind = 'code' | 'text' | 'decimal' | 'reference' | 'presence' | 'value'

export interface FieldSpec {
  readonly name: string
  readonly kind: FieldKind
  readonly nullable: boolean
  /** Of a reference: the entity that it points at. */
  readonly refersTo?: EntityName
  /** Of a value of a config's own: its taint, equal for values that some application cannot tell apart. */
  readonly taint?: (value: Value) => Taint
  /** Its policy may make a value that no application told (a sum, a union, a person's function): what stands there descends from all that was written. */
  readonly blends?: true
}

export interface PartSpec {
  readonly name: string
  readonly key: string
  readonly fields: readonly FieldSpec[]
}

export interface EntitySpec {
  readonly name: EntityName
  readonly fields: readonly FieldSpec[]
  readonly parts: readonly PartSpec[]
}

export const CUSTOMER = asEntityName('customer')
export const ORDER = asEntityName('order')

const code: FieldSpec = { name: 'code', kind: 'code', nullable: false }
const lines: PartSpec = {
  name: 'lines',
  key: 'lineNo',
  fields: [
    { name: 'item', kind: 'text', nullable: false },
    { name: 'qty', kind: 'decimal', nullable: false },
  ],
}

export const customerSpec = (withPart: boolean): EntitySpec => ({
  name: CUSTOMER,
  fields: [
    code,
    { name: 'name', kind: 'text', nullable: false },
    { name: 'note', kind: 'text', nullable: true },
    { name: 'amount', kind: 'decimal', nullable: true },
  ],
  parts: withPart ? [lines] : [],
})

export const ORDER_SPEC: EntitySpec = {
  name: ORDER,
  fields: [
    code,
    { name: 'title', kind: 'text', nullable: false },
    { name: 'customer', kind: 'reference', nullable: true, refersTo: CUSTOMER },
  ],
  parts: [],
}

/** Whether an element of a part is there: a value like others. */
const PRESENCE: FieldSpec = { name: '', kind: 'presence', nullable: false }

/** What the value at a canonical path is. */
export function fieldAt(spec: EntitySpec, path: Path): FieldSpec | undefined {
  const inPart = splitPartPath(path)
  if (inPart === undefined) return spec.fields.find((field) => field.name === path)
  const part = spec.parts.find(({ name }) => name === inPart.part)
  if (part === undefined) return undefined
  return inPart.field === '' ? PRESENCE : part.fields.find((field) => field.name === inPart.field)
}

/** Begins the paths of what an application keeps for the hub: ids and states written back, which no user writes and nobody tells. */
export const UNJUDGED = '@'

/** The id of the action that wrote a value, or one of the shared taints below. */
export type Taint = number
export const NULL_TAINT = 0
export const UNREADABLE = -1
export const PRESENT = -2
export const ABSENT = -3
const CODE_BASE = 1_000_000
const NUMBER_STEP = 10

/** The text by which people (and match keys) tell records apart: it never changes, and no application normalises it. */
export const codeText = (record: number): string => 'K' + record
export const recordOfCode = (value: Value | undefined): number | undefined =>
  typeof value === 'string' && value.startsWith('K') ? Number(value.slice(1)) : undefined
export const referenceTaint = (record: number): Taint => CODE_BASE + record

/** What a canonical value says about who wrote it. References are resolved by whoever knows the ids, see `referenceTaint`. */
export function taintOf({ kind, taint }: FieldSpec, value: Value | undefined): Taint {
  if (kind === 'presence') return value === true ? PRESENT : ABSENT
  if (value === null || value === undefined) return NULL_TAINT
  if (taint !== undefined) return taint(value)
  if (value === '') return NULL_TAINT
  if (kind === 'code') return CODE_BASE + (recordOfCode(value) ?? Number.NaN)
  if (kind === 'decimal') {
    const number = Number(value)
    return Number.isFinite(number) ? Math.floor(number / NUMBER_STEP) : UNREADABLE
  }
  const match = /v(\d+)/i.exec(String(value))
  return match === null ? UNREADABLE : Number(match[1])
}

/** A value for the action `id`, in one of the spellings that people use and applications change. */
export function freshValue(field: FieldSpec, id: number, random: Rng): Value {
  if (field.nullable && random.chance(0.06)) return field.kind === 'text' && random.chance(0.5) ? '' : null
  if (field.kind === 'decimal') {
    const fraction = random.pick(['', '', '.5', '.25', '.75', '.05'])
    return String(id * NUMBER_STEP + random.int(0, NUMBER_STEP - 2)) + fraction
  }
  const v = 'v' + id
  return random.pick([v, v, v.toUpperCase(), ' ' + v, v + '  ', v + ' and a longer tail', 'V' + id + ' Mixed Case'])
}

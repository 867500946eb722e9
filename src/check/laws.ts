import type { SyncError } from '../errors/index.ts'
import { SyncError as Refusal } from '../errors/index.ts'
import type { FieldMapping, FieldModel } from '../model/entity.ts'
import type { AppId } from '../model/ids.ts'
import { type Value, valuesEqual } from '../model/value.ts'
import type { FieldEnd, FieldSite } from './sites.ts'
import { schemaTakes } from './values.ts'

/**
 * The laws of a mapping, for one value on its way into one application. What is written must be what is read back; a loss must be declared; and what one
 * application may tell must fit into the others.
 */

export type LawCode =
  | 'check.lossy'
  | 'check.unstable'
  | 'check.unwritable'
  | 'check.does-not-fit'
  | 'check.not-pure'
  | 'check.record-shape'

/** One law broken by one value. */
export interface Breach {
  readonly code: LawCode
  /** The native values that it is written as; undefined when it could not be written. */
  readonly written: Readonly<Record<string, Value>> | undefined
  /** What is read back; undefined when nothing could be. */
  readonly back: Value | undefined
  /** null where what was written and read back says it all. */
  readonly reason: string | null
}

/** What became of one value: a law that it breaks, or whether something of it was lost, as declared. */
export interface Judged {
  readonly breach: Breach | null
  readonly isLost: boolean
}

const HELD: Judged = { breach: null, isLost: false }

export function judgeValue(site: FieldSite, end: FieldEnd, value: Value): Judged {
  const { mapping } = end
  const breach = (
    code: LawCode,
    written: Breach['written'],
    back: Value | undefined,
    reason: string | null,
  ): Judged => ({
    breach: { code, written, back, reason },
    isLost: false,
  })
  if (mapping.encode === null) return HELD
  const written = tried(() => mapping.encode?.(value) ?? {})
  if (written.error !== null) return breach('check.unwritable', undefined, undefined, written.error.message)
  const again = tried(() => mapping.encode?.(value) ?? {})
  if (again.error !== null || !nativesEqual(written.result, again.result))
    return breach('check.not-pure', written.result, undefined, 'written twice, it is two different values')
  const misfit = mapping.lossy === true ? undefined : misfitOf(end, written.result)
  if (misfit !== undefined) return breach('check.does-not-fit', written.result, undefined, misfit)
  if (mapping.decode === null) return HELD
  const back = readBack(site.model, mapping, written.result)
  if (back.error !== null) return breach('check.lossy', written.result, undefined, back.error.message)
  if (valuesEqual(back.result, value)) return HELD
  if (mapping.lossy !== true) return breach('check.lossy', written.result, back.result, null)
  const kept = tried(() => mapping.encode?.(back.result) ?? {})
  if (kept.error !== null || !nativesEqual(kept.result, written.result)) {
    const reason = kept.error?.message ?? 'what is kept changes again each time it is read and written'
    return breach('check.unstable', written.result, back.result, reason)
  }
  return { breach: null, isLost: true }
}

/** The canonical value that an application tells with these native values, or undefined when it is set aside for what it is. */
export function toldValue(site: FieldSite, { mapping, natives }: FieldEnd, given: readonly Value[]): Value | undefined {
  if (natives.length !== given.length) return undefined
  const values = Object.fromEntries(mapping.natives.map((name, i) => [name, given[i] as Value]))
  const told = readBack(site.model, mapping, values)
  return told.error === null ? told.result : undefined
}

/** Whether an application can come to tell a canonical value. */
export function canTell(site: FieldSite, { mapping }: FieldEnd, value: Value): boolean {
  if (mapping.decode === null || mapping.direction === 'out') return false
  const natives: Tried<Readonly<Record<string, Value>>> =
    mapping.encode === null
      ? { result: { [mapping.natives[0] ?? '']: value }, error: null }
      : tried(() => mapping.encode?.(value) ?? {})
  if (natives.error !== null) return false
  const told = readBack(site.model, mapping, natives.result)
  return told.error === null && valuesEqual(told.result, value)
}

/** Whether the natives that a value is told by are such as the application's records hold. */
export function canHold(site: FieldSite, end: FieldEnd, value: Value): boolean {
  const { mapping } = end
  if (!canTell(site, end, value)) return false
  const natives = mapping.encode === null ? { [mapping.natives[0] ?? '']: value } : mapping.encode(value)
  return misfitOf(end, natives) === undefined
}

type Tried<T> =
  | { readonly result: T; readonly error: null }
  | { readonly result?: undefined; readonly error: SyncError }

function tried<T>(run: () => T): Tried<T> {
  try {
    return { result: run(), error: null }
  } catch (error) {
    return { error: Refusal.from(error) }
  }
}

function readBack(model: FieldModel, mapping: FieldMapping, natives: Readonly<Record<string, Value>>): Tried<Value> {
  return tried(() => {
    const value = mapping.decode?.(natives) as Value
    return mapping.reference === null ? model.validate(value) : value
  })
}

function misfitOf(
  { mapping, natives: schemas }: FieldEnd,
  natives: Readonly<Record<string, Value>>,
): string | undefined {
  const wrong = mapping.natives.find((name, i) => schemas[i] !== undefined && !schemaTakes(schemas[i])(natives[name]))
  return wrong === undefined ? undefined : `'${wrong}' of the records there does not take it`
}

function nativesEqual(a: Readonly<Record<string, Value>>, b: Readonly<Record<string, Value>>): boolean {
  const names = Object.keys(a)
  return names.length === Object.keys(b).length && names.every((name) => valuesEqual(a[name], b[name]))
}

/** What a person does about it. */
export function nextStep(code: LawCode, app: AppId, path: string): string {
  switch (code) {
    case 'check.lossy':
      return `Give a codec whose decode undoes its encode, narrow the schemas, or declare it in ${app}: ${path}: lossy(...).`
    case 'check.unstable':
      return 'Let encode give the same again for what decode made of its own result.'
    case 'check.unwritable':
      return `Let the codec in ${app} take it, or let the schema of '${path}' refuse it.`
    case 'check.does-not-fit':
      return `Let the schema of '${path}' refuse it, or correct the schema of the records in ${app}.`
    case 'check.not-pure':
      return 'Let the conversion depend on nothing but its value.'
    case 'check.record-shape':
      return 'Map native names that do not lie inside one another.'
  }
}

import type { FieldMapping, Writeback } from '../model/entity.ts'
import { asAppId } from '../model/ids.ts'
import type { Value } from '../model/value.ts'
import { checkNativeName, isPlainObject, refuse, refuseUnknown } from './refuse.ts'
import { nativeKindOf, nativeNames } from './row.ts'

/** What is written back into an application: its record's id in another one, or how far the others are. */
export type WritebackForm =
  | { readonly writeback: 'id'; readonly app: string }
  | { readonly writeback: 'status'; readonly synced: string; readonly failed: string }

/** The id that the record has in another application, once it is there; null when it is gone from there. */
export const idIn = (app: string): WritebackForm => ({ writeback: 'id', app })

/** `synced` once every other application has what this one told, `failed` while one of them is set aside for a person; nothing in between, so that an edit is not answered twice. */
export const status = (words: { readonly synced?: string; readonly failed?: string } = {}): WritebackForm => ({
  writeback: 'status',
  synced: words.synced ?? 'synced',
  failed: words.failed ?? 'failed',
})

/** No field of an entity begins so: what is derived stands beside the fields, in the same head. */
const DERIVED = '@'

export interface CompiledWriteback {
  readonly writeback: Writeback
  readonly mapping: FieldMapping
  readonly shape: string
}

/** Writebacks are fields that nobody tells: derived from where the record is, and written like any other. */
export function compileWritebacks(
  where: string,
  given: unknown,
  app: string,
  row: unknown,
  apps: ReadonlySet<string>,
): CompiledWriteback[] {
  if (given === undefined) return []
  if (!isPlainObject(given)) refuse(where, 'an object is needed', "Give { warehouse_id: idIn('warehouse') }.")
  return Object.entries(given).map(([native, form]) => {
    const place = `${where}.${native}`
    checkNativeName(place, native)
    const kind = nativeKindOf(row, native)
    if (kind === 'missing') refuseUnknown(where, "a field of this application's records", native, nativeNames(row))
    const of = readForm(place, form, app, apps)
    const field = `${DERIVED}${app}.${native}`
    const encode = (value: Value): Readonly<Record<string, Value>> => ({
      [native]: kind === 'number' && of.kind === 'id' && value !== null ? numberOf(String(value)) : value,
    })
    return {
      writeback: { field, of },
      mapping: { field, natives: [native], direction: 'out', reference: null, decode: null, encode },
      shape: `writeback ${native} ${JSON.stringify(of)}`,
    }
  })
}

function readForm(place: string, form: unknown, app: string, apps: ReadonlySet<string>): Writeback['of'] {
  if (isPlainObject(form) && form.writeback === 'status')
    return { kind: 'status', synced: String(form.synced), failed: String(form.failed) }
  if (!isPlainObject(form) || form.writeback !== 'id')
    refuse(place, 'this is not a writeback', "Give idIn('warehouse') or status().")
  const other = String(form.app)
  if (other === app) refuse(place, `it is ${app} itself`, 'Name another application.')
  if (!apps.has(other)) refuseUnknown(place, 'an application of this sync', other, [...apps])
  return { kind: 'id', app: asAppId(other) }
}

function numberOf(text: string): Value {
  const number = Number(text)
  if (Number.isSafeInteger(number)) return number
  return /^-?\d+$/.test(text) ? BigInt(text) : text
}

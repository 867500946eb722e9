import { SyncError } from '../errors/index.ts'
import type { NativeData } from '../model/value.ts'
import { decodeText } from './charset.ts'
import { type Encoded, type Format, singleDocument } from './format.ts'
import { addField, type FieldsBeingRead, isScalar, newFields, textOf } from './plain.ts'
import { charsetIn, checkBytes, checkType, problemJson } from './refuse.ts'
import type { FormSpec } from './spec.ts'

const TYPE = 'application/x-www-form-urlencoded'
/** More fields than any form has. */
const FIELDS_MAX = 10_000

/** HTML forms: `a=1&b=two+words`. Values are text, exactly as sent. */
export function formFormat(spec: FormSpec): Format {
  return {
    spec,
    contentType: TYPE,
    decode(bytes, headers, limits) {
      checkBytes(bytes, limits)
      const type = headers['content-type']
      checkType(type, [TYPE])
      return singleDocument(parseForm(decodeText(bytes, charsetIn(type)), spec.lists))
    },
    encode: (value): Encoded => ({ contentType: TYPE, body: writeForm(value) }),
    fault: problemJson,
  }
}

export function parseForm(text: string, lists: readonly string[]): FieldsBeingRead {
  const fields = newFields(lists)
  if (text === '') return fields
  const pairs = text.split('&', FIELDS_MAX + 1)
  if (pairs.length > FIELDS_MAX)
    throw new SyncError('intake.too-large', `the form has more than ${FIELDS_MAX} fields; let the sender send fewer.`)
  for (const pair of pairs) {
    if (pair === '') continue
    const equals = pair.indexOf('=')
    const name = unescaped(equals < 0 ? pair : pair.slice(0, equals))
    addField(fields, name, equals < 0 ? '' : unescaped(pair.slice(equals + 1)), lists)
  }
  return fields
}

function unescaped(text: string): string {
  if (!text.includes('%') && !text.includes('+')) return text
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    throw new SyncError(
      'intake.malformed',
      `the body is not a well-formed form: ${JSON.stringify(text.slice(0, 60))} has a % that does not begin an escape of UTF-8. Nothing was stored.`,
    )
  }
}

function writeForm(value: NativeData): string {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new SyncError('format.unwritable', 'a form is made of fields, so the value must be an object of them.')
  const parts = new URLSearchParams()
  for (const [name, field] of Object.entries(value)) {
    for (const one of Array.isArray(field) ? (field as readonly NativeData[]) : [field as NativeData]) {
      if (one === null) continue
      if (!isScalar(one))
        throw new SyncError('format.unwritable', `the field ${name} holds a record, which a form cannot carry.`)
      parts.append(name, textOf(one))
    }
  }
  return parts.toString()
}

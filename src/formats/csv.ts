import { SyncError } from '../errors/index.ts'
import type { NativeData, NativeRecord } from '../model/value.ts'
import { decodeText } from './charset.ts'
import { documentList, type Format, type FormatLimits } from './format.ts'
import { checkName, type FieldsBeingRead, isScalar, newFields, textOf } from './plain.ts'
import { charsetIn, checkBytes, checkDocuments, checkType, problemJson } from './refuse.ts'
import type { CsvSpec } from './spec.ts'

/** More columns than any table has. */
const COLUMNS_MAX = 2_000

/** CSV (RFC 4180): every row is a document; every value is text, exactly as sent, also `007`, ` a ` and the empty text. */
export function csvFormat(spec: CsvSpec): Format {
  return {
    spec,
    contentType: 'text/csv; charset=utf-8; header=' + (spec.header === true ? 'present' : 'absent'),
    decode(bytes, headers, limits) {
      checkBytes(bytes, limits)
      const type = headers['content-type']
      checkType(type, ['text/csv'])
      return documentList(parseCsv(decodeText(bytes, charsetIn(type)), spec, limits))
    },
    encode: (value) => ({ contentType: 'text/csv; charset=utf-8', body: writeCsv(value, spec) }),
    fault: problemJson,
  }
}

export function parseCsv(text: string, spec: CsvSpec, limits: FormatLimits): readonly NativeRecord[] {
  const rows = readRows(text, spec.delimiter, limits.documentsMax + 1)
  const names = spec.header === true ? namesIn(rows.shift()) : spec.header
  checkDocuments(rows.length, limits)
  return rows.map((row, index) => {
    if (row.length !== names.length)
      throw malformed(
        `row ${index + (spec.header === true ? 2 : 1)} has ${row.length} fields, but there are ${names.length} columns`,
      )
    const record: FieldsBeingRead = newFields([])
    for (let i = 0; i < names.length; i++) record[names[i] as string] = row[i] as string
    return record
  })
}

function namesIn(row: readonly string[] | undefined): readonly string[] {
  if (row === undefined) throw malformed('it is empty, and its first row must name the fields')
  const seen = new Set<string>()
  for (const name of row) {
    checkName(name)
    if (name === '') throw malformed('a field of its first row, which names the fields, is empty')
    if (seen.has(name))
      throw new SyncError(
        'intake.forbidden',
        `the CSV names the field ${JSON.stringify(name.slice(0, 100))} twice. Nothing was stored; send it again without that.`,
      )
    seen.add(name)
  }
  return row
}

/** Lines end with CRLF, LF or CR; the last one may. A blank line inside is a row with one empty field, so it is refused unless there is one column. */
function readRows(text: string, delimiter: string, rowsMax: number): string[][] {
  const rows: string[][] = []
  let row: string[] = []
  let at = 0
  while (at < text.length || row.length > 0) {
    const field = text[at] === '"' ? quotedField(text, at, delimiter) : bareField(text, at, delimiter)
    row.push(field.value)
    if (row.length > COLUMNS_MAX) throw malformed(`a row has more than ${COLUMNS_MAX} fields`)
    at = field.end
    if (text[at] === delimiter) {
      at++
      if (at === text.length) {
        row.push('')
        rows.push(row)
        break
      }
      continue
    }
    if (text[at] === '\r') at++
    if (text[at] === '\n') at++
    rows.push(row)
    row = []
    if (rows.length > rowsMax) break
  }
  return rows
}

function bareField(text: string, from: number, delimiter: string): { readonly value: string; readonly end: number } {
  let end = from
  for (; end < text.length; end++) {
    const c = text[end]
    if (c === delimiter || c === '\n' || c === '\r') break
    if (c === '"') throw malformed(`a quote stands inside a field without quotes at offset ${end}`)
  }
  return { value: text.slice(from, end), end }
}

function quotedField(text: string, from: number, delimiter: string): { readonly value: string; readonly end: number } {
  let close = from + 1
  for (;;) {
    close = text.indexOf('"', close)
    if (close < 0) throw malformed(`the quote at offset ${from} is never closed`)
    if (text[close + 1] !== '"') break
    close += 2
  }
  const after = text[close + 1]
  if (after !== undefined && after !== delimiter && after !== '\n' && after !== '\r')
    throw malformed(`something stands between a closing quote and the next field at offset ${close + 1}`)
  const raw = text.slice(from + 1, close)
  return { value: raw.includes('"') ? raw.replaceAll('""', '"') : raw, end: close + 1 }
}

function writeCsv(value: NativeData, spec: CsvSpec): string {
  const records = (Array.isArray(value) ? value : [value]) as readonly NativeData[]
  const names =
    spec.header === true ? [...new Set(records.flatMap((record) => Object.keys(recordOf(record))))] : spec.header
  if (records.length === 0 && spec.header === true) return ''
  const line = (fields: readonly string[]): string =>
    fields.map((field) => escapeField(field, spec.delimiter)).join(spec.delimiter) + '\r\n'
  const rows = records.map((record) => line(names.map((name) => fieldOf(recordOf(record)[name], name))))
  return (spec.header === true ? line(names) : '') + rows.join('')
}

function recordOf(data: NativeData): NativeRecord {
  if (typeof data === 'object' && data !== null && !Array.isArray(data)) return data as NativeRecord
  throw new SyncError(
    'format.unwritable',
    'a row of CSV is made of fields, so the value must be a record or a list of them.',
  )
}

function fieldOf(value: NativeData | undefined, name: string): string {
  if (value === undefined) return ''
  if (isScalar(value)) return textOf(value)
  throw new SyncError(
    'format.unwritable',
    `the field ${name} holds a record or a list, which a row of CSV cannot carry.`,
  )
}

const escapeField = (field: string, delimiter: string): string =>
  /["\r\n]/.test(field) || field.includes(delimiter) ? `"${field.replaceAll('"', '""')}"` : field

const malformed = (why: string): SyncError =>
  new SyncError(
    'intake.malformed',
    `the body is not well-formed CSV: ${why}. Nothing was stored; send it again corrected.`,
  )

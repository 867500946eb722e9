/** From the body of a request to the values of a row. Nothing unknown, unclean or out of range gets past this file. */

import type {
  AppDescription,
  FieldDescription,
  Line,
  LinesDescription,
  ObjectDescription,
  Row,
  Scalar,
} from './description.ts'
import { invalidField } from './problem.ts'

/** As many lines as a document may have: more than any order of these shops, few enough to write whole each time. */
const linesMax = 200
const textLengthMax = 300
const moneyCentsMax = 1_000_000_000_000

export type Body = Record<string, unknown>
type ParseOptions = { readonly app: AppDescription; readonly now: string }

/** Every writable field of a new record: what the body gives, else the initial value. */
export function parseNew(object: ObjectDescription, body: Body, options: ParseOptions): Row {
  const row = parseGiven(object, body, options)
  for (const field of object.fields) {
    if (field.name in row) continue
    if (field.initial !== undefined) row[field.name] = field.initial === 'now' ? options.now : field.initial
    else if (field.optional) row[field.name] = null
    else throw invalidField(field.name, 'is required')
  }
  if (object.lines && !(object.lines.name in row)) row[object.lines.name] = []
  return row
}

/** Only the fields that the body gives. The record's own fields (id, rev, time of change) may be sent back and are ignored. */
export function parseGiven(object: ObjectDescription, body: Body, { app }: ParseOptions): Row {
  const row: Row = {}
  for (const name of Object.keys(body)) {
    const value = body[name]
    const field = object.fields.find((candidate) => candidate.name === name)
    if (field) row[name] = parseField(app, field, value, name)
    else if (name === object.lines?.name) row[name] = parseLines(app, object.lines, value)
    else if (name === app.names.extRef) row[name] = parseExtRef(value, name)
    else if (name !== object.idField && name !== app.names.rev && name !== app.names.changedAt) {
      throw invalidField(name, `is not a field of ${object.name}`, 'unknown-field')
    }
  }
  return row
}

function parseExtRef(value: unknown, path: string): string | null {
  if (value === null) return null
  if (typeof value !== 'string' || value === '' || value.length > 200)
    throw invalidField(path, 'must be text of 1 to 200 characters')
  return cleanText(value, path)
}

function parseLines(app: AppDescription, lines: LinesDescription, value: unknown): Line[] {
  if (!Array.isArray(value)) throw invalidField(lines.name, 'must be a list')
  if (value.length > linesMax) throw invalidField(lines.name, `must have ${linesMax} lines at most`)
  const parsed = value.map((line, index) => parseLine(app, lines, line, `${lines.name}[${index}]`))
  parsed.sort((a, b) => Number(a[lines.key]) - Number(b[lines.key]))
  for (let index = 1; index < parsed.length; index++) {
    const key = parsed[index]![lines.key]
    if (key === parsed[index - 1]![lines.key]) throw invalidField(lines.name, `has ${lines.key} ${key} twice`)
  }
  return parsed
}

function parseLine(app: AppDescription, lines: LinesDescription, value: unknown, path: string): Line {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalidField(path, 'must be an object')
  const given = value as Body
  for (const name of Object.keys(given)) {
    if (!lines.fields.some((field) => field.name === name))
      throw invalidField(`${path}.${name}`, 'is not a field of a line', 'unknown-field')
  }
  const line: Line = {}
  for (const field of lines.fields) {
    const member = Object.hasOwn(given, field.name) ? given[field.name] : undefined
    if (member === undefined) throw invalidField(`${path}.${field.name}`, 'is required')
    line[field.name] = parseField(app, field, member, `${path}.${field.name}`)
  }
  return line
}

/** One value as it will be stored, or a problem that names the field. Also used for the value of a filter in a query. */
export function parseField(app: AppDescription, field: FieldDescription, value: unknown, path: string): Scalar {
  if (value === null) {
    if (field.optional) return null
    throw invalidField(path, 'must not be null')
  }
  switch (field.kind) {
    case 'text':
      return parseText(app, field, value, path)
    case 'email': {
      const text = parseText(app, field, value, path)
      if (!/^[^\s@]+@[^\s@]+$/.test(text)) throw invalidField(path, 'must be an email address')
      return app.text === 'normalised' ? text.toLowerCase() : text
    }
    case 'code': {
      const text = parseText(app, field, value, path)
      if (!/^[A-Za-z0-9._/-]+$/.test(text)) throw invalidField(path, 'must be letters, digits and . _ / - only')
      return text
    }
    case 'cents':
      return parseInteger(value, 0, moneyCentsMax, path)
    case 'decimal':
      return parseDecimal(value, path)
    case 'integer':
      return parseInteger(value, field.min ?? 0, 1_000_000_000, path)
    case 'instant':
      return parseInstant(value, path)
    case 'choice':
      if (typeof value !== 'string' || !field.choices!.includes(value))
        throw invalidField(path, `must be one of ${field.choices!.join(', ')}`)
      return value
    case 'reference':
      return parseReference(app, value, path)
  }
}

function parseText(app: AppDescription, field: FieldDescription, value: unknown, path: string): string {
  if (typeof value !== 'string') throw invalidField(path, 'must be text')
  const text = app.text === 'normalised' ? value.trim() : value
  const lengthMax = field.lengthMax ?? textLengthMax
  if (text.length > lengthMax) throw invalidField(path, `must have ${lengthMax} characters at most`)
  if (!field.optional && text.trim() === '') throw invalidField(path, 'must not be empty')
  return cleanText(text, path)
}

/** A lone surrogate or a NUL would come back from the database as something else than was sent. */
function cleanText(text: string, path: string): string {
  if (!text.isWellFormed() || text.includes('\0')) throw invalidField(path, 'must be well-formed Unicode without NUL')
  return text
}

function parseInteger(value: unknown, min: number, max: number, path: string): number {
  if (!Number.isSafeInteger(value)) throw invalidField(path, 'must be a whole number')
  const integer = value as number
  if (integer < min || integer > max) throw invalidField(path, `must be from ${min} to ${max}`)
  // Turns -0 into 0.
  return integer + 0
}

function parseDecimal(value: unknown, path: string): string {
  const match = typeof value === 'string' ? /^(0|[1-9]\d{0,9})(?:\.(\d{1,2}))?$/.exec(value.trim()) : null
  if (!match) throw invalidField(path, 'must be an amount as text, such as "12.50"')
  return `${match[1]}.${(match[2] ?? '').padEnd(2, '0')}`
}

/** 30 February is refused here: `Date` would take it for 2 March. */
function parseInstant(value: unknown, path: string): string {
  const pattern = /^((?:19|20|21)\d\d-\d\d-\d\d)T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)$/
  const match = typeof value === 'string' ? pattern.exec(value) : null
  const day = match ? Date.parse(match[1]!) : Number.NaN
  const isDay = !Number.isNaN(day) && new Date(day).toISOString().startsWith(match![1]!)
  const ms = isDay ? Date.parse(match![0]) : Number.NaN
  if (Number.isNaN(ms)) {
    throw invalidField(path, 'must be an ISO 8601 time with an offset, such as "2026-03-01T09:30:00Z"')
  }
  return new Date(ms).toISOString()
}

function parseReference(app: AppDescription, value: unknown, path: string): Scalar {
  if (app.idKind === 'integer') return parseInteger(value, 1, Number.MAX_SAFE_INTEGER, path)
  if (typeof value !== 'string' || value.length > 40) throw invalidField(path, 'must be an id')
  return cleanText(value, path)
}

import { hash } from 'node:crypto'
import { SyncError } from '../errors/index.ts'
import type { NativeData } from '../model/value.ts'
import { decodeText } from './charset.ts'
import { type Encoded, type Format, singleDocument } from './format.ts'
import { parseMediaType } from './media-type.ts'
import { addField, type FieldsBeingRead, isScalar, newFields, textOf } from './plain.ts'
import { charsetIn, checkBytes, checkType, problemJson } from './refuse.ts'
import type { MultipartSpec } from './spec.ts'

const TYPE = 'multipart/form-data'
/** More parts than any form has. */
const PARTS_MAX = 1_000
/** A part says its name, its file name and its type, and nothing longer. */
const PART_HEADER_BYTES_MAX = 8_192

/** multipart/form-data (RFC 7578): fields as text, files as `{ filename, contentType, data }` with the bytes in base64. */
export function multipartFormat(spec: MultipartSpec): Format {
  return {
    spec,
    contentType: TYPE,
    decode(bytes, headers, limits) {
      checkBytes(bytes, limits)
      const type = headers['content-type'] ?? ''
      const media = parseMediaType(type)
      if (media?.name !== TYPE) checkType(type === '' ? 'none' : type, [TYPE])
      const boundary = media?.parameters.boundary
      if (boundary === undefined || !/^[\w'()+,\-./:=? ]{0,69}[\w'()+,\-./:=?]$/.test(boundary))
        throw malformed('its content type names no boundary of 1 to 70 permitted characters')
      const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      return singleDocument(readParts(buffer, boundary, spec.lists))
    },
    encode: writeMultipart,
    fault: problemJson,
  }
}

function readParts(body: Buffer, boundary: string, lists: readonly string[]): FieldsBeingRead {
  const fields = newFields(lists)
  const mark = Buffer.from(`\r\n--${boundary}`, 'latin1')
  const isFirst = body.subarray(0, mark.length - 2).equals(mark.subarray(2))
  let at = isFirst ? mark.length - 2 : endOf(body.indexOf(mark), mark)
  for (let parts = 0; ; parts++) {
    if (parts > PARTS_MAX)
      throw new SyncError('intake.too-large', `the form has more than ${PARTS_MAX} parts; let the sender send fewer.`)
    // After the boundary: `--` ends it all, otherwise (padding and) a line end begins a part.
    if (body[at] === 45 && body[at + 1] === 45) return fields
    while (body[at] === 32 || body[at] === 9) at++
    if (body[at] !== 13 || body[at + 1] !== 10) throw malformed('a boundary is not followed by a line end')
    const next = body.indexOf(mark, at)
    if (next < 0) throw malformed('it breaks off: its last boundary is missing')
    readPart(body.subarray(at + 2, next), fields, lists)
    at = next + mark.length
  }
}

function endOf(at: number, mark: Buffer): number {
  if (at < 0) throw malformed('the boundary that its content type names does not occur in it')
  return at + mark.length
}

function readPart(part: Buffer, fields: FieldsBeingRead, lists: readonly string[]): void {
  const end = part.subarray(0, 2).toString('latin1') === '\r\n' ? 0 : part.indexOf('\r\n\r\n')
  if (end < 0 || end > PART_HEADER_BYTES_MAX) throw malformed('a part has no end of its headers')
  const headers = headersOf(decodeText(part.subarray(0, end), 'utf-8'))
  const { name, filename } = dispositionOf(headers['content-disposition'])
  const encoding = headers['content-transfer-encoding']
  if (encoding !== undefined && !/^(?:7bit|8bit|binary)$/i.test(encoding))
    throw malformed(`the part ${JSON.stringify(name.slice(0, 100))} has a transfer encoding, which forms do not`)
  const content = part.subarray(end === 0 ? 2 : end + 4)
  const type = headers['content-type']
  if (filename === undefined && (type === undefined || /^text\/plain\b/i.test(type))) {
    addField(fields, name, decodeText(content, charsetIn(type)), lists)
    return
  }
  const file = newFields([])
  file.filename = filename ?? ''
  file.contentType = type ?? 'application/octet-stream'
  file.data = content.toString('base64')
  addField(fields, name, file, lists)
}

function headersOf(text: string): Readonly<Record<string, string>> {
  const headers: Record<string, string> = Object.create(null)
  if (text === '') return headers
  for (const line of text.split('\r\n')) {
    const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*)$/.exec(line)
    if (match === null) throw malformed('a part has a line among its headers that is none')
    const name = (match[1] as string).toLowerCase()
    if (headers[name] !== undefined) throw malformed(`a part has the header ${name} twice`)
    headers[name] = (match[2] as string).trim()
  }
  return headers
}

/** Browsers escape a quote as %22 and line ends as %0D%0A, and nothing else; a backslash is a backslash. */
function dispositionOf(text: string | undefined): { readonly name: string; readonly filename: string | undefined } {
  if (text === undefined || !/^form-data\s*(?:;|$)/i.test(text)) throw malformed('a part is not form-data')
  const parameter = (key: string): string | undefined => {
    const match = new RegExp(`;\\s*${key}=(?:"([^"]*)"|([^\\s;"]+))`, 'i').exec(text)
    return match === null
      ? undefined
      : (match[1] ?? match[2] ?? '').replace(/%22|%0D%0A/gi, (escaped) => (escaped === '%22' ? '"' : '\r\n'))
  }
  const name = parameter('name')
  if (name === undefined) throw malformed('a part has no name')
  return { name, filename: parameter('filename') }
}

/** Fields only. The boundary is made of the content, so that the same value is always the same bytes. */
function writeMultipart(value: NativeData): Encoded {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new SyncError('format.unwritable', 'a form is made of fields, so the value must be an object of them.')
  const parts: string[] = []
  for (const [name, field] of Object.entries(value)) {
    for (const one of Array.isArray(field) ? (field as readonly NativeData[]) : [field as NativeData]) {
      if (one === null) continue
      if (!isScalar(one))
        throw new SyncError('format.unwritable', `the field ${name} holds a record or a file, which is not written.`)
      const escaped = name.replace(/["\r\n]/g, (c) => (c === '"' ? '%22' : c === '\r' ? '%0D' : '%0A'))
      parts.push(`Content-Disposition: form-data; name="${escaped}"\r\n\r\n${textOf(one)}\r\n`)
    }
  }
  const boundary = boundaryFor(parts.join(''))
  const body = parts.map((part) => `--${boundary}\r\n${part}`).join('')
  return { contentType: `${TYPE}; boundary=${boundary}`, body: `${body}--${boundary}--\r\n` }
}

function boundaryFor(content: string): string {
  let boundary = `latchwork-${hash('sha256', content, 'hex').slice(0, 32)}`
  while (content.includes(boundary)) boundary = `latchwork-${hash('sha256', boundary, 'hex').slice(0, 32)}`
  return boundary
}

const malformed = (why: string): SyncError =>
  new SyncError('intake.malformed', `the body is not well-formed multipart/form-data: ${why}. Nothing was stored.`)

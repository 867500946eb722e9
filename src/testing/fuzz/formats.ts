import { isDeepStrictEqual } from 'node:util'
import { SyncError } from '../../errors/index.ts'
import {
  compileFormat,
  csv,
  FORMAT_LIMITS,
  type FormatSpec,
  form,
  json,
  multipart,
  soap,
  text,
  xml,
} from '../../formats/index.ts'
import { Rng } from '../simulator/rng.ts'

/**
 * Fuzzing of every parser: good messages are cut, crossed and changed, and what comes of them is either plain data that is written and read back as it is, or a refusal with a
 * code. Anything else (another error, a value that changes on its way, half a surrogate pair) is a finding.
 */
export interface Finding {
  readonly kind: string
  readonly seed: number
  readonly what: string
  readonly message: string
}

interface Subject {
  readonly spec: FormatSpec
  readonly headers: Readonly<Record<string, string>>
  readonly samples: readonly string[]
  /** Pieces that mean something in this format. */
  readonly pieces: readonly string[]
}

const envelope = (inner: string, uri = 'http://schemas.xmlsoap.org/soap/envelope/', header = ''): string =>
  `<?xml version="1.0"?><e:Envelope xmlns:e="${uri}">${header}<e:Body>${inner}</e:Body></e:Envelope>`

const MARKUP = [
  '<',
  '>',
  '/>',
  '</',
  '&amp;',
  '&#x41;',
  '&#0;',
  '<![CDATA[',
  ']]>',
  '<!--',
  '-->',
  '<?x ?>',
  '<!DOCTYPE a>',
  ' xmlns="urn:z"',
  ' xmlns:p="urn:p"',
  'p:',
  ' a="1"',
  '<a>',
  '</a>',
  '<list/>',
  'xsi:nil="true"',
  '\r\n',
  '\u0000',
  '\u0001',
  'é',
  '😀',
  '__proto__',
]

export const SUBJECTS: Readonly<Record<string, Subject>> = {
  json: {
    spec: json(),
    headers: { 'content-type': 'application/json' },
    samples: [
      '{"id":"007","n":[1,-2.5e3,9007199254740993,0.1],"s":"a\\u00e9\\n\\"","o":{"a":{},"b":[],"c":null,"d":true}}',
      '[{"a" : 1},\n {"a" : "x: \\":"}]',
    ],
    pieces: [
      '"',
      '\\',
      '{',
      '}',
      '[',
      ']',
      ':',
      ',',
      '\\u0061',
      '\\ud800',
      '"id"',
      '"__proto__":',
      'null',
      '1e999',
      '00',
      '9'.repeat(20),
      ' ',
      '\u0000',
      'é',
      '\ufeff',
    ],
  },
  xml: {
    spec: xml({ root: 'r', lists: ['list', 'in.list'] }),
    headers: { 'content-type': 'application/xml' },
    samples: [
      '<?xml version="1.0" encoding="UTF-8"?><r a="1"><id>007</id><list>x</list><list y="&lt;">z</list><in><list/></in><n xsi:nil="true" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"/></r>',
      '<r> a &amp; b <![CDATA[<&>]]></r>',
    ],
    pieces: MARKUP,
  },
  soap: {
    spec: soap({ request: 'Put', reply: 'Put', namespace: 'urn:p', lists: ['line'] }),
    headers: { 'content-type': 'text/xml' },
    samples: [
      envelope('<Put xmlns="urn:p"><id>007</id><line>a</line><line>b</line></Put>'),
      envelope(
        '<p:Put xmlns:p="urn:p"><p:id a="1">x</p:id></p:Put>',
        undefined,
        '<e:Header><t xmlns="urn:t" e:mustUnderstand="0"/></e:Header>',
      ),
    ],
    pieces: [...MARKUP, '<e:Header/>', '<e:Body>', '</e:Body>', 'e:mustUnderstand="1"'],
  },
  form: {
    spec: form({ lists: ['tag'] }),
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    samples: ['id=007&name=Ada+%C3%A9&tag=a&tag=b&empty=', 'a=1;b=2&c'],
    pieces: ['&', '=', '%', '+', '%00', '%C3', '%2B', 'id', 'tag=', 'é', '__proto__'],
  },
  multipart: {
    spec: multipart({ lists: ['tag'] }),
    headers: { 'content-type': 'multipart/form-data; boundary=cut' },
    samples: [
      '--cut\r\nContent-Disposition: form-data; name="id"\r\n\r\n007\r\n--cut\r\nContent-Disposition: form-data; name="tag"\r\n\r\na\r\n--cut--\r\n',
      'x\r\n--cut\r\nContent-Disposition: form-data; name="f"; filename="a"\r\nContent-Type: image/png\r\n\r\n\u0001\u0002\r\n--cut--',
    ],
    pieces: [
      '--cut',
      '--',
      '\r\n',
      '\n',
      'Content-Disposition: form-data; name="x"',
      '"',
      ';',
      '\r\n\r\n',
      '--cut--',
      'é',
    ],
  },
  csv: {
    spec: csv(),
    headers: { 'content-type': 'text/csv' },
    samples: ['id,name\r\n007,"Ada, ""x"""\r\n8,\r\n', 'a\nb\n"c\r\nd"\n'],
    pieces: [',', '"', '""', '\r\n', '\n', '\r', 'id', 'é', ' ', ';', '__proto__'],
  },
  text: {
    spec: text(),
    headers: { 'content-type': 'text/plain' },
    samples: ['007', 'a\r\nb é'],
    pieces: ['\ufeff', '\u0000', 'é', '\r'],
  },
}

/** One run: a message from the seed, read, and where it could be read, written and read again. null: as it should be. */
export function fuzzOnce(kind: string, seed: number): Finding | null {
  const subject = SUBJECTS[kind] as Subject
  const rng = new Rng(seed).fork(kind)
  const message = mutated(subject, rng)
  const finding = (what: string): Finding => ({ kind, seed, what, message: message.toString('base64') })
  const format = compileFormat(subject.spec)
  const headers = rng.chance(0.05)
    ? { 'content-type': rng.pick(['text/xml; charset=utf-16', 'x', 'text/csv; charset=latin1']) }
    : subject.headers
  let data: unknown
  try {
    data = format.decode(message, headers, FORMAT_LIMITS).data
  } catch (error) {
    return SyncError.is(error) && error.code.startsWith('intake.') ? null : finding(`threw ${String(error)}`)
  }
  // Of no rows nobody can tell the columns, so such a table cannot be written.
  if (kind === 'csv' && Array.isArray(data) && data.length === 0) return null
  if (!isPlain(data)) return finding('gave what is not plain data')
  try {
    const written = format.encode(data as never)
    const again = format.decode(
      Buffer.from(written.body),
      { ...subject.headers, 'content-type': written.contentType },
      FORMAT_LIMITS,
    ).data
    return isDeepStrictEqual(structuredClone(again), structuredClone(data))
      ? null
      : finding('is another value when written and read')
  } catch (error) {
    return SyncError.is(error) && error.code === 'format.unwritable'
      ? null
      : finding(`cannot be written and read: ${String(error)}`)
  }
}

/** Strings are well-formed, objects have no key that tricks programs. */
function isPlain(data: unknown): boolean {
  if (typeof data === 'string') return data.isWellFormed()
  if (typeof data !== 'object' || data === null) return data !== undefined && typeof data !== 'function'
  if (Array.isArray(data)) return data.every(isPlain)
  return Object.entries(data).every(([key, value]) => key !== '__proto__' && key.isWellFormed() && isPlain(value))
}

function mutated(subject: Subject, rng: Rng): Buffer {
  let bytes = Buffer.from(rng.pick(subject.samples))
  for (let changes = rng.int(0, 6); changes > 0; changes--) {
    const at = rng.int(0, bytes.length)
    const until = Math.min(bytes.length, at + rng.int(0, 12))
    const piece = Buffer.from(rng.pick(subject.pieces))
    switch (rng.int(0, 6)) {
      case 0:
        bytes = Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at)])
        break
      case 1:
        bytes = Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(until)])
        break
      case 2:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(until)])
        break
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, until), bytes.subarray(at, until), bytes.subarray(until)])
        break
      case 4:
        bytes = Buffer.from(bytes)
        if (at < bytes.length) bytes[at] = rng.int(0, 255)
        break
      case 5:
        bytes = rng.chance(0.2) ? bytes.subarray(0, at) : bytes
        break
      default:
        bytes = rng.chance(0.1) ? Buffer.from('\ufeff' + bytes.toString('utf8'), 'utf16le') : bytes
    }
  }
  return bytes
}

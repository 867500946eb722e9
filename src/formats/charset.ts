import { isUtf8 } from 'node:buffer'
import { SyncError } from '../errors/index.ts'

type Charset = 'utf-8' | 'utf-16le' | 'utf-16be' | 'iso-8859-1' | 'windows-1252' | 'us-ascii'

/** Names that senders use, in lower case. Others are refused rather than guessed. */
const charsets: Readonly<Record<string, Charset | 'utf-16'>> = {
  'utf-8': 'utf-8',
  utf8: 'utf-8',
  'us-ascii': 'us-ascii',
  ascii: 'us-ascii',
  'utf-16': 'utf-16',
  'utf-16le': 'utf-16le',
  'utf-16be': 'utf-16be',
  'iso-8859-1': 'iso-8859-1',
  latin1: 'iso-8859-1',
  'iso_8859-1': 'iso-8859-1',
  'windows-1252': 'windows-1252',
  cp1252: 'windows-1252',
}

/**
 * The text of a message. A byte order mark tells first, then what was declared (in the content type, or inside the document), then it is UTF-8; a mark that
 * contradicts the declaration is refused, and so are bytes that the charset does not have. The mark itself is not part of the text.
 */
export function decodeText(bytes: Uint8Array, declared: string | undefined): string {
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const named = declared === undefined ? undefined : charsetOf(declared)
  const mark = markOf(buffer)
  if (mark !== undefined && named !== undefined && !agree(mark.charset, named))
    throw malformed(
      `its byte order mark says ${mark.charset}, but it is declared as ${named}; let the sender correct one of them`,
    )
  const charset = mark?.charset ?? (named === 'utf-16' ? 'utf-16be' : named) ?? 'utf-8'
  const body = mark === undefined ? buffer : buffer.subarray(mark.bytes)
  const text = decoders[charset](body)
  if (text.charCodeAt(0) === 0xfeff) throw malformed('it begins with two byte order marks')
  if (text.includes('\u0000')) throw malformed('it holds the character NUL, which no text has')
  return text
}

const decoders: Readonly<Record<Charset, (bytes: Buffer) => string>> = {
  'utf-8': (bytes) => {
    if (!isUtf8(bytes)) throw malformed('it is not UTF-8; send it as UTF-8, or declare its charset')
    return bytes.toString('utf8')
  },
  'us-ascii': (bytes) => {
    // A sender that says ASCII and means UTF-8 is common and harmless; one that means something else is found out here.
    if (!isUtf8(bytes)) throw malformed('it is declared as us-ascii, and is neither that nor UTF-8')
    return bytes.toString('utf8')
  },
  'iso-8859-1': (bytes) => bytes.toString('latin1'),
  'windows-1252': (bytes) => new TextDecoder('windows-1252').decode(bytes),
  'utf-16le': (bytes) => utf16(bytes, 'utf-16le'),
  'utf-16be': (bytes) => utf16(bytes, 'utf-16be'),
}

function utf16(bytes: Buffer, charset: 'utf-16le' | 'utf-16be'): string {
  try {
    return new TextDecoder(charset, { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (cause) {
    throw malformed(`it is not ${charset}: it breaks off inside a character, or holds half of a surrogate pair`, cause)
  }
}

function charsetOf(name: string): Charset | 'utf-16' {
  const known = Object.hasOwn(charsets, name.toLowerCase()) ? charsets[name.toLowerCase()] : undefined
  if (known !== undefined) return known
  throw new SyncError(
    'intake.unsupported-type',
    `the charset ${JSON.stringify(name.slice(0, 40))} is not one that is read (UTF-8, UTF-16, ISO-8859-1, windows-1252); send UTF-8.`,
  )
}

function markOf(buffer: Buffer): { readonly charset: Charset; readonly bytes: number } | undefined {
  if (buffer.length >= 3 && buffer[0] === 0xef && buffer[1] === 0xbb && buffer[2] === 0xbf)
    return { charset: 'utf-8', bytes: 3 }
  if (buffer.length < 2) return undefined
  // UTF-32 begins like UTF-16 LE, and two zeros follow.
  if (buffer.length >= 4 && buffer[0] === 0xff && buffer[1] === 0xfe && buffer[2] === 0 && buffer[3] === 0)
    throw malformed('it is UTF-32, which is not read; send UTF-8')
  if (buffer[0] === 0xff && buffer[1] === 0xfe) return { charset: 'utf-16le', bytes: 2 }
  return buffer[0] === 0xfe && buffer[1] === 0xff ? { charset: 'utf-16be', bytes: 2 } : undefined
}

function agree(mark: Charset, named: Charset | 'utf-16'): boolean {
  if (named === 'utf-16') return mark !== 'utf-8'
  return mark === named || (mark === 'utf-8' && named === 'us-ascii')
}

const malformed = (why: string, cause?: unknown): SyncError =>
  new SyncError('intake.malformed', `the body cannot be read as text: ${why}. Nothing was stored.`, { cause })

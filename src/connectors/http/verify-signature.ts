import { type BinaryLike, createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto'
import { SyncError } from '../../errors/index.ts'
import type { RawRequest } from '../../ports/app.ts'
import type { HttpSignature } from './options.ts'
import { checkAge, unauthenticated, type Verifier } from './verify-refusal.ts'

export const DIGEST_BYTES = { sha1: 20, sha256: 32, sha512: 64 } as const
/** More than any rotation needs; each costs a comparison with each secret. */
const SIGNATURES_MAX = 16
const HEADER_CHARS_MAX = 4_096

/** A signature in the way of one vendor. `secrets` and `publicUrl` are text by now. */
export function signatureVerifier(
  rules: HttpSignature,
  secrets: readonly string[],
  publicUrl: string | null,
  path: string,
): Verifier {
  const keys = secrets.map((secret) => createSecretKey(keyBytes(secret, rules.secretForm, path)))
  const header = rules.header.toLowerCase()
  const timeHeader = rules.time !== null && 'header' in rules.time ? rules.time.header.toLowerCase() : null
  const timePair = rules.time !== null && 'pair' in rules.time ? rules.time.pair : null
  return (request, nowMs) => {
    const given = request.headers[header]
    if (given === undefined) throw unauthenticated(path, `has no ${header} header`)
    const { signatures, pairs } = signaturesIn(given, rules)
    if (signatures.length === 0)
      throw unauthenticated(path, `has no ${rules.algorithm} signature of a known form in its ${header} header`)
    const time = timeHeader !== null ? request.headers[timeHeader] : timePair !== null ? pairs.get(timePair) : undefined
    if (rules.time !== null && (time === undefined || !/^\d{1,16}$/.test(time)))
      throw unauthenticated(path, `has no unix time in its ${timeHeader ?? header} header`)
    // Every key is compared with every signature, whichever fits: the time must not tell which secret is the old one.
    let isRight = false
    for (const key of keys) {
      const mac = macOf(rules, key, request, time ?? '', publicUrl, path)
      for (const signature of signatures) isRight = timingSafeEqual(mac, signature) || isRight
    }
    if (!isRight) throw unauthenticated(path, `has a wrong signature in its ${header} header`)
    if (time !== undefined) checkAge(time, rules.toleranceMs, nowMs, path)
  }
}

function keyBytes(secret: string, form: HttpSignature['secretForm'], path: string): Buffer {
  if (form === 'text') return Buffer.from(secret)
  const text = secret.startsWith('whsec_') ? secret.slice(6) : secret
  const bytes = Buffer.from(text, 'base64')
  if (bytes.length < 16 || bytes.toString('base64').replace(/=+$/, '') !== text.replace(/=+$/, ''))
    throw new SyncError(
      'config.invalid',
      `the secret of the webhook ${path} is not base64 of at least 16 bytes after \`whsec_\`, which Standard Webhooks want: copy it whole from the sender.`,
    )
  return bytes
}

function signaturesIn(
  given: string,
  rules: HttpSignature,
): { readonly signatures: readonly Buffer[]; readonly pairs: ReadonlyMap<string, string> } {
  const signatures: Buffer[] = []
  const pairs = new Map<string, string>()
  if (given.length > HEADER_CHARS_MAX) return { signatures, pairs }
  const add = (text: string): void => {
    const bytes = signatures.length < SIGNATURES_MAX ? digestBytes(text, rules) : undefined
    if (bytes !== undefined) signatures.push(bytes)
  }
  if (rules.list.form === 'one') {
    if (given.startsWith(rules.list.prefix)) add(given.slice(rules.list.prefix.length))
    return { signatures, pairs }
  }
  const { form, version } = rules.list
  const [between, inside] = form === 'spaced' ? [' ', ','] : [',', '=']
  for (const item of given.split(between)) {
    const at = item.indexOf(inside)
    if (at < 0) continue
    const name = item.slice(0, at).trim()
    const value = item.slice(at + 1).trim()
    if (name === version) add(value)
    // The first one counts: a second time beside it was not written by the sender.
    else if (!pairs.has(name)) pairs.set(name, value)
  }
  return { signatures, pairs }
}

/** undefined unless the text is exactly one digest in the encoding. */
export function digestBytes(text: string, rules: Pick<HttpSignature, 'algorithm' | 'encoding'>): Buffer | undefined {
  const bytes = DIGEST_BYTES[rules.algorithm]
  const shape = rules.encoding === 'hex' ? /^[0-9a-fA-F]+$/ : /^[A-Za-z0-9+/]+={0,2}$/
  if (text.length > bytes * 2 || !shape.test(text)) return undefined
  const decoded = Buffer.from(text, rules.encoding)
  return decoded.length === bytes ? decoded : undefined
}

function macOf(
  rules: HttpSignature,
  key: KeyObject,
  request: RawRequest,
  time: string,
  publicUrl: string | null,
  path: string,
): Buffer {
  const mac = createHmac(rules.algorithm, key)
  for (const part of rules.signed) mac.update(partOf(part, request, time, publicUrl, path))
  return mac.digest()
}

function partOf(
  part: HttpSignature['signed'][number],
  request: RawRequest,
  time: string,
  publicUrl: string | null,
  path: string,
): BinaryLike {
  if (part === 'body') return request.body
  if (part === 'method') return request.method
  if (part === 'time') return time
  if (part === 'url') return signedUrl(request, publicUrl)
  if ('text' in part) return part.text
  const value = request.headers[part.header.toLowerCase()]
  if (value === undefined) throw unauthenticated(path, `has no ${part.header.toLowerCase()} header, which is signed`)
  return value
}

/** Escapes that HubSpot undoes in a URL before it signs it; all others stay. */
const undone = /%(?:3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)/gi

function signedUrl(request: RawRequest, publicUrl: string | null): string {
  const origin = publicUrl === null ? `https://${request.headers.host ?? ''}` : publicUrl.replace(/\/+$/, '')
  const url = origin + request.path + (request.query === '' ? '' : '?' + request.query)
  return url.replace(undone, (escaped) => decodeURIComponent(escaped))
}

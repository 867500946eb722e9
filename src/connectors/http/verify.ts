import { type BinaryLike, createHmac, createSecretKey, hash, type KeyObject, timingSafeEqual } from 'node:crypto'
import { SyncError } from '../../errors/index.ts'
import type { RawRequest } from '../../ports/app.ts'
import type { ConfigText, HttpVerify } from './options.ts'
import { unixMs } from './place.ts'

/** Throws `intake.unauthenticated` or `intake.stale`. Checks raw bytes; every comparison takes the same time whether its start or its end is wrong. */
export type Verifier = (request: RawRequest, nowMs: number) => void

type Hmac = Extract<HttpVerify, { kind: 'hmac' }>

/** Secrets are text by now: whoever compiles the config resolves `env(...)`, so that nothing here reads the environment. */
export function resolvedText(text: ConfigText, what: string): string {
  if (typeof text === 'string') return text
  throw new SyncError('config.invalid', `${what} still names the environment variable ${text.env}: resolve it first.`)
}

export function createVerifier(verify: HttpVerify, path: string): Verifier {
  const secret = (text: ConfigText): string => {
    const resolved = resolvedText(text, `the secret of the webhook ${path}`)
    if (resolved === '')
      throw new SyncError('config.invalid', `the webhook ${path} has an empty secret, which anyone can guess: set one.`)
    return resolved
  }
  switch (verify.kind) {
    case 'none':
      return () => {}
    case 'hmac':
      return hmacVerifier(verify, verify.secrets.map(secret), path)
    case 'basic': {
      const pair = Buffer.from(`${secret(verify.user)}:${secret(verify.password)}`).toString('base64')
      return credentialVerifier('authorization', 'basic', pair, path)
    }
    case 'bearer':
      return credentialVerifier('authorization', 'bearer', secret(verify.token), path)
    case 'api-key':
      return credentialVerifier(verify.header.toLowerCase(), null, secret(verify.value), path)
  }
}

const refused = (path: string, why: string): SyncError =>
  new SyncError(
    'intake.unauthenticated',
    `the request to ${path} ${why}. Compare the secret at the sender with the \`verify\` of the webhook, and check that no proxy changes the body.`,
    { place: { path } },
  )

/** Hashing both sides makes them equally long, so that the comparison tells nothing of the length either. */
function credentialVerifier(header: string, scheme: string | null, expected: string, path: string): Verifier {
  const want = hash('sha256', expected, 'buffer')
  return (request) => {
    const given = request.headers[header]
    if (given === undefined) throw refused(path, `has no ${header} header`)
    const value = scheme === null ? given : withoutScheme(given, scheme)
    if (value === undefined) throw refused(path, `has no ${scheme} credential in its ${header} header`)
    if (!timingSafeEqual(hash('sha256', value, 'buffer'), want)) throw refused(path, `has a wrong ${header} header`)
  }
}

function withoutScheme(header: string, scheme: string): string | undefined {
  const fits = header.slice(0, scheme.length).toLowerCase() === scheme && header[scheme.length] === ' '
  return fits ? header.slice(scheme.length + 1).trim() : undefined
}

function hmacVerifier(verify: Hmac, secrets: readonly string[], path: string): Verifier {
  if (secrets.length === 0)
    throw new SyncError('config.invalid', `the webhook ${path} has no secret: give at least one.`)
  const keys = secrets.map((text) => createSecretKey(Buffer.from(text)))
  const header = verify.header.toLowerCase()
  return (request, nowMs) => {
    const given = request.headers[header]
    if (given === undefined) throw refused(path, `has no ${header} header`)
    const signature = signatureBytes(given, verify)
    if (signature === undefined)
      throw refused(path, `has a ${header} header that is not a ${verify.algorithm} signature`)
    const stamp = verify.timestamp === null ? null : (request.headers[verify.timestamp.header.toLowerCase()] ?? '')
    const signedPrefix = stamp === null || verify.timestamp === null ? '' : stamp + verify.timestamp.separator
    // Every key is tried, whichever fits: during a rotation the time must not tell which secret is the old one.
    let right = false
    for (const key of keys) right = timingSafeEqual(mac(verify, key, signedPrefix, request.body), signature) || right
    if (!right) throw refused(path, `has a wrong signature in its ${header} header`)
    if (verify.timestamp !== null) checkAge(verify.timestamp, stamp ?? '', nowMs, path)
  }
}

function mac(verify: Hmac, key: KeyObject, prefix: string, body: BinaryLike): Buffer {
  const hmac = createHmac(verify.algorithm, key)
  if (prefix !== '') hmac.update(prefix)
  return hmac.update(body).digest()
}

const DIGEST_BYTES = { sha1: 20, sha256: 32, sha512: 64 } as const

/** undefined unless the header holds exactly one signature of the right length in the right encoding. */
function signatureBytes(header: string, verify: Hmac): Buffer | undefined {
  const bytes = DIGEST_BYTES[verify.algorithm]
  if (header.length > verify.prefix.length + bytes * 2 || !header.startsWith(verify.prefix)) return undefined
  const text = header.slice(verify.prefix.length)
  const shape = verify.encoding === 'hex' ? /^[0-9a-fA-F]+$/ : /^[A-Za-z0-9+/]+={0,2}$/
  if (!shape.test(text)) return undefined
  const decoded = Buffer.from(text, verify.encoding)
  return decoded.length === bytes ? decoded : undefined
}

function checkAge(timestamp: NonNullable<Hmac['timestamp']>, stamp: string, nowMs: number, path: string): void {
  if (!/^\d{1,16}$/.test(stamp)) throw refused(path, `has no unix time in its ${timestamp.header} header`)
  const ageMs = nowMs - unixMs(Number(stamp))
  if (Math.abs(ageMs) <= timestamp.toleranceMs) return
  throw new SyncError(
    'intake.stale',
    `the request to ${path} was signed ${Math.abs(Math.round(ageMs / 1000))} s ${ageMs > 0 ? 'ago' : 'in the future'}, which is outside the tolerated ${timestamp.toleranceMs / 1000} s. Check the clocks of sender and hub.`,
    { place: { path } },
  )
}

import { type BinaryLike, createHmac, createSecretKey, hash, type KeyObject, timingSafeEqual } from 'node:crypto'
import { SyncError } from '../../errors/index.ts'
import type { ConfigText, HttpVerify } from './options.ts'
import { resolvedText } from './resolved.ts'
import { addressVerifier, certificateVerifier } from './verify-peer.ts'
import { checkAge, unauthenticated as refused, type Verifier } from './verify-refusal.ts'
import { digestBytes, signatureVerifier } from './verify-signature.ts'

type Hmac = Extract<HttpVerify, { kind: 'hmac' }>

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
    case 'query-key':
      return queryVerifier(verify.name, secret(verify.value), path)
    case 'signature': {
      const publicUrl =
        verify.publicUrl === null ? null : resolvedText(verify.publicUrl, `the public URL of the webhook ${path}`)
      return signatureVerifier(verify, secretsOf(verify.secrets.map(secret), path), publicUrl, path)
    }
    case 'client-certificate':
      return certificateVerifier(verify, path)
    case 'addresses':
      return addressVerifier(verify.allow, verify.proxies, path)
    case 'all': {
      const all = verify.of.map((one) => createVerifier(one, path))
      return (request, nowMs) => {
        for (const one of all) one(request, nowMs)
      }
    }
  }
}

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

function queryVerifier(name: string, expected: string, path: string): Verifier {
  const want = hash('sha256', expected, 'buffer')
  return (request) => {
    const given = new URLSearchParams(request.query).getAll(name)
    if (given.length !== 1) throw refused(path, `has no ${name} in its query, or several`)
    if (!timingSafeEqual(hash('sha256', given[0] as string, 'buffer'), want))
      throw refused(path, `has a wrong ${name} in its query`)
  }
}

function secretsOf(secrets: readonly string[], path: string): readonly string[] {
  if (secrets.length > 0) return secrets
  throw new SyncError('config.invalid', `the webhook ${path} has no secret: give at least one.`)
}

function hmacVerifier(verify: Hmac, secrets: readonly string[], path: string): Verifier {
  const keys = secretsOf(secrets, path).map((text) => createSecretKey(Buffer.from(text)))
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
    if (verify.timestamp === null) return
    if (!/^\d{1,16}$/.test(stamp ?? ''))
      throw refused(path, `has no unix time in its ${verify.timestamp.header} header`)
    checkAge(stamp ?? '', verify.timestamp.toleranceMs, nowMs, path)
  }
}

function mac(verify: Hmac, key: KeyObject, prefix: string, body: BinaryLike): Buffer {
  const hmac = createHmac(verify.algorithm, key)
  if (prefix !== '') hmac.update(prefix)
  return hmac.update(body).digest()
}

/** undefined unless the header holds exactly one signature of the right length in the right encoding. */
function signatureBytes(header: string, verify: Hmac): Buffer | undefined {
  return header.startsWith(verify.prefix) ? digestBytes(header.slice(verify.prefix.length), verify) : undefined
}

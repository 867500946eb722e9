import { BlockList, isIP } from 'node:net'
import { SyncError } from '../../errors/index.ts'
import type { RawRequest } from '../../ports/app.ts'
import type { HttpClientCertificate } from './options.ts'
import { unauthenticated, type Verifier } from './verify-refusal.ts'

/** Addresses and networks, IPv4 and IPv6. An IPv4 address that a dual-stack socket shows as IPv6 is the IPv4 address. */
export function addressSet(entries: readonly string[], where: string): (address: string) => boolean {
  const list = new BlockList()
  for (const entry of entries) {
    const [address = '', bits] = entry.split('/')
    const family = isIP(address)
    const prefix = bits === undefined ? undefined : Number(bits)
    const isPrefix = prefix === undefined || (/^\d{1,3}$/.test(bits ?? '') && prefix <= (family === 4 ? 32 : 128))
    if (family === 0 || !isPrefix)
      throw new SyncError(
        'config.invalid',
        `${where}: ${JSON.stringify(entry)} is neither an IP address nor a network such as 203.0.113.0/24.`,
      )
    const name = family === 4 ? 'ipv4' : 'ipv6'
    if (prefix === undefined) list.addAddress(address, name)
    else list.addSubnet(address, prefix, name)
  }
  return (given) => {
    const address = plainAddress(given)
    const family = isIP(address)
    return family !== 0 && list.check(address, family === 4 ? 'ipv4' : 'ipv6')
  }
}

const plainAddress = (address: string): string => address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '')

export function addressVerifier(allow: readonly string[], proxies: readonly string[], path: string): Verifier {
  const isAllowed = addressSet(allow, `the addresses of the webhook ${path}`)
  const isProxy = addressSet(proxies, `the proxies of the webhook ${path}`)
  return (request) => {
    const sender = senderOf(request, isProxy)
    if (!isAllowed(sender))
      throw unauthenticated(path, `comes from ${sender.slice(0, 60)}, which is not an allowed address`)
  }
}

/** The address nearest to us that is not a proxy of ours: what stands further left in X-Forwarded-For anybody can have written. */
function senderOf(request: RawRequest, isProxy: (address: string) => boolean): string {
  let sender = request.remoteAddress
  const hops = (request.headers['x-forwarded-for'] ?? '').split(',').reverse()
  for (const hop of hops) {
    if (!isProxy(sender) || hop.trim() === '') break
    sender = hop.trim()
  }
  return plainAddress(sender)
}

export function certificateVerifier(rules: HttpClientCertificate, path: string): Verifier {
  const fingerprints = new Set(rules.fingerprints.map(bareFingerprint))
  const subjects = new Set(rules.subjects)
  const isProxy = addressSet(rules.proxy?.addresses ?? [], `the proxies of the webhook ${path}`)
  const fits = (fingerprint: string | undefined, subject: string | undefined): boolean =>
    (fingerprint !== undefined && fingerprints.has(bareFingerprint(fingerprint))) ||
    (subject !== undefined && subjects.has(subject))
  return (request) => {
    const shown = request.clientCertificate
    if (shown !== undefined && fits(shown.fingerprint256, shown.subject)) return
    const { proxy } = rules
    if (proxy !== null && isProxy(request.remoteAddress)) {
      const isVerified = request.headers[proxy.verifiedHeader.toLowerCase()] === proxy.verifiedValue
      const header = (name: string | null): string | undefined =>
        name === null ? undefined : request.headers[name.toLowerCase()]
      if (isVerified && fits(header(proxy.fingerprintHeader), header(proxy.subjectHeader))) return
    }
    throw unauthenticated(path, `shows no client certificate that is known here`)
  }
}

const bareFingerprint = (text: string): string => text.replaceAll(':', '').toLowerCase()

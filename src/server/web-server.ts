import { createServer, type RequestListener, type Server, type ServerOptions } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { Socket } from 'node:net'
import type { PeerCertificate, TLSSocket } from 'node:tls'
import { SyncError } from '../errors/index.ts'
import type { RawRequest } from '../ports/app.ts'
import type { TlsTexts } from './secrets.ts'

type Shown = Pick<RawRequest, 'clientCertificate'>

export interface WebServer {
  readonly server: Server
  /** What the sender proved to be, on this connection. */
  certificateOf(socket: Socket): Shown
}

/** Older versions are not spoken: every sender that checks a certificate has had 1.2 for ten years. */
const TLS_VERSION_MIN = 'TLSv1.2'

const NOTHING: Shown = {}

/** An HTTP server, or with `tls` an HTTPS one. Refuses `config.tls` for a certificate or key that cannot be used. */
export function createWebServer(tls: TlsTexts | null, options: ServerOptions, take: RequestListener): WebServer {
  if (tls === null) return { server: createServer(options, take), certificateOf: () => NOTHING }
  const { cert, key, clients } = tls
  const asks = clients === null ? {} : { requestCert: true, rejectUnauthorized: false }
  const ca = clients === null || clients.ca === null ? {} : { ca: clients.ca }
  try {
    const secured = { ...options, cert, key, ...ca, ...asks, minVersion: TLS_VERSION_MIN } as const
    const server = createSecureServer({ ...secured, handshakeTimeout: options.headersTimeout }, take)
    return { server, certificateOf: clients === null ? () => NOTHING : shownBy }
  } catch (error) {
    throw new SyncError(
      'config.tls',
      `listener.tls: the certificate and its key cannot be used together: ${error instanceof Error ? error.message : String(error)}. Both must be PEM, and the key that of the first certificate.`,
      { cause: error },
    )
  }
}

/** By connection: asked of the driver once. */
const known = new WeakMap<Socket, Shown>()

function shownBy(socket: Socket): Shown {
  let shown = known.get(socket)
  if (shown === undefined) known.set(socket, (shown = certificateOf(socket as TLSSocket)))
  return shown
}

/** The handshake proves that the sender has the key of the certificate that it shows; who it says to be counts only where `ca` says so too. */
function certificateOf(socket: TLSSocket): Shown {
  const certificate = socket.getPeerCertificate()
  if (certificate.fingerprint256 === undefined) return NOTHING
  const subject = socket.authorized ? subjectText(certificate) : ''
  return { clientCertificate: { fingerprint256: certificate.fingerprint256, subject } }
}

/** In the order in which it stands in the certificate, its most special part first: `CN=sender,O=Acme`. */
const subjectText = ({ subject }: PeerCertificate): string =>
  Object.entries(subject)
    .flatMap(([name, value]) => [value].flat().map((one) => `${name}=${one}`))
    .reverse()
    .join(',')

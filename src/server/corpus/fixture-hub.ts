import { connect } from 'node:net'
import { createHttpConnector } from '../../connectors/http/connector.ts'
import { fakeOptions, fakeResource, silentLog } from '../../connectors/http/fake-driver.ts'
import {
  csv,
  form,
  hmac,
  multipart,
  salesforce,
  soap,
  standardWebhooks,
  text,
  unverified,
  webhook,
  xml,
} from '../../connectors/http/index.ts'
import { systemClock } from '../../lib/system-clock.ts'
import { asObjectId } from '../../model/ids.ts'
import type { Accepted } from '../../ports/app.ts'
import { createListener } from '../listener.ts'

/** A listener with a webhook of every format, on a real socket, for messages that it must refuse. */

export const NOW_MS = 1_800_000_000_000
export const SECRET = 'corpus-secret'
export const STANDARD_SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
export const BODY_BYTES_MAX = 1_048_576
export const ORG = '00Dx00000000000EAA'

const open = { verify: unverified(), deliveryId: 'eventId' } as const
const HOOKS = [
  webhook('/json', open),
  webhook('/list', { ...open, record: 'items' }),
  webhook('/xml', { ...open, format: xml({ root: 'item', documents: 'part' }) }),
  webhook('/soap', { ...open, format: soap({ request: 'Put', namespace: 'urn:c', action: 'urn:c/put' }) }),
  webhook('/form', { ...open, format: form() }),
  webhook('/multipart', { ...open, format: multipart() }),
  webhook('/csv', { ...open, format: csv() }),
  webhook('/text', { ...open, format: text('id') }),
  webhook('/signed', {
    verify: hmac({ header: 'x-signature', prefix: 'sha256=', secret: SECRET, timestamp: 'x-timestamp' }),
  }),
  webhook('/standard', { ...standardWebhooks({ secret: STANDARD_SECRET }) }),
  webhook('/salesforce', { ...salesforce({ organizationId: ORG, verify: unverified() }) }),
]

export interface CorpusHub extends AsyncDisposable {
  readonly port: number
  /** What was taken, in order. */
  readonly accepted: Accepted[]
}

/** `timeoutMs` is long where nothing is about time: a busy machine must not make a good message late. */
export async function corpusHub(timeoutMs: number): Promise<CorpusHub> {
  const clock = { ...systemClock, nowMs: () => NOW_MS }
  const resources = HOOKS.map((notify) =>
    fakeResource(
      { form: 'A' },
      {
        object: asObjectId(notify.path),
        notify,
        poll: null,
        version: null,
        externalId: null,
        id: notify.path === '/salesforce' ? 'Id' : 'id',
      },
    ),
  )
  const options = fakeOptions('http://127.0.0.1:9', fakeResource({ form: 'A' }), { resources })
  const { source } = createHttpConnector(options, { clock, log: silentLog })
  const accepted: Accepted[] = []
  const listener = createListener({
    sources: [source],
    onAccept: async (_app, push) => {
      accepted.push(push)
      return push.reply
    },
    limits: { bodyBytesMax: BODY_BYTES_MAX, headersTimeoutMs: timeoutMs, requestTimeoutMs: 2 * timeoutMs },
    clock,
    log: silentLog,
  })
  const { port } = await listener.listen(0, '127.0.0.1')
  return { port, accepted, [Symbol.asyncDispose]: () => listener.close() }
}

export interface Answer {
  readonly status: number
  /** The stable code, out of problem+json, problem+xml or a SOAP fault. */
  readonly code: string | null
  readonly text: string
}

/** Writes raw bytes and gives what came back first; never waits longer than `waitMs`. */
export function speak(port: number, bytes: Uint8Array | string, waitMs = 25_000): Promise<Answer> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    let text = ''
    const finish = (): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve({ status: Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 0), code: codeIn(text), text })
    }
    const timer = setTimeout(finish, waitMs)
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      const length = /content-length: (\d+)/i.exec(text)
      const bodyAt = text.indexOf('\r\n\r\n')
      if (bodyAt >= 0 && (length === null || text.length >= bodyAt + 4 + Number(length[1]))) finish()
    })
    socket.on('error', finish)
    socket.on('close', finish)
    socket.write(bytes)
  })
}

const codeIn = (text: string): string | null =>
  /"code":"([^"]+)"/.exec(text)?.[1] ??
  /<code>([^<]+)<\/code>/.exec(text)?.[1] ??
  /\((intake\.[a-z-]+)\)/.exec(text)?.[1] ??
  null

/** A request with a length of its own; a header of '' is left out. */
export function request(
  path: string,
  body: Uint8Array | string,
  headers: Readonly<Record<string, string>> = {},
): Buffer {
  const bytes = Buffer.from(body as string)
  const all: Record<string, string> = { host: 'hub', 'content-length': String(bytes.length), ...headers }
  const lines = Object.entries(all).filter(([, value]) => value !== '')
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  return Buffer.concat([Buffer.from(`POST ${path} HTTP/1.1\r\n${head}\r\n`, 'latin1'), bytes])
}

import { ERROR_CODES, type ErrorCode, SyncError } from '../errors/index.ts'
import { decodeData, encodeData } from '../model/value.ts'

/** A local hub answers in milliseconds; this is for one that hangs. */
const TIMEOUT_MS = 10_000

/** Speaks to a running hub over its admin API. */
export class HubClient {
  readonly url: string
  readonly #token: string | undefined
  readonly #certificate: string | undefined
  #fetch: Promise<Fetch> | null = null

  /** `certificate`: what the hub shows (PEM), as it stands in its data folder; it is believed by that, whoever issued it and whatever name it bears. */
  constructor(url: string, token: string | undefined, certificate?: string) {
    this.url = url.replace(/\/+$/, '')
    this.#token = token
    this.#certificate = certificate
  }

  get<T>(
    path: string,
    query: Readonly<Record<string, string | number | undefined>> = {},
    timeoutMs: number = TIMEOUT_MS,
  ): Promise<T> {
    const given = Object.entries(query).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, String(value)] as [string, string]],
    )
    const text = new URLSearchParams(given).toString()
    return this.#send('GET', text === '' ? path : `${path}?${text}`, undefined, timeoutMs) as Promise<T>
  }

  post(path: string, body?: unknown): Promise<unknown> {
    return this.#send('POST', path, body)
  }

  /** Bytes as they are. */
  postBytes(path: string, bytes: Uint8Array<ArrayBuffer>): Promise<unknown> {
    return this.#send('POST', path, bytes)
  }

  /** The data of server-sent events, until the hub or the signal ends them. */
  async *events(path: string, signal: AbortSignal): AsyncIterable<unknown> {
    let response: Response
    try {
      response = await (await this.#fetcher())(this.url + path, { headers: this.#headers(), signal })
    } catch (error) {
      if (signal.aborted) return
      throw unreachable(this.url, error)
    }
    if (!response.ok || response.body === null) throw refusal(this.url, response.status, dataOf(await response.text()))
    let text = ''
    try {
      for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
        text += chunk
        for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
          const data = /^data: (.*)$/m.exec(text.slice(0, end))?.[1]
          text = text.slice(end + 2)
          if (data !== undefined) yield dataOf(data)
        }
      }
    } catch (error) {
      if (!signal.aborted) throw unreachable(this.url, error)
    }
  }

  #fetcher(): Promise<Fetch> {
    this.#fetch ??= fetcherOf(this.#certificate)
    return this.#fetch
  }

  #headers(): Record<string, string> {
    return this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` }
  }

  async #send(method: string, path: string, data?: unknown, timeoutMs: number = TIMEOUT_MS): Promise<unknown> {
    const headers = this.#headers()
    const sent =
      data === undefined
        ? {}
        : { body: data instanceof Uint8Array ? (data as Uint8Array<ArrayBuffer>) : encodeData(data) }
    if (data !== undefined) headers['content-type'] = 'application/json'
    let status: number
    let text: string
    try {
      const response = await (await this.#fetcher())(this.url + path, {
        method,
        headers,
        ...sent,
        signal: AbortSignal.timeout(timeoutMs),
      })
      status = response.status
      text = await response.text()
    } catch (error) {
      throw unreachable(this.url, error)
    }
    const answer = dataOf(text)
    if (status >= 200 && status < 300 && answer !== undefined) return answer
    throw refusal(this.url, status, answer)
  }
}

type Fetch = typeof globalThis.fetch

async function fetcherOf(certificate: string | undefined): Promise<Fetch> {
  if (certificate === undefined) return globalThis.fetch
  const { Agent, fetch } = await import('undici')
  const connect = { ca: certificate, allowPartialTrustChain: true, checkServerIdentity: () => undefined }
  const dispatcher = new Agent({ connect })
  return ((url: string, init: object) => fetch(url, { ...init, dispatcher })) as unknown as Fetch
}

function dataOf(text: string): unknown {
  try {
    return decodeData(text)
  } catch {
    return undefined
  }
}

export function unreachable(url: string, error: unknown): SyncError {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  const why = cause instanceof Error ? cause.message : String(cause)
  return new SyncError(
    'hub.not-running',
    `no hub answers at ${url}: ${why || 'no connection'}. Start one with \`latchwork start\`, or name another with --url or --data`,
    { cause: error },
  )
}

/** The hub's own error, with its code; or what else answered there. */
function refusal(url: string, status: number, data: unknown): SyncError {
  const problem = (typeof data === 'object' && data !== null ? data : {}) as { code?: unknown; detail?: unknown }
  const isKnown = typeof problem.code === 'string' && Object.hasOwn(ERROR_CODES, problem.code)
  if (isKnown) return new SyncError(problem.code as ErrorCode, String(problem.detail))
  return new SyncError('hub.not-running', `${url} answered ${status}, and not as a hub does. Is another program there?`)
}

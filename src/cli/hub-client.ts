import { ERROR_CODES, type ErrorCode, SyncError } from '../errors/index.ts'
import { decodeData, encodeData } from '../model/value.ts'

/** A local hub answers in milliseconds; this is for one that hangs. */
const TIMEOUT_MS = 10_000

/** Speaks to a running hub over its admin API. */
export class HubClient {
  readonly url: string
  readonly #token: string | undefined

  constructor(url: string, token: string | undefined) {
    this.url = url.replace(/\/+$/, '')
    this.#token = token
  }

  get<T>(path: string, query: Readonly<Record<string, string | number | undefined>> = {}): Promise<T> {
    const given = Object.entries(query).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, String(value)] as [string, string]],
    )
    const text = new URLSearchParams(given).toString()
    return this.#send('GET', text === '' ? path : `${path}?${text}`) as Promise<T>
  }

  post(path: string, body?: unknown): Promise<unknown> {
    return this.#send('POST', path, body)
  }

  async #send(method: string, path: string, data?: unknown): Promise<unknown> {
    const headers: Record<string, string> = this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` }
    const sent = data === undefined ? {} : { body: encodeData(data) }
    if (data !== undefined) headers['content-type'] = 'application/json'
    let status: number
    let text: string
    try {
      const response = await fetch(this.url + path, {
        method,
        headers,
        ...sent,
        signal: AbortSignal.timeout(TIMEOUT_MS),
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

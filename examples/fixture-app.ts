import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

type Row = Record<string, unknown>

/** A REST application for the examples' tests: one collection, revisions, If-Match, idempotency keys. */
export class FixtureApp implements AsyncDisposable {
  readonly rows = new Map<string, Row>()
  readonly writes: { readonly method: string; readonly id: string; readonly body: Row }[] = []
  /** Answered instead, so many times. */
  refusals = 0
  url = ''
  readonly #answers = new Map<string, Row>()
  readonly #prefix: string
  readonly #server = createServer((request, response) => void this.#answer(request, response))

  constructor(prefix: string) {
    this.#prefix = prefix
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
    return this
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = ''
    for await (const chunk of request) text += String(chunk)
    const send = (status: number, body: unknown): void =>
      void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    const id = decodeURIComponent(request.url?.split('?')[0]?.split('/')[2] ?? '')
    if (request.method === 'GET') {
      const row = this.rows.get(id)
      return row === undefined ? send(404, {}) : send(200, row)
    }
    if (this.refusals > 0) {
      this.refusals--
      return send(503, { error: 'not now' })
    }
    const key = String(request.headers['idempotency-key'] ?? '')
    const known = this.#answers.get(key)
    if (known !== undefined && key !== '') return send(200, known)
    const before = this.rows.get(id)
    const asked = request.headers['if-match']
    if (before !== undefined && asked !== undefined && asked.replaceAll('"', '') !== String(before.rev))
      return send(412, { error: 'changed meanwhile' })
    const body = JSON.parse(text || '{}') as Row
    const own = id === '' ? `${this.#prefix}${this.rows.size + 1}` : id
    const row = { ...before, ...body, id: own, rev: Number(before?.rev ?? 0) + 1 }
    this.rows.set(own, row)
    this.writes.push({ method: request.method ?? '', id: own, body })
    if (key !== '') this.#answers.set(key, row)
    send(id === '' ? 201 : 200, row)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

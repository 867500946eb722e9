import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** The least of a warehouse with a web API: clients with a revision, conditional writes, an idempotency key, and a webhook for every change. */

export interface ClientRecord {
  readonly clientId: string
  readonly rev: number
  readonly displayName: string
  readonly mail: string
  readonly limit: string
}

export class Warehouse implements AsyncDisposable {
  readonly clients = new Map<string, ClientRecord>()
  readonly #replies = new Map<string, ClientRecord>()
  readonly #server: Server
  #rev = 0
  hookUrl = ''

  private constructor() {
    this.#server = createServer((request, response) => void this.#answer(request, response))
  }

  static async open(): Promise<Warehouse> {
    const warehouse = new Warehouse()
    await new Promise<void>((resolve) => warehouse.#server.listen(0, '127.0.0.1', resolve))
    return warehouse
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** As a user of the warehouse would. */
  save(values: Partial<ClientRecord>, id = `C${this.clients.size + 1}`): ClientRecord {
    const before = this.clients.get(id) ?? { clientId: id, rev: 0, displayName: '', mail: '', limit: '0.00' }
    const record = { ...before, ...values, clientId: id, rev: ++this.#rev }
    this.clients.set(id, record)
    if (this.hookUrl !== '') void this.#tell(record)
    return record
  }

  async #tell(record: ClientRecord): Promise<void> {
    for (let tries = 0; tries < 50; tries++) {
      const reply = await fetch(this.hookUrl, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(record),
      }).catch(() => undefined)
      if (reply?.ok) return
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = ''
    for await (const chunk of request) text += String(chunk)
    const send = (status: number, body: unknown): void =>
      void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    const id = request.url?.split('/')[2]
    const known = id === undefined ? undefined : this.clients.get(decodeURIComponent(id))
    if (id !== undefined && known === undefined) return send(404, { error: 'no such client' })
    if (request.method === 'GET') return send(200, known ?? [...this.clients.values()])
    const key = String(request.headers['idempotency-key'] ?? '')
    const earlier = this.#replies.get(key)
    if (earlier !== undefined) return send(200, earlier)
    const wanted = request.headers['if-match']
    if (known !== undefined && wanted !== undefined && wanted !== `"${known.rev}"`) return send(412, known)
    const saved = this.save(JSON.parse(text), known?.clientId)
    this.#replies.set(key, saved)
    send(known === undefined ? 201 : 200, saved)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

/**
 * A small application with one collection, over real sockets: for the suites and tests of this connector. Class A form: revisions, If-Match, idempotency keys, a
 * searchable external id. Class C form: none of these.
 */
export interface FakeAppOptions {
  readonly form: 'A' | 'C'
  /** Where the version is told: in the field `rev` of a reply with the record, or in an ETag alone with an empty reply. */
  readonly version?: 'field' | 'etag'
}

export interface FakeRecord {
  readonly id: string
  readonly rev: number
  readonly [field: string]: unknown
}

/** What the application does wrong, from now on. `rest` (fail-after, cut-after): the effect happens, the reply does not come. */
export type FakeFault =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'status'
      readonly status: number
      readonly headers?: Readonly<Record<string, string>>
      readonly body?: string
    }
  | { readonly kind: 'cut-before' }
  | { readonly kind: 'cut-after' }
  | { readonly kind: 'error-after' }
  | { readonly kind: 'silent' }
  | { readonly kind: 'silent-after' }
  | { readonly kind: 'garbage' }
  | { readonly kind: 'half-reply' }
  | { readonly kind: 'no-id' }
  | { readonly kind: 'huge' }

export interface SeenRequest {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

type Stored = Record<string, unknown> & { id: string; rev: number }

export class FakeApp {
  readonly records = new Map<string, Stored>()
  readonly requests: SeenRequest[] = []
  /** Writes that had an effect. */
  effects = 0
  fault: FakeFault = { kind: 'none' }
  readonly #form: 'A' | 'C'
  readonly #version: 'field' | 'etag'
  readonly #replies = new Map<
    string,
    { readonly status: number; readonly headers: Record<string, string>; readonly body: string }
  >()
  readonly #log: Stored[] = []
  readonly #sockets = new Set<Socket>()
  #server: Server | null = null
  #port = 0
  #lastId = 0
  #lastRev = 0

  private constructor(options: FakeAppOptions) {
    this.#form = options.form
    this.#version = options.version ?? 'field'
  }

  static async start(options: FakeAppOptions): Promise<FakeApp> {
    const app = new FakeApp(options)
    await app.up()
    return app
  }

  get baseUrl(): string {
    return `http://127.0.0.1:${this.#port}/api`
  }

  async up(): Promise<void> {
    if (this.#server !== null) return
    const server = createServer((request, response) => this.#take(request, response))
    server.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
    await new Promise<void>((resolve, reject) =>
      server.once('error', reject).listen(this.#port, '127.0.0.1', () => resolve()),
    )
    this.#port = (server.address() as AddressInfo).port
    this.#server = server
  }

  async down(): Promise<void> {
    const server = this.#server
    this.#server = null
    if (server === null) return
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  }

  create(fields: Readonly<Record<string, unknown>>): string {
    const id = String(++this.#lastId)
    this.#put(id, { ...fields })
    return id
  }

  edit(id: string, fields: Readonly<Record<string, unknown>>): void {
    this.#put(id, { ...this.records.get(id), ...fields })
  }

  delete(id: string): void {
    this.records.delete(id)
    this.#log.push({ id, rev: ++this.#lastRev, isDeleted: true })
  }

  #put(id: string, fields: Record<string, unknown>): Stored {
    const stored = { ...fields, id, rev: ++this.#lastRev }
    this.records.set(id, stored)
    this.#log.push(stored)
    return stored
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = []
    request.on('error', () => {})
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString('utf8')
      this.requests.push({ method: request.method ?? '', path: request.url ?? '', headers: request.headers, body })
      this.#answer(request, response, body)
    })
  }

  #answer(request: IncomingMessage, response: ServerResponse, body: string): void {
    const { fault } = this
    switch (fault.kind) {
      case 'status':
        return void response.writeHead(fault.status, fault.headers).end(fault.body ?? `told to answer ${fault.status}`)
      case 'cut-before':
        return void request.socket.destroy()
      case 'silent':
        return
      case 'garbage':
        return void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>Please log in</html>')
      case 'huge':
        return void response.writeHead(200).end(`{"pad":"${'x'.repeat(4_000_000)}"}`)
      default:
    }
    const reply = this.#handle(request, body)
    switch (fault.kind) {
      case 'cut-after':
        return void request.socket.destroy()
      case 'silent-after':
        return
      case 'error-after':
        return void response.writeHead(500).end('crashed after writing')
      case 'no-id':
        return void response.writeHead(201, { 'content-type': 'application/json' }).end('{}')
      case 'half-reply':
        response.writeHead(reply.status, { 'content-length': '1000' }).write(reply.body.slice(0, 10))
        return void setImmediate(() => request.socket.destroy())
      default:
        response.writeHead(reply.status, reply.headers).end(reply.body)
    }
  }

  #handle(request: IncomingMessage, body: string): { status: number; headers: Record<string, string>; body: string } {
    const url = new URL(request.url ?? '/', 'http://fake')
    const id = decodeURIComponent(/^\/api\/items\/(.+)$/.exec(url.pathname)?.[1] ?? '')
    if (id === '' && url.pathname !== '/api/items') return json(404, { error: 'no such path' })
    if (request.method === 'GET') return id === '' ? this.#list(url) : this.#read(id)
    const key = this.#form === 'A' ? request.headers['idempotency-key'] : undefined
    const earlier = typeof key === 'string' ? this.#replies.get(key) : undefined
    if (earlier !== undefined) return earlier
    const reply = this.#write(request, id, body)
    if (typeof key === 'string' && reply.status < 300) this.#replies.set(key, reply)
    return reply
  }

  #write(
    request: IncomingMessage,
    id: string,
    body: string,
  ): { status: number; headers: Record<string, string>; body: string } {
    if (request.method === 'POST') {
      const made = this.create(JSON.parse(body))
      this.effects++
      return this.#written(201, this.records.get(made) as Stored)
    }
    const stored = this.records.get(id)
    if (stored === undefined) return json(404, { error: 'no such item' })
    const condition = request.headers['if-match']
    if (this.#form === 'A' && condition !== undefined && condition !== `"${stored.rev}"`)
      return json(412, { error: 'changed meanwhile' })
    this.effects++
    if (request.method === 'DELETE') {
      this.delete(id)
      return { status: 204, headers: {}, body: '' }
    }
    const fields = JSON.parse(body) as Record<string, unknown>
    return this.#written(200, this.#put(id, request.method === 'PUT' ? fields : { ...stored, ...fields }))
  }

  #written(status: number, stored: Stored): { status: number; headers: Record<string, string>; body: string } {
    if (this.#form === 'C') return json(status, status === 201 ? { id: stored.id } : {})
    if (this.#version === 'field') return json(status, stored)
    const headers = { etag: `W/"${stored.rev}"`, ...(status === 201 ? { location: `/api/items/${stored.id}` } : {}) }
    return { status: status === 201 ? 201 : 204, headers, body: '' }
  }

  #read(id: string): { status: number; headers: Record<string, string>; body: string } {
    const stored = this.records.get(id)
    if (stored === undefined) return json(404, { error: 'no such item' })
    const reply = json(200, this.#shown(stored))
    return this.#form === 'A' ? { ...reply, headers: { ...reply.headers, etag: `"${stored.rev}"` } } : reply
  }

  #list(url: URL): { status: number; headers: Record<string, string>; body: string } {
    const limit = Number(url.searchParams.get('limit') ?? 1000)
    const reference = url.searchParams.get('ref')
    if (reference !== null)
      return json(200, { items: [...this.records.values()].filter(({ ref }) => ref === reference) })
    const after = Number(url.searchParams.get('since') ?? 0)
    const newest = new Map<string, Stored>()
    for (const entry of this.#log) if (entry.rev > after) newest.set(entry.id, entry)
    const items = [...newest.values()].sort((a, b) => a.rev - b.rev).slice(0, limit)
    return json(200, { items })
  }

  /** Class C tells no version anywhere. */
  #shown(stored: Stored): Record<string, unknown> {
    if (this.#form === 'A') return stored
    const { rev: _rev, ...rest } = stored
    return rest
  }
}

const json = (status: number, data: unknown): { status: number; headers: Record<string, string>; body: string } => ({
  status,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(data),
})

import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import type { HubDefinition } from '../config/define-hub.ts'
import { bearer, hmac, http, unverified, webhook } from '../connectors/http/index.ts'
import { defineHub, entity, env, key, postgresStore, prefer, sync } from '../index.ts'
import type { Log } from '../ports/clock.ts'

/** A hub between a shop, which only tells, and a store that takes writes over HTTP: the least that the server's tests need. */

export const SHOP_SECRET = 'shop-secret-of-the-tests'

/** With its state in SQLite, or in the PostgreSQL database of the URL. */
export function personHub(storeUrl?: string, schema = 'latchwork'): HubDefinition {
  const shop = http({ baseUrl: env('SHOP_URL'), auth: bearer(env('SHOP_TOKEN')) })
  const store = http({ baseUrl: env('STORE_URL') })
  const person = entity('person', {
    schema: z.object({ name: z.string().min(1), city: z.string() }),
    match: key('name'),
  })
  const common = {
    id: 'id',
    version: 'rev',
    conditional: true,
    idempotency: 'all',
    fields: { name: 'name', city: 'city' },
  } as const
  const persons = sync(
    person,
    {
      shop: shop.resource('/persons', {
        ...common,
        notify: webhook('/hooks/shop', { verify: unverified(), deliveryId: 'event' }),
      }),
      store: store.resource('/people', {
        ...common,
        notify: webhook('/hooks/store', { verify: hmac({ header: 'x-signature', secret: env('SHOP_SECRET') }) }),
      }),
    },
    { conflicts: { default: prefer('shop', 'store') } },
  )
  const kept = storeUrl === undefined ? {} : { store: postgresStore({ url: storeUrl, schema }) }
  return defineHub({ apps: { shop, store }, sync: [persons], ...kept })
}

/** Answers creates, updates and deletes as the store would; `refuse` makes it say no. */
export class FakeStore {
  refuse: { readonly status: number; readonly body: unknown } | null = null
  readonly records = new Map<string, Record<string, unknown>>()
  readonly #server: Server
  #rev = 0

  constructor() {
    this.#server = createServer((request, response) => void this.#answer(request, response))
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = ''
    for await (const chunk of request) text += String(chunk)
    const send = (status: number, body: unknown): void =>
      void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    if (this.refuse !== null) return send(this.refuse.status, this.refuse.body)
    const given = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>)
    const id = request.url?.split('/')[2] ?? `S${this.records.size + 1}`
    if (request.method === 'GET') {
      const found = this.records.get(id)
      return found === undefined ? send(404, {}) : send(200, found)
    }
    if (request.method === 'DELETE') {
      this.records.delete(id)
      return send(200, {})
    }
    const record = { ...this.records.get(id), ...given, id, rev: ++this.#rev }
    this.records.set(id, record)
    send(request.method === 'POST' ? 201 : 200, record)
  }
}

export const environment = (storeUrl: string): Record<string, string> => ({
  SHOP_URL: 'http://127.0.0.1:9',
  SHOP_TOKEN: 'shop-token-of-the-tests',
  SHOP_SECRET,
  STORE_URL: storeUrl,
})

export function temporaryFolder(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'latchwork-test-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}

/** Keeps every line, for a test to look at. */
export function collectingLog(): Log & { readonly lines: string[] } {
  const lines: string[] = []
  return { lines, log: (level, message, data) => void lines.push(`${level} ${message} ${JSON.stringify(data ?? {})}`) }
}

/** Asks until the answer is as wanted; the test's own time limit ends a wait that never does. */
export async function eventually<T>(ask: () => Promise<T>, isWanted: (answer: T) => boolean): Promise<T> {
  for (;;) {
    const answer = await ask()
    if (isWanted(answer)) return answer
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

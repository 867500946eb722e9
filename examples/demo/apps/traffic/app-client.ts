/** One application as its users reach it: over its REST API, whether it is up or not. */

import { setTimeout as delay } from 'node:timers/promises'
import { Pool } from 'undici'
import type { Collection, Fields, Id, Kind, Side } from './sides.ts'
import { shortLivedPrefix } from './sides.ts'

const connectionsMax = 32
/** A person who gets no answer waits a moment; it also keeps an application that is down from being hammered. */
const unreachablePauseMs = 100

export type Answer = { readonly status: number; readonly etag: string | null; readonly body: Fields }
export type Write = {
  readonly actor: string
  readonly tag: string
  readonly body?: Fields
  readonly ifMatch?: string | null
}

export class AppClient {
  readonly side: Side
  readonly ids: Record<Kind, IdPool> = { customer: new IdPool(), product: new IdPool(), order: new IdPool() }
  readonly #pool: Pool

  constructor(side: Side, url: string) {
    this.side = side
    this.#pool = new Pool(url, { connections: connectionsMax, headersTimeout: 10_000, bodyTimeout: 10_000 })
  }

  get(path: string, actor: string): Promise<Answer> {
    return this.#request('GET', path, { 'x-actor': actor })
  }

  write(method: 'POST' | 'PATCH' | 'DELETE', path: string, { actor, tag, body, ifMatch }: Write): Promise<Answer> {
    const headers: Record<string, string> = { 'x-actor': actor, 'x-client-tag': tag }
    if (body) headers['content-type'] = 'application/json'
    if (ifMatch) headers['if-match'] = ifMatch
    return this.#request(method, path, headers, body && JSON.stringify(body))
  }

  /** Learns the ids that have come and gone since the last time. */
  async refresh(kind: Kind): Promise<void> {
    const pool = this.ids[kind]
    const { path } = this.side.collections[kind]
    while (true) {
      const { status, body } = await this.get(`/${path}?updated_since=${pool.cursor}&limit=1000`, 'traffic')
      if (status !== 200) return
      const items = body.items as Fields[]
      for (const item of items) this.#learn(kind, item)
      pool.cursor = body.next as number
      if (items.length < 1000) return
    }
  }

  async close(): Promise<void> {
    await this.#pool.destroy()
  }

  #learn(kind: Kind, item: Fields): void {
    const collection = this.side.collections[kind]
    const id = item[collection.idField] as Id
    if (item.deleted === true) this.ids[kind].remove(id)
    else if (!isShortLived(collection, item)) this.ids[kind].add(id)
  }

  async #request(
    method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
    path: string,
    headers: Record<string, string>,
    body?: string,
  ): Promise<Answer> {
    try {
      const reply = await this.#pool.request({ method, path, headers, body: body ?? null })
      const text = await reply.body.text()
      const etag = reply.headers.etag
      return {
        status: reply.statusCode,
        etag: typeof etag === 'string' ? etag : null,
        body: text === '' ? {} : (JSON.parse(text) as Fields),
      }
    } catch {
      await delay(unreachablePauseMs)
      return { status: 0, etag: null, body: {} }
    }
  }
}

function isShortLived({ sharedKey }: Collection, item: Fields): boolean {
  return sharedKey !== null && new RegExp(`\\b${shortLivedPrefix}-`, 'i').test(String(item[sharedKey]))
}

/** Ids to choose from at random: adding, removing and choosing each take constant time. */
export class IdPool {
  /** Where the next refresh begins. */
  cursor = 0
  readonly list: Id[] = []
  readonly #indexById = new Map<Id, number>()

  add(id: Id): void {
    if (this.#indexById.has(id)) return
    this.#indexById.set(id, this.list.length)
    this.list.push(id)
  }

  remove(id: Id): void {
    const index = this.#indexById.get(id)
    if (index === undefined) return
    this.#indexById.delete(id)
    const last = this.list.pop()!
    if (last === id) return
    this.list[index] = last
    this.#indexById.set(last, index)
  }
}

/** What the simulated users do. Each action reads, thinks and writes as a person would, and says how it ended. */

import { setTimeout as delay } from 'node:timers/promises'
import type { AppClient } from './app-client.ts'
import type { Collection, Fields, Id, Kind } from './sides.ts'
import { shortLivedPrefix } from './sides.ts'
import type { Random, UniqueValues } from './values.ts'

/** How often a person begins again whose write met a newer revision. */
const staleRetriesMax = 4
const giveUpProbability = 0.2
const linesMax = 4
/** Enough to keep some short-lived records about; older ones are deleted first. */
const shortLivedKept = 5

/** `idle`: there was nothing to do it to. `refused`: the application said no for a reason other than a newer revision. */
export type Outcome = 'written' | 'idle' | 'gone' | 'gave-up' | 'refused' | 'unreachable'
type PatchOf = (current: Fields) => Fields | null
type Doomed = { readonly app: AppClient; readonly kind: Kind; readonly id: Id }

export class Users {
  readonly values: UniqueValues
  readonly #random: Random
  readonly #count: number
  readonly #thinkMsMax: number
  readonly #doomed: Doomed[] = []
  /** Writes refused because the record had changed since it was read. */
  staleCount = 0

  constructor(options: { random: Random; values: UniqueValues; count: number; thinkMsMax: number }) {
    this.#random = options.random
    this.values = options.values
    this.#count = options.count
    this.#thinkMsMax = options.thinkMsMax
  }

  /** One action, chosen by how often people do it. */
  act(apps: readonly [AppClient, AppClient]): Promise<Outcome> {
    const app = this.#random.chance(0.55) ? apps[0] : apps[1]
    const roll = this.#random.below(100)
    if (roll < 34) return this.editAny(app, 'customer')
    if (roll < 56) return this.editAny(app, 'product')
    if (roll < 64) return this.editAny(app, 'order')
    if (roll < 76) return this.#edit(app, 'order', (current) => this.#nextStatus(app, current))
    if (roll < 84) return this.#edit(app, 'order', (current) => this.#otherLines(app, current))
    if (roll < 88) return this.#create(app, 'customer')
    if (roll < 91) return this.#create(app, 'product')
    if (roll < 96) return this.#create(app, 'order')
    return this.#createOrDeleteShortLived(app)
  }

  someone(): string {
    return `user:${1 + this.#random.below(this.#count)}`
  }

  think(): Promise<void> {
    return delay(this.#random.next() * this.#thinkMsMax)
  }

  editAny(app: AppClient, kind: Kind): Promise<Outcome> {
    const { edits } = app.side.collections[kind]
    const edit = edits[this.#random.pick(Object.keys(edits))!]!
    return this.#edit(app, kind, () => edit(this.values))
  }

  async #edit(app: AppClient, kind: Kind, patchOf: PatchOf): Promise<Outcome> {
    const id = this.#random.pick(app.ids[kind].list)
    if (id === undefined) return 'idle'
    const actor = this.someone()
    const path = `/${app.side.collections[kind].path}/${id}`
    for (let tries = 0; tries <= staleRetriesMax; tries++) {
      const read = await app.get(path, actor)
      if (read.status !== 200) return this.#missed(app, kind, id, read.status)
      const body = patchOf(read.body)
      if (body === null) return 'idle'
      await this.think()
      const { status } = await app.write('PATCH', path, {
        actor,
        tag: this.values.code('edit'),
        body,
        ifMatch: read.etag,
      })
      if (status === 200) return 'written'
      if (status !== 412) return this.#missed(app, kind, id, status)
      this.staleCount++
      if (this.#random.chance(giveUpProbability)) break
    }
    return 'gave-up'
  }

  async #create(app: AppClient, kind: Kind, prefix = 'U'): Promise<Outcome> {
    const body = this.#newRecord(app, kind, prefix)
    if (body === null) return 'idle'
    const { path, idField } = app.side.collections[kind]
    const { status, body: created } = await app.write('POST', `/${path}`, {
      actor: this.someone(),
      tag: this.values.code('create'),
      body,
    })
    if (status !== 201) return status === 0 ? 'unreachable' : 'refused'
    const id = created[idField] as Id
    if (prefix === shortLivedPrefix) this.#doomed.push({ app, kind, id })
    else app.ids[kind].add(id)
    return 'written'
  }

  #newRecord(app: AppClient, kind: Kind, prefix: string): Fields | null {
    const { ids, side } = app
    const customer = this.#random.pick(ids.customer.list)
    const products = new Set<Id>()
    for (let count = 1 + this.#random.below(linesMax); count > 0; count--) {
      const product = this.#random.pick(ids.product.list)
      if (product !== undefined) products.add(product)
    }
    if (kind === 'order' && (customer === undefined || products.size === 0)) return null
    return side.collections[kind].create(this.values, { customer: customer ?? '', products: [...products], prefix })
  }

  async #createOrDeleteShortLived(app: AppClient): Promise<Outcome> {
    if (this.#doomed.length < shortLivedKept) {
      return this.#create(app, this.#random.chance(0.5) ? 'customer' : 'product', shortLivedPrefix)
    }
    const doomed = this.#doomed.shift()!
    const path = `/${doomed.app.side.collections[doomed.kind].path}/${doomed.id}`
    const actor = this.someone()
    const { status, etag } = await doomed.app.get(path, actor)
    if (status === 200) {
      await this.think()
      const deleted = await doomed.app.write('DELETE', path, { actor, tag: this.values.code('delete'), ifMatch: etag })
      if (deleted.status === 204) return 'written'
      if (deleted.status === 0 || deleted.status === 412) this.#doomed.push(doomed)
      return deleted.status === 0 ? 'unreachable' : deleted.status === 412 ? 'gave-up' : 'refused'
    }
    if (status !== 0) return 'gone'
    this.#doomed.push(doomed)
    return 'unreachable'
  }

  #missed(app: AppClient, kind: Kind, id: Id, status: number): Outcome {
    if (status === 0) return 'unreachable'
    if (status !== 404 && status !== 410) return 'refused'
    app.ids[kind].remove(id)
    return 'gone'
  }

  #nextStatus({ side }: AppClient, current: Fields): Fields | null {
    const { field, next } = side.status
    const choices = next[String(current[field])]
    return choices ? { [field]: this.#random.pick(choices) } : null
  }

  /** Another quantity or price for one line, or one line less. */
  #otherLines({ side }: AppClient, current: Fields): Fields | null {
    const { quantity, price, money } = side.line
    const lines = (current.lines as Fields[]).map((line) => ({ ...line }))
    const index = this.#random.below(lines.length)
    const line = lines[index]
    if (!line) return null
    if (lines.length > 1 && this.#random.chance(0.15)) lines.splice(index, 1)
    else if (this.#random.chance(0.5)) line[quantity] = this.values.number()
    else line[price] = money(this.values.cents())
    return { lines }
  }
}

/** What both sides of a pair let people edit. */
export function sharedEdits(a: Collection, b: Collection): string[] {
  return Object.keys(a.edits).filter((name) => name in b.edits)
}

/** Two people who edit what is the same record to them, in both applications at the same moment. */

import type { Answer, AppClient } from './app-client.ts'
import type { Fields, Id, Kind } from './sides.ts'
import type { Users } from './users.ts'
import { sharedEdits } from './users.ts'
import type { Random } from './values.ts'

/** Records looked at in search of one that both applications have. */
const searchesMax = 10

export type SideOfPair = { readonly id: Id; readonly actor: string; readonly patch: Fields; readonly status: number }
export type PairEdit = {
  readonly kind: Kind
  /** Whether both edited the same thing; else each edited another. */
  readonly sameField: boolean
  readonly desk: SideOfPair
  readonly warehouse: SideOfPair
}

export class Pairs {
  readonly #desk: AppClient
  readonly #warehouse: AppClient
  readonly #users: Users
  readonly #random: Random
  readonly #counterparts = new Map<string, Id>()

  constructor(desk: AppClient, warehouse: AppClient, users: Users, random: Random) {
    this.#desk = desk
    this.#warehouse = warehouse
    this.#users = users
    this.#random = random
  }

  /** Null where no record was found that both applications have. */
  async edit(): Promise<PairEdit | null> {
    for (let searches = 0; searches < searchesMax; searches++) {
      const kind = this.#random.pick<Kind>(['customer', 'customer', 'product', 'order'])!
      const id = this.#random.pick(this.#desk.ids[kind].list)
      if (id === undefined) continue
      const onDesk = await this.#desk.get(`/${this.#desk.side.collections[kind].path}/${id}`, this.#users.someone())
      if (onDesk.status !== 200) continue
      const counterpart = await this.#counterpart(kind, id, onDesk.body)
      if (counterpart === null) continue
      const path = `/${this.#warehouse.side.collections[kind].path}/${counterpart}`
      const inWarehouse = await this.#warehouse.get(path, this.#users.someone())
      if (inWarehouse.status === 200) return this.#editBoth(kind, id, onDesk, counterpart, inWarehouse)
      this.#counterparts.delete(`${kind}/${id}`)
    }
    return null
  }

  async #editBoth(kind: Kind, deskId: Id, onDesk: Answer, warehouseId: Id, inWarehouse: Answer): Promise<PairEdit> {
    const shared = sharedEdits(this.#desk.side.collections[kind], this.#warehouse.side.collections[kind])
    const first = this.#random.pick(shared)!
    const others = shared.filter((name) => name !== first)
    const second = this.#random.chance(0.6) ? first : (this.#random.pick(others) ?? first)
    await this.#users.think()
    const [desk, warehouse] = await Promise.all([
      this.#editOne(this.#desk, kind, deskId, onDesk.etag, first),
      this.#editOne(this.#warehouse, kind, warehouseId, inWarehouse.etag, second),
    ])
    return { kind, sameField: first === second, desk, warehouse }
  }

  async #editOne(app: AppClient, kind: Kind, id: Id, ifMatch: string | null, edit: string): Promise<SideOfPair> {
    const { path, edits } = app.side.collections[kind]
    const actor = this.#users.someone()
    const patch = edits[edit]!(this.#users.values)
    const tag = this.#users.values.code('pair')
    const { status } = await app.write('PATCH', `/${path}/${id}`, { actor, tag, body: patch, ifMatch })
    return { id, actor, patch, status }
  }

  /** By what a person would compare: the email or SKU; for orders, the id that either application has kept of the other. */
  async #counterpart(kind: Kind, id: Id, row: Fields): Promise<Id | null> {
    const known = this.#counterparts.get(`${kind}/${id}`)
    if (known !== undefined) return known
    const { sharedKey } = this.#desk.side.collections[kind]
    const theirKey = this.#warehouse.side.collections[kind].sharedKey
    const extRef = row[this.#desk.side.extRef]
    const theirRef = this.#warehouse.side.extRef
    const found =
      sharedKey !== null && theirKey !== null
        ? await this.#find(kind, theirKey, row[sharedKey])
        : ((await this.#find(kind, theirRef, extRef)) ??
          (await this.#find(kind, theirRef, id)) ??
          (await this.#byId(kind, extRef)))
    if (found !== null) this.#counterparts.set(`${kind}/${id}`, found)
    return found
  }

  async #find(kind: Kind, field: string, value: unknown): Promise<Id | null> {
    if (value === null || value === undefined) return null
    const { path, idField } = this.#warehouse.side.collections[kind]
    const { status, body } = await this.#warehouse.get(
      `/${path}?${field}=${encodeURIComponent(String(value))}`,
      this.#users.someone(),
    )
    const [item] = status === 200 ? (body.items as Fields[]) : []
    return item ? (item[idField] as Id) : null
  }

  async #byId(kind: Kind, id: unknown): Promise<Id | null> {
    if (typeof id !== 'string') return null
    const { path } = this.#warehouse.side.collections[kind]
    const { status } = await this.#warehouse.get(`/${path}/${encodeURIComponent(id)}`, this.#users.someone())
    return status === 200 ? id : null
  }
}

/** For the tests: histories written by hand, a sentence a line, from which logs and databases follow. */

import type { AppName, ConflictRow, Evidence, LogItem, Row, XrefRow } from './evidence.ts'
import { SHAPES, type Shape } from './shapes.ts'

/** Time between two writes, so that every delivery takes this long. */
export const STEP_MS = 10

type Id = string | number

export class Story {
  readonly #logs: Record<AppName, LogItem[]> = { desk: [], warehouse: [] }
  readonly #rows: Record<AppName, Map<string, Map<Id, Row>>> = { desk: new Map(), warehouse: new Map() }
  readonly #revs: Record<AppName, number> = { desk: 0, warehouse: 0 }
  readonly #xref: XrefRow[] = []
  readonly #conflicts: ConflictRow[] = []
  #nowMs = 1_000

  /** The hub takes the two for one record. */
  linked(entity: string, key: string, deskId: Id, warehouseId: Id): this {
    const shape = shapeOf(entity)
    this.#xref.push({ app: 'desk', object: shape.desk.object, nativeId: String(deskId), entity, key })
    this.#xref.push({ app: 'warehouse', object: shape.warehouse.object, nativeId: String(warehouseId), entity, key })
    return this
  }

  creates(app: AppName, actor: string, entity: string, id: Id, values: Row): this {
    const side = shapeOf(entity)[app]
    return this.#write(app, actor, 'create', side.object, id, { [side.id]: id, ...values })
  }

  updates(app: AppName, actor: string, entity: string, id: Id, values: Row): this {
    const side = shapeOf(entity)[app]
    return this.#write(app, actor, 'update', side.object, id, { ...this.#row(app, side.object, id), ...values })
  }

  deletes(app: AppName, actor: string, entity: string, id: Id): this {
    return this.#write(app, actor, 'delete', shapeOf(entity)[app].object, id, null)
  }

  lists(conflict: Partial<ConflictRow> & Pick<ConflictRow, 'key' | 'path' | 'loserValue'>): this {
    this.#conflicts.push({ entity: 'customer', loserApp: 'warehouse', reason: 'both-changed', ...conflict })
    return this
  }

  evidence(): Evidence {
    const app = (name: AppName): Evidence['desk'] => ({
      log: this.#logs[name],
      objects: Object.fromEntries([...this.#rows[name]].map(([object, rows]) => [object, [...rows.values()]])),
    })
    return { desk: app('desk'), warehouse: app('warehouse'), xref: this.#xref, conflicts: this.#conflicts }
  }

  #row(app: AppName, object: string, id: Id): Row | null {
    return this.#rows[app].get(object)?.get(id) ?? null
  }

  #write(app: AppName, actor: string, op: LogItem['op'], object: string, id: Id, after: Row | null): this {
    const before = this.#row(app, object, id)
    const isChanged = JSON.stringify(before) !== JSON.stringify(after)
    const baseRev = this.#logs[app].findLast((item) => item.object === object && item.id === id)?.rev ?? null
    const rev = isChanged ? ++this.#revs[app] : (baseRev ?? 0)
    this.#nowMs += STEP_MS
    const item: LogItem = {
      seq: this.#logs[app].length + 1,
      at_ms: this.#nowMs,
      actor,
      object,
      id,
      op,
      base_rev: baseRev,
      rev,
      changed: isChanged ? 1 : 0,
      before,
      after,
    }
    this.#logs[app].push(item)
    const rows = this.#rows[app].get(object) ?? new Map<Id, Row>()
    this.#rows[app].set(object, rows)
    if (after === null) rows.delete(id)
    else rows.set(id, after)
    return this
  }
}

function shapeOf(entity: string): Shape {
  const shape = SHAPES.find((one) => one.entity === entity)
  if (shape === undefined) throw new Error(`there is no ${entity}`)
  return shape
}

/** The lists of an object, as JSON text. Four ways, told by the parameters: by page, by change, by external reference, by unique field. */

import type { AppDescription, Id, ObjectDescription, Row, Scalar } from './description.ts'
import { parseField } from './fields.ts'
import type { AppStore } from './port.ts'
import { RequestProblem } from './problem.ts'
import { integerOf, limitOf, parseQuery } from './query.ts'

export async function listJson(
  app: AppDescription,
  store: AppStore,
  object: ObjectDescription,
  queryText: string,
): Promise<string> {
  const unique = object.fields.filter((field) => field.unique).map((field) => field.name)
  const filters = store.legacy ? unique : [app.names.extRef, ...unique]
  const ways = ['after_id', 'updated_since', ...filters]
  const query = parseQuery(queryText, ['limit', ...ways])
  const limit = limitOf(query)
  const given = ways.filter((name) => query.has(name))
  if (given.length > 1) throw new RequestProblem(400, 'bad-parameter', `Give one of ${ways.join(', ')}.`)
  const way = given[0] ?? 'after_id'
  if (way === 'after_id') return pageJson(store, object, parseAfterId(app, object, query.get(way)), limit)
  if (way === 'updated_since') return changesJson(store, object, integerOf(query, way)!, limit)
  return foundJson(app, store, object, way, query.get(way)!)
}

/** An id that this application cannot have given is simply not found. */
export function parseId(app: AppDescription, object: ObjectDescription, text: string): Id {
  if (app.idKind === 'text' && /^[A-Z0-9-]{1,40}$/.test(text)) return text
  if (app.idKind === 'integer' && /^\d{1,15}$/.test(text)) return Number(text)
  throw new RequestProblem(404, 'not-found', `That is not the id of a ${object.one}.`)
}

/** All live rows, for a comparison of whole applications. */
export async function exportJson(app: AppDescription, store: AppStore): Promise<string> {
  const objects: [string, Row[]][] = []
  for (const { name } of app.objects) objects.push([name, visibleRows(store, await store.table(name)!.list(null, -1))])
  return JSON.stringify({ app: app.name, rev: store.rev, objects: Object.fromEntries(objects) })
}

function parseAfterId(app: AppDescription, object: ObjectDescription, text: string | undefined): Id | null {
  return text === undefined ? null : parseId(app, object, text)
}

async function pageJson(
  store: AppStore,
  object: ObjectDescription,
  afterId: Id | null,
  limit: number,
): Promise<string> {
  const rows = await store.table(object.name)!.list(afterId, limit)
  const next = rows.length === limit ? rows.at(-1)![object.idField] : null
  return JSON.stringify({ items: visibleRows(store, rows), next })
}

async function changesJson(store: AppStore, object: ObjectDescription, since: number, limit: number): Promise<string> {
  const changes = await store.table(object.name)!.changes(since, limit)
  const items = changes.map((change) => {
    return change.deleted ? store.tombstone(object, change.row, change.rev) : store.visible(change.row)
  })
  return JSON.stringify({ items, next: changes.at(-1)?.rev ?? since })
}

async function foundJson(
  app: AppDescription,
  store: AppStore,
  object: ObjectDescription,
  name: string,
  text: string,
): Promise<string> {
  const field = object.fields.find((candidate) => candidate.name === name)
  const value: Scalar = field ? parseField(app, field, text, name) : text
  const found = await store.table(object.name)!.find(name, value)
  return JSON.stringify({ items: found ? [store.visible(found.row)] : [], next: null })
}

function visibleRows(store: AppStore, rows: readonly Row[]): Row[] {
  return rows.map((row) => store.visible(row))
}

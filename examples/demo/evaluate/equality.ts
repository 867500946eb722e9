/** Whether both applications hold the same at the end, and each thing once: from their databases alone. */

import { type AppName, type Evidence, isHub, otherApp, type Row } from './evidence.ts'
import type { History } from './history.ts'
import { finalRecords } from './lost.ts'
import { type PlainRecord, plainRecord, SHAPES, type Shape } from './shapes.ts'

/** What is not equal, one line each; empty when all is. `detached`: kept in one application by the delete policy, and listed. */
export function differences(
  evidence: Evidence,
  history: History,
): { readonly texts: readonly string[]; readonly detached: number } {
  const desk = finalRecords(evidence, history, 'desk')
  const warehouse = finalRecords(evidence, history, 'warehouse')
  const undecided = new Set(evidence.conflicts.filter((one) => one.reason === 'unseen').map((one) => one.key))
  const texts: string[] = []
  let detached = 0
  for (const key of new Set([...desk.keys(), ...warehouse.keys()])) {
    const left = desk.get(key)
    const right = warehouse.get(key)
    if (left !== undefined && right !== undefined) texts.push(...fieldDifferences(key, left, right))
    else if (undecided.has(key)) detached++
    else texts.push(`not equal: ${key} is in the ${left === undefined ? 'warehouse' : 'order desk'} only`)
  }
  return { texts: [...texts, ...crossed(evidence, history)], detached }
}

function fieldDifferences(key: string, desk: PlainRecord, warehouse: PlainRecord): string[] {
  return [...new Set([...desk.keys(), ...warehouse.keys()])]
    .filter((path) => desk.get(path) !== warehouse.get(path))
    .map(
      (path) =>
        `not equal: ${path} of ${key} is ${JSON.stringify(desk.get(path) ?? null)} in the order desk and ${JSON.stringify(warehouse.get(path) ?? null)} in the warehouse`,
    )
}

/** Records that share an email or SKU are the same thing to a person, and must be one pair to the hub too. */
function crossed(evidence: Evidence, history: History): string[] {
  const texts: string[] = []
  for (const shape of SHAPES) {
    const { naturalKey } = shape
    if (naturalKey === null) continue
    const byName = new Map<string, string>()
    for (const { key, plain } of plainRows(evidence, history, shape, 'desk')) byName.set(nameOf(plain, naturalKey), key)
    for (const { key, plain } of plainRows(evidence, history, shape, 'warehouse')) {
      const pair = byName.get(nameOf(plain, naturalKey))
      if (pair !== undefined && pair !== key)
        texts.push(
          `not equal: ${naturalKey} ${plain.get(naturalKey)} is ${pair} in the order desk and ${key} in the warehouse`,
        )
    }
  }
  return texts
}

const nameOf = (plain: PlainRecord, naturalKey: string): string => String(plain.get(naturalKey)).toLowerCase()

function* plainRows(
  evidence: Evidence,
  history: History,
  shape: Shape,
  app: AppName,
): Generator<{ row: Row; key: string; plain: PlainRecord }> {
  const side = shape[app]
  for (const row of evidence[app].objects[side.object] ?? []) {
    yield {
      row,
      key: history.keyOf(app, side.object, row[side.id]),
      plain: plainRecord(shape, app, row, history.keyOf),
    }
  }
}

/** Live records of one application that are the same thing: by email or SKU, external reference, canonical key, or (orders) by everything they say. */
export function duplicates(evidence: Evidence, history: History): readonly string[] {
  const texts: string[] = []
  for (const app of ['desk', 'warehouse'] as const) {
    for (const shape of SHAPES) {
      const rows = [...plainRows(evidence, history, shape, app)]
      const made = hubMade(evidence, app, shape)
      const ways: readonly (readonly [string, (one: (typeof rows)[number]) => string | null])[] = [
        ['canonical key', ({ key }) => key],
        ['external reference', ({ row }) => textOrNull(row.ext_ref ?? row.extRef)],
        [
          shape.naturalKey ?? 'content',
          ({ plain }) => (shape.naturalKey === null ? null : nameOf(plain, shape.naturalKey)),
        ],
        // Two people may order the same at the same moment; the hub may not order at all.
        [
          'content',
          ({ row, plain }) =>
            shape.naturalKey === null && made.has(String(row[shape[app].id]))
              ? JSON.stringify([...plain].sort())
              : null,
        ],
      ]
      const found = new Set(
        ways.flatMap(([way, nameIn]) => repeated(rows, nameIn).map((row) => `${row[shape[app].id]}\u0000${way}`)),
      )
      const ids = Map.groupBy([...found], (text) => text.slice(0, text.indexOf('\u0000')))
      for (const [id, reasons] of ids)
        texts.push(
          `duplicate: ${shape[app].object} ${id} of the ${app} is there before with the same ${reasons.map((one) => one.slice(one.indexOf('\u0000') + 1)).join(', ')}`,
        )
    }
  }
  return texts
}

/** The rows after the first that have a name again. */
function repeated<T extends { readonly row: Row }>(rows: readonly T[], nameIn: (one: T) => string | null): Row[] {
  const known = new Set<string>()
  const again: Row[] = []
  for (const one of rows) {
    const name = nameIn(one)
    if (name === null) continue
    if (known.has(name)) again.push(one.row)
    known.add(name)
  }
  return again
}

const textOrNull = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null)

function hubMade(evidence: Evidence, app: AppName, shape: Shape): ReadonlySet<string> {
  return new Set(
    evidence[app].log
      .filter((item) => isHub(item) && item.op === 'create' && item.object === shape[app].object)
      .map((item) => String(item.id)),
  )
}

/** Whether all that a write changed is the same in both applications now. */
export function isDelivered(
  paths: readonly string[],
  key: string,
  finals: Readonly<Record<AppName, ReadonlyMap<string, PlainRecord>>>,
  app: AppName,
): boolean {
  const here = finals[app].get(key)
  const there = finals[otherApp(app)].get(key)
  return paths.every((path) => here?.get(path) === there?.get(path))
}

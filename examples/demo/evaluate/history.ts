/** The applications' logs as one history per field of a record: who put which value there, and what it came from. */

import { type AppName, type Evidence, isHub, type LogItem, otherApp } from './evidence.ts'
import { type KeyOf, type Plain, type PlainRecord, plainRecord, type Shape, shapeOfObject } from './shapes.ts'

/** One write that changed one field of one record in one application. undefined: the field, line or record is gone. */
export interface FieldEvent {
  readonly app: AppName
  readonly key: string
  readonly path: string
  readonly shape: Shape
  readonly item: LogItem
  readonly isHub: boolean
  readonly value: Plain | undefined
  /** The event before it of the same field in the same application. */
  readonly before: FieldEvent | null
}

export interface History {
  readonly keyOf: KeyOf
  /** By canonical key and path, in the order of each application. */
  readonly fields: ReadonlyMap<string, Readonly<Record<AppName, readonly FieldEvent[]>>>
  /** Field events by log item. */
  readonly byItem: ReadonlyMap<LogItem, readonly FieldEvent[]>
  /** The canonical key of each log item. */
  readonly keys: ReadonlyMap<LogItem, string>
}

export const fieldName = (key: string, path: string): string => `${key} ${path}`

/** A record that the hub does not know has a key of its own, which nothing in the other application shares. */
export function createKeyOf(evidence: Evidence): KeyOf {
  const keys = new Map<string, string>()
  for (const { app, object, nativeId, key } of evidence.xref)
    if (key !== null) keys.set(`${app}/${object}/${nativeId}`, key)
  return (app, object, id) => keys.get(`${app}/${object}/${String(id)}`) ?? `${app}/${object}/${String(id)}`
}

export function createHistory(evidence: Evidence): History {
  const keyOf = createKeyOf(evidence)
  const fields = new Map<string, Record<AppName, FieldEvent[]>>()
  const byItem = new Map<LogItem, FieldEvent[]>()
  const keys = new Map<LogItem, string>()
  for (const app of ['desk', 'warehouse'] as const) {
    for (const item of evidence[app].log) {
      const shape = shapeOfObject(app, item.object)
      if (shape === undefined) continue
      const key = keyOf(app, item.object, item.id)
      keys.set(item, key)
      const events: FieldEvent[] = []
      for (const [path, value] of changes(
        plainRecord(shape, app, item.before, keyOf),
        plainRecord(shape, app, item.after, keyOf),
      )) {
        const name = fieldName(key, path)
        let sides = fields.get(name)
        if (sides === undefined) fields.set(name, (sides = { desk: [], warehouse: [] }))
        const event: FieldEvent = {
          app,
          key,
          path,
          shape,
          item,
          isHub: isHub(item),
          value,
          before: sides[app].at(-1) ?? null,
        }
        sides[app].push(event)
        events.push(event)
      }
      byItem.set(item, events)
    }
  }
  return { keyOf, fields, byItem, keys }
}

function changes(before: PlainRecord, after: PlainRecord): Map<string, Plain | undefined> {
  const changed = new Map<string, Plain | undefined>()
  for (const [path, value] of after) if (!before.has(path) || before.get(path) !== value) changed.set(path, value)
  for (const path of before.keys()) if (!after.has(path)) changed.set(path, undefined)
  return changed
}

/**
 * The event whose value the hub carried here: the last one in the other application that had it by then, or one here where the hub put an earlier value back. People's
 * values are used once, so there is mostly no choice.
 */
export function sourceOf(history: History, event: FieldEvent): FieldEvent | null {
  const sides = history.fields.get(fieldName(event.key, event.path))
  if (sides === undefined) return null
  const there = sides[otherApp(event.app)].findLast(
    (one) => one.value === event.value && one.item.at_ms <= event.item.at_ms,
  )
  if (there !== undefined) return there
  return sides[event.app].findLast((one) => one.value === event.value && one.item.seq < event.item.seq) ?? null
}

/**
 * Every event that some person's later write had before its eyes: what stood in the field when it was written, and what that came from. A write of the hub has seen only
 * what it carries, not what it writes over: that is exactly how an edit gets lost. Two people who came to the same value have both written it.
 */
export function createSeen(history: History): ReadonlySet<FieldEvent> {
  const seen = new Set<FieldEvent>()
  const open: FieldEvent[] = []
  const twins = createTwins(history)
  for (const sides of history.fields.values()) {
    for (const event of [...sides.desk, ...sides.warehouse])
      if (!event.isHub && hasSeen(event)) open.push(event.before as FieldEvent)
  }
  for (let event = open.pop(); event !== undefined; event = open.pop()) {
    if (seen.has(event)) continue
    seen.add(event)
    open.push(...(twins.get(event) ?? []))
    const next = event.isHub ? sourceOf(history, event) : hasSeen(event) ? event.before : null
    if (next !== null) open.push(next)
  }
  return seen
}

/** Whether the writer said that it went on from the event before it. */
const hasSeen = ({ before, item }: FieldEvent): boolean =>
  before !== null && item.base_rev !== null && item.base_rev >= before.item.rev

/** Events of both applications that put the same value there while it stood in the other one already. */
function createTwins(history: History): ReadonlyMap<FieldEvent, readonly FieldEvent[]> {
  const twins = new Map<FieldEvent, FieldEvent[]>()
  const add = (one: FieldEvent, other: FieldEvent): void => void twins.set(one, [...(twins.get(one) ?? []), other])
  for (const sides of history.fields.values()) {
    for (const app of ['desk', 'warehouse'] as const) {
      for (const event of sides[app]) {
        const current = sides[otherApp(app)].findLast((one) => one.item.at_ms <= event.item.at_ms)
        if (current === undefined || current.value !== event.value) continue
        add(event, current)
        add(current, event)
      }
    }
  }
  return twins
}

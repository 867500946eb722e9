/** Which of people's writes are neither there, nor replaced by somebody who had seen them, nor listed. */

import { type AppName, type ConflictRow, type Evidence, otherApp } from './evidence.ts'
import { createSeen, type FieldEvent, fieldName, type History } from './history.ts'
import { isOwned, type Plain, type PlainRecord, plainLoser, plainRecord, SHAPES } from './shapes.ts'

export interface LostWrite {
  readonly event: FieldEvent
  /** What stands in its place. */
  readonly final: Plain | undefined
}

/** One entry per field of a write that is lost. A field that nobody there may decide is nobody's edit. */
export function lostWrites(evidence: Evidence, history: History): readonly LostWrite[] {
  const seen = createSeen(history)
  const finals = {
    desk: finalRecords(evidence, history, 'desk'),
    warehouse: finalRecords(evidence, history, 'warehouse'),
  }
  const listed = listedLosers(evidence.conflicts)
  const lost: LostWrite[] = []
  for (const sides of history.fields.values()) {
    for (const event of [...sides.desk, ...sides.warehouse]) {
      // A delete is one write of the record, not one of each field.
      const isCounted =
        !event.isHub && isOwned(event.shape, event.app, event.path) && (event.item.op !== 'delete' || event.path === '')
      if (!isCounted || seen.has(event)) continue
      const final = finals[event.app].get(event.key)?.get(event.path)
      if (final === event.value || isListed(listed, event)) continue
      lost.push({ event, final })
    }
  }
  return lost
}

/** The records of an application at the end, by canonical key. */
export function finalRecords(evidence: Evidence, history: History, app: AppName): ReadonlyMap<string, PlainRecord> {
  const records = new Map<string, PlainRecord>()
  for (const shape of SHAPES) {
    const side = shape[app]
    for (const row of evidence[app].objects[side.object] ?? []) {
      records.set(history.keyOf(app, side.object, row[side.id]), plainRecord(shape, app, row, history.keyOf))
    }
  }
  return records
}

const listedLosers = (conflicts: readonly ConflictRow[]): ReadonlySet<string> =>
  new Set(
    conflicts.flatMap((one) => [
      `${fieldName(one.key, one.path)} ${JSON.stringify(plainLoser(one) ?? null)}`,
      ...deletedRecord(one),
    ]),
  )

/** A delete that did not stand is listed with each value that it had not seen: for the record as a whole that is one loss. */
const deletedRecord = ({ key, reason, loserValue }: ConflictRow): string[] =>
  reason === 'unseen' && loserValue === null ? [`${fieldName(key, '')} null`] : []

const isListed = (listed: ReadonlySet<string>, { key, path, value }: FieldEvent): boolean =>
  listed.has(`${fieldName(key, path)} ${JSON.stringify(value ?? null)}`)

/** For a person who looks into it. */
export function lostText({ event, final }: LostWrite): string {
  const { app, item, path, key, value } = event
  const what = path === '' ? 'the record itself' : path
  return `lost: ${item.actor} in ${app} ${item.op}d ${item.object} ${item.id} (revision ${item.rev}), ${what} = ${JSON.stringify(value ?? null)}; it is ${JSON.stringify(final ?? null)} now, nobody in ${app} or ${otherApp(app)} had seen it, and no conflict lists it (${key})`
}

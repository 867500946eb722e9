import type { OpenLane, Verdict } from '../../model/record.ts'
import { encodeData } from '../../model/value.ts'
import type { CommitBatch, RecordWrite } from '../../ports/store.ts'
import { encodeRecordBody } from '../record-codec.ts'
import { toPgText } from './text.ts'

const text = (value: string | null): string | null => (value === null ? null : toPgText(value))

/** A batch as the one call that commits it. Hot path. */
export function commitCall(
  schema: string,
  batch: CommitBatch,
): { readonly text: string; readonly values: readonly unknown[] } {
  const { epoch, cursor, records, links, matches, heldDone, held, conflicts, notes = [], hints = [] } = batch
  const lanes = newestLanes(records)
  const values: unknown[] = [
    epoch,
    cursor?.consumer ?? null,
    cursor?.position ?? null,
    records.map(({ state }) => toPgText(state.key)),
    records.map(({ state }) => toPgText(state.entity)),
    records.map(({ state }) => state.shard),
    records.map(({ state }) => state.rev),
    records.map(({ expectRev }) => expectRev),
    records.map(({ state }) => state.deleted),
    records.map(({ state }) => encodeRecordBody(state)),
    records.map(({ verdicts }) => verdictLines(verdicts)),
    records.map(({ openLanes }) => openLanes !== null),
    lanes.map(({ key }) => toPgText(key)),
    lanes.map(({ app }) => toPgText(app)),
    lanes.map(({ entity }) => toPgText(entity)),
    lanes.map(({ state }) => state),
    lanes.map(({ op }) => text(op)),
    lanes.map(({ sinceMs }) => whole(sinceMs)),
    lanes.map(({ code }) => text(code)),
    links.map(({ app }) => toPgText(app)),
    links.map(({ object }) => toPgText(object)),
    links.map(({ nativeId }) => toPgText(nativeId)),
    links.map(({ entity }) => toPgText(entity)),
    links.map(({ key }) => text(key)),
    links.map(({ incarnation }) => incarnation),
    links.map(({ state }) => state),
    links.map(({ token }) => text(token)),
    links.map(({ atMs }) => whole(atMs)),
    links.map(({ from }) => text(from ?? null)),
    matches.map(({ entity }) => toPgText(entity)),
    matches.map(({ matchKey }) => toPgText(matchKey)),
    matches.map(({ key }) => text(key)),
    heldDone.map(({ seq }) => seq),
    heldDone.map(({ entity }) => toPgText(entity)),
    held.map(({ seq }) => seq),
    held.map(({ entity }) => toPgText(entity)),
    held.map(({ app }) => toPgText(app)),
    held.map(({ object }) => toPgText(object)),
    held.map(({ nativeId }) => toPgText(nativeId)),
    held.map(({ waitsOn }) => waitsOn),
    held.map((entry) => encodeData(entry)),
    conflicts.map(({ key }) => toPgText(key)),
    conflicts.map(({ entity }) => toPgText(entity)),
    conflicts.map(({ path }) => toPgText(path)),
    conflicts.map(({ reason }) => reason),
    conflicts.map(({ loserApp }) => toPgText(loserApp)),
    conflicts.map(({ winnerApp }) => toPgText(winnerApp)),
    conflicts.map(({ atMs }) => whole(atMs)),
    conflicts.map((conflict) => encodeData(conflict)),
    notes.map(({ kind }) => toPgText(kind)),
    notes.map(({ id }) => toPgText(id)),
    notes.map(({ atMs }) => whole(atMs)),
    notes.map(({ body }) => (body === null ? null : encodeData(body))),
    hints.map(({ entity }) => toPgText(entity)),
    hints.map(({ hint }) => toPgText(hint)),
    hints.map(({ key }) => toPgText(key)),
    hints.map(({ isGone }) => isGone),
  ]
  return { text: callOf(schema, values.length), values }
}

const calls = new Map<string, string>()

function callOf(schema: string, count: number): string {
  let call = calls.get(schema)
  if (call === undefined) {
    call = `SELECT ${schema}.commit_batch(${Array.from({ length: count }, (_, i) => `$${i + 1}`).join(', ')})`
    calls.set(schema, call)
  }
  return call
}

/** A record may be written twice in one batch; the lanes of the last write that names any are those that stand. */
function newestLanes(records: readonly RecordWrite[]): readonly OpenLane[] {
  const lanesByKey = new Map<string, readonly OpenLane[]>()
  for (const { state, openLanes } of records) if (openLanes !== null) lanesByKey.set(state.key, openLanes)
  return [...lanesByKey.values()].flat()
}

/** Times are whole milliseconds in the table; a fraction, as a clock with more digits gives, is cut. */
const whole = (ms: number): number => Math.floor(ms)

function verdictLines(verdicts: readonly Verdict[]): string {
  let lines = ''
  for (const verdict of verdicts) lines += encodeData(verdict) + '\n'
  return lines
}

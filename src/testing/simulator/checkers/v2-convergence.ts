import type { AppId, CanonicalKey } from '../../../model/ids.ts'
import type { Lane, RecordState } from '../../../model/record.ts'
import { type Path, splitPartPath, type Value } from '../../../model/value.ts'
import { type AppObject, elementKeys } from '../apps/mapping.ts'
import type { AppVersion, HistoryApp, HubEnd } from '../history.ts'
import type { Oracle } from '../oracle.ts'

/** V2: when all is quiet, every application holds its rendition of the one canonical value, and the hub writes nothing more. */
export function checkConvergence(oracle: Oracle): string | null {
  const { end, writesAfterQuiet } = oracle.history
  if (end === null) return 'the hub did not come to rest within 10 minutes after users and faults had stopped'
  const [late] = writesAfterQuiet
  if (late !== undefined)
    return `${late.op} was written to ${late.app} at ${late.atMs} ms, after everything had come to rest`
  for (const state of end.states) {
    // What it was is in another now.
    if (state.mergedInto !== undefined) continue
    const difference = checkRecord(oracle, end, state)
    if (difference !== null) return difference
  }
  return checkUnlinked(oracle, end)
}

function checkRecord(oracle: Oracle, end: HubEnd, state: RecordState): string | null {
  for (const info of oracle.history.apps.values()) {
    const object = info.objects.get(state.entity)
    const lane = state.lanes[info.app]
    if (object === undefined || lane?.park != null || lane?.detached) continue
    const difference = checkLane(oracle, end, state, info, object, lane)
    if (difference !== null) return `${state.key}: ${difference}`
  }
  return null
}

function checkLane(
  oracle: Oracle,
  end: HubEnd,
  state: RecordState,
  info: HistoryApp,
  object: AppObject,
  lane: Lane | undefined,
): string | null {
  const nativeId = lane?.nativeId ?? null
  // What its application told and cannot be folded (it refers to a record that a person has to decide on) keeps a lane from being written.
  if (end.held.some((entry) => entry.app === info.app && entry.nativeId === nativeId)) return null
  const live = nativeId === null ? undefined : oracle.live.get(`${info.app} ${object.object} ${nativeId}`)?.version
  if (state.deleted) return live === undefined ? null : `deleted, but ${info.app} still has ${nativeId}`
  if (live === undefined && !object.isExpected(state.head)) return null
  if (live === undefined)
    return `${info.app} has no live record of it (native id ${nativeId}, exists ${lane?.exists ?? null})`
  return compareCells(end, state, info.app, object, live)
}

function compareCells(end: HubEnd, state: RecordState, app: AppId, object: AppObject, live: AppVersion): string | null {
  const differs = (path: Path, expected: Value | undefined, found: Value | undefined): string =>
    `${path} is ${JSON.stringify(found)} in ${app} (${live.nativeId}), the head says ${JSON.stringify(state.head[path]?.value)}, which ${app} would keep as ${JSON.stringify(expected)}`
  for (const path in state.head) {
    const value = state.head[path]?.value as Value
    const inPart = splitPartPath(path)
    if (inPart !== undefined && (inPart.field === '' || state.head[inPart.element]?.value !== true)) continue
    const field = object.fieldAt(path)
    if (field === undefined) continue
    const meant = field.kind === 'reference' ? nativeOf(end, app, value) : value
    if (field.kind === 'reference' && isOfApart(end, app, value, live.cells[path])) continue
    if (!object.isKept(path, meant, live.cells[path]))
      return differs(path, object.rendition(path, meant), live.cells[path])
  }
  for (const part of object.parts) {
    const wanted = elementKeys(
      Object.fromEntries(Object.entries(state.head).map(([path, cell]) => [path, cell.value])),
      part,
    )
    const found = elementKeys(live.cells, part)
    if (wanted.join() !== found.join())
      return `${app} (${live.nativeId}) has the ${part.name} ${found.join()}, the head has ${wanted.join()}`
  }
  return null
}

/** It refers to a record that a person took out of the one that the head names: who refers to which of the two, nobody has said. */
const isOfApart = (end: HubEnd, app: AppId, key: Value, native: Value | undefined): boolean =>
  end.states.some(({ apart, lanes }) => apart?.from === key && lanes[app]?.nativeId === native)

function nativeOf(end: HubEnd, app: AppId, key: Value): Value {
  const state = end.states.find((one) => one.key === (key as CanonicalKey | null))
  return state?.mergedInto === undefined ? (state?.lanes[app]?.nativeId ?? null) : nativeOf(end, app, state.mergedInto)
}

/** Every live record is known to the hub, or stands among the held entries for a person to see. */
function checkUnlinked(oracle: Oracle, end: HubEnd): string | null {
  const linked = new Set(
    end.links.filter((link) => link.state === 'live').map((link) => `${link.app} ${link.object} ${link.nativeId}`),
  )
  for (const entry of end.held) linked.add(`${entry.app} ${entry.object} ${entry.nativeId}`)
  for (const [place, { version }] of oracle.live) {
    if (!linked.has(place) && oracle.object(version).isAdopted)
      return `${version.app} has ${version.nativeId} (K${version.record}), which is neither linked nor held`
  }
  return null
}

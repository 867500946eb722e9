import { type Lane, nextHeadSeq } from '../model/record.ts'
import { valuesEqual } from '../model/value.ts'
import type { At, RecordWork } from './record-work.ts'

/** Deletions taken back. Pure, like decide.ts. */

/** The lane begins a new life: nothing is there, and what the head holds is to be created. */
export const reborn = (lane: Lane): Lane => ({
  ...lane,
  nativeId: null,
  exists: null,
  incarnation: lane.incarnation + 1,
  detached: false,
  park: null,
  retry: null,
  image: {},
  sent: {},
  token: null,
})

/** A person takes a deletion back: the record is created again wherever it is gone, under new ids there. */
export function undelete(work: RecordWork, at: At): void {
  const { state } = work
  const soft = work.entity.softDelete
  const cell = soft === undefined ? undefined : state.head[soft.field]
  const isSoft = soft !== undefined && cell !== undefined && valuesEqual(cell.value, soft.deleted)
  const gone = Object.values(state.lanes).filter((lane) => lane.exists === false && lane.intent === null)
  const by = state.deletion?.app ?? gone[0]?.app ?? cell?.origin.app
  if (by === undefined || (!state.deleted && !isSoft && gone.length === 0)) {
    const [first] = work.entity.bindings.keys()
    if (first !== undefined) work.say(at, first, 'unchanged', 'it is deleted nowhere; nothing to take back')
    return
  }
  const { deletion: _, ...rest } = state
  const headSeq = nextHeadSeq(state, at.seq)
  const origin = { seq: headSeq, app: by, timeMs: at.atMs, root: at.seq, hops: 0 }
  work.state = {
    ...rest,
    deleted: false,
    headSeq,
    ...(isSoft ? { head: { ...state.head, [soft.field]: { value: soft.live, origin } } } : {}),
  }
  for (const lane of gone) work.setLane(reborn(lane))
  work.say(at, by, 'released', 'a person took the deletion back; it is created again where it is gone')
}

/** With soft deletes: a record whose field says that it lives again is created again where it was deleted. */
export function reviveSoft(work: RecordWork, at: At): void {
  const soft = work.entity.softDelete
  if (soft === undefined || work.state.deleted || !valuesEqual(work.state.head[soft.field]?.value, soft.live)) return
  for (const lane of Object.values(work.state.lanes)) {
    if (!lane.detached || lane.exists !== false || lane.intent !== null) continue
    work.setLane(reborn(lane))
    work.say(at, lane.app, 'accepted', `${soft.field} says that it lives again; it is created again in ${lane.app}`)
  }
}

import { isTheirs } from '../deliver/plan.ts'
import type { BindingModel } from '../model/entity.ts'
import type { NativeId } from '../model/ids.ts'
import type { At, RecordWork } from './record-work.ts'

/**
 * A person takes back what a create of ours made: the record is deleted there by an ordinary write, and not created again; everywhere else it stays as it is. What the application's own users
 * have changed of it is theirs, and stays. Pure, like decide.ts.
 */
export function withdraw(work: RecordWork, binding: BindingModel, nativeId: NativeId, at: At): void {
  const lane = work.lane(binding)
  if (lane.nativeId !== nativeId || lane.exists !== true || lane.withdrawn) return
  if (work.state.deleted || isTheirs(work.state, lane.app)) {
    work.say(at, lane.app, 'unchanged', `${lane.app}:${nativeId} is not taken back: it was changed or deleted since`)
    return
  }
  work.say(at, lane.app, 'released', `a person took back what a backfill had created; it is deleted in ${lane.app}`)
  work.setLane({ ...lane, withdrawn: true })
}

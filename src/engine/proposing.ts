import { isTheirs } from '../deliver/plan.ts'
import { hintsOfRecord } from '../merge/hints.ts'
import type { AppId, CanonicalKey } from '../model/ids.ts'
import { isThere, type RecordState } from '../model/record.ts'
import { HINT_SHARED_MAX } from './candidates.ts'
import type { Prepared } from './prepared.ts'
import type { RecordWork } from './record-work.ts'
import { at, type Turn } from './turn.ts'

/**
 * A record that came in, that nothing matches: those that share a hint with it, and are not in its application by themselves, are shown to a person beside it. It is created like any other: a hint
 * never joins, holds or loses anything.
 */
export function proposeCandidates({ batch, engine }: Turn, work: RecordWork, prepared: Prepared): void {
  if (work.entity.hints === undefined) return
  const { app, entity } = prepared.binding
  const { key } = work.state
  const shared = new Map<CanonicalKey, (readonly string[])[]>()
  for (const { fields, text } of hintsOfRecord(work.entity, work.state)) {
    const others = batch.hinted(entity, text)
    batch.addHinted(entity, text, key)
    if (others.length > HINT_SHARED_MAX) {
      const said = `more than ${HINT_SHARED_MAX} records share its ${fields.join(', ')}: that tells nothing`
      work.say(at(prepared), app, 'candidate', said, { paths: fields })
      continue
    }
    for (const other of others) {
      const state = batch.state(other)
      if (other === key || state === undefined || !mayBe(state, app, work, text)) continue
      const fieldsShared = shared.get(other)
      if (fieldsShared === undefined) shared.set(other, [fields])
      else fieldsShared.push(fields)
    }
  }
  for (const [other, hints] of shared) {
    if (!engine.findings.candidates.propose({ entity, keys: [other, key], hints, atMs: prepared.atMs })) continue
    const names = namesOf(batch.state(other))
    const text = `may be the same ${entity} as ${names} (equal ${hints.map((fields) => fields.join(' and ')).join('; ')}): \`latchwork candidates\` shows both`
    work.say(at(prepared), app, 'candidate', text, { paths: [...new Set(hints.flat())] })
  }
}

/** Whether it still has the hint, and is not in the application: or only as a copy of ours. */
function mayBe(state: RecordState, app: AppId, { entity }: RecordWork, hint: string): boolean {
  if (!hintsOfRecord(entity, state).some(({ text }) => text === hint)) return false
  const lane = state.lanes[app]
  return lane === undefined || !isThere(lane) || (lane.madeAtMs !== null && !isTheirs(state, app))
}

const namesOf = (state: RecordState | undefined): string =>
  Object.values(state?.lanes ?? {})
    .flatMap((lane) => (lane.nativeId === null ? [] : [`${lane.app}:${lane.nativeId}`]))
    .join(', ')

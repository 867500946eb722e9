import { describe, expect, test } from 'vitest'
import { bindingOf, classA, crm, entityOf, intentOf, key, laneOf, recordOf, references } from '../merge/fake-record.ts'
import { asJournalPosition, asNativeId } from '../model/ids.ts'
import type { Intent, Lane } from '../model/record.ts'
import { adoptCreate, doubtAfterRestart } from './evidence.ts'
import { takePass } from './log-fed.ts'
import { RecordWork } from './record-work.ts'

const at = { seq: asJournalPosition(30), atMs: 50_000 }
const fenceMs = 7000

const workOn = (lane: Lane): RecordWork => {
  const record = recordOf({ lanes: { [crm]: lane } })
  return new RecordWork(entityOf(), record, record, () => undefined)
}
const readingFrom = (notBeforeMs: number): Lane['reading'] => ({
  why: 'unknown',
  afterSeq: asJournalPosition(20),
  notBeforeMs,
  tries: 0,
})

describe('a hint that names what our create has made', () => {
  const intent = intentOf({ kind: 'create', state: 'unknown' })
  const lane = laneOf({ intent, nativeId: null, exists: null })

  test('links it, and has it read: what its users have made of it meanwhile is not known', () => {
    const work = workOn(lane)
    const seen = { ...at, image: null, token: undefined, sourceTimeMs: undefined, isRead: false }
    adoptCreate(work, bindingOf(), lane, intent, asNativeId('7'), seen, references)
    expect(work.state.lanes[crm]).toMatchObject({
      nativeId: '7',
      intent: null,
      reading: { why: 'hint', afterSeq: at.seq, notBeforeMs: 0 },
    })
  })
})

describe('a write that is in doubt', () => {
  const blind = bindingOf(crm, { capabilities: { ...classA, condition: 'C0', feed: 'F3', fenceMs } })
  const inDoubt = (more: Partial<Intent> = {}) =>
    laneOf({ intent: intentOf({ state: 'unknown', ...more }), reading: readingFrom(40_000) })

  test('is fenced anew after a restart: how long the hub was away is what a clock says that may have been set', () => {
    const work = workOn(inDoubt({ doubtUntilMs: 41_000 }))
    doubtAfterRestart(work, blind, at)
    expect(work.state.lanes[crm]).toMatchObject({
      intent: { state: 'unknown', doubtUntilMs: at.atMs + fenceMs },
      reading: { notBeforeMs: at.atMs + fenceMs },
    })
  })

  test('is read as soon as before where a condition protects from its late application', () => {
    const work = workOn(inDoubt())
    doubtAfterRestart(work, bindingOf(crm, { capabilities: { ...classA, fenceMs } }), at)
    expect(work.state.lanes[crm]?.reading?.notBeforeMs).toBe(40_000)
  })

  test('is not given up when its log was asked for the sake of other writes, before the fence is over', () => {
    const work = workOn(inDoubt())
    takePass(work, blind, asJournalPosition(25), at, true)
    expect(work.state.lanes[crm]).toMatchObject({ intent: { state: 'unknown' }, reading: { why: 'unknown' } })
    takePass(work, blind, asJournalPosition(25), at, false)
    expect(work.state.lanes[crm]).toMatchObject({ intent: null, reading: null })
    expect(work.state.key).toBe(key)
  })
})

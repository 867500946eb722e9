import { describe, expect, test } from 'vitest'
import { SyncError } from '../../errors/index.ts'
import { intentOf, laneOf, recordOf } from '../../merge/fake-record.ts'
import { asJournalPosition } from '../ids.ts'
import { heldEvents, heldStateFor, heldStates, letsGo } from './held-state.ts'
import { endIntent, intentEvents, intentStates, moveIntent, nextIntentState } from './intent-state.ts'
import { laneStanding } from './lane-state.ts'
import { mayTry, nextParkState, parkEvents, parkStates } from './park-state.ts'

describe('intent', () => {
  test('from every state there is a way to none, and nothing but a decision leads out of it', () => {
    for (const state of intentStates) {
      const reached = new Set([state])
      for (const at of reached)
        for (const event of intentEvents) {
          const next = nextIntentState(at, event)
          if (next !== null) reached.add(next)
        }
      expect(reached.has('none'), state).toBe(true)
    }
    expect(intentEvents.filter((event) => ![null, 'none'].includes(nextIntentState('none', event)))).toEqual([
      'decided',
    ])
  })

  test('no second write begins while one is open', () => {
    for (const state of intentStates) if (state !== 'none') expect(nextIntentState(state, 'decided')).toBeNull()
  })

  test('a write in doubt is never taken for one that was not sent: only evidence or an answer ends the doubt', () => {
    const kept = intentEvents.filter((event) => nextIntentState('unknown', event) === 'unknown')
    expect(kept).toEqual(['no answer', 'not yet'])
  })

  test('what cannot happen is a defect, and says so', () => {
    const readback = intentOf({ state: 'readback' })
    expect(() => moveIntent(readback, 'no answer')).toThrow(SyncError)
    expect(() => endIntent(intentOf(), 'taken blindly')).toThrow(/is open and met 'taken blindly'/)
    expect(endIntent(null, 'dropped')).toBeNull()
    expect(moveIntent(intentOf(), 'no answer').state).toBe('unknown')
  })
})

describe('lane', () => {
  const record = recordOf({ headSeq: asJournalPosition(9) })
  const park = { code: 'target.rejected', message: '', atMs: 1, headSeq: asJournalPosition(9) }
  const reading = { why: 'hint', afterSeq: asJournalPosition(1), notBeforeMs: 0, tries: 0 } as const

  test('the strongest reason is listed', () => {
    const standing = (over: Parameters<typeof laneOf>[0], planned: 'idle' | 'behind' | 'braked' = 'idle') =>
      laneStanding(record, laneOf(over), planned).state
    expect(standing({})).toBe('in step')
    expect(standing({}, 'behind')).toBe('behind')
    expect(standing({}, 'braked')).toBe('waiting')
    expect(standing({ park })).toBe('parked')
    expect(standing({ park, detached: true })).toBe('in step')
    expect(standing({ park, reading })).toBe('reading')
    expect(standing({ intent: intentOf(), reading })).toBe('intent')
    expect(standing({ intent: intentOf({ state: 'unknown' }) })).toBe('unknown')
    expect(standing({ intent: intentOf({ kind: 'create', state: 'unknown' }), park })).toBe('parked')
  })
})

describe('held entry', () => {
  test('what waits can be let go by something, and each event lets something go', () => {
    for (const state of heldStates)
      if (state !== 'free')
        expect(
          heldEvents.some((event) => letsGo(state, event)),
          state,
        ).toBe(true)
    for (const event of heldEvents)
      expect(
        heldStates.some((state) => letsGo(state, event)),
        event,
      ).toBe(true)
  })

  test('only what cannot be folded is superseded; what waits for an answer keeps its place', () => {
    expect(letsGo(heldStateFor('operator'), 'superseded')).toBe(true)
    expect(letsGo(heldStateFor('reference'), 'superseded')).toBe(true)
    for (const reason of ['creates', 'lane', 'read'] as const)
      expect(letsGo(heldStateFor(reason), 'superseded')).toBe(false)
  })
})

describe('parked lane', () => {
  test('the same head is not tried again, a newer one is', () => {
    const park = { code: '', message: '', atMs: 0, headSeq: asJournalPosition(5) }
    expect(mayTry(park, { headSeq: asJournalPosition(5) })).toBe(false)
    expect(mayTry(park, { headSeq: asJournalPosition(6) })).toBe(true)
    expect(mayTry(null, { headSeq: asJournalPosition(5) })).toBe(true)
  })

  test('every way out of it frees the lane', () => {
    const out = parkEvents.filter((event) => nextParkState('parked', event) === 'free')
    expect(out).toEqual(['no need', 'released', 'taken'])
    expect(parkStates).toEqual(['free', 'parked'])
  })
})

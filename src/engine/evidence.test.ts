import { describe, expect, test } from 'vitest'
import {
  bindingOf,
  classA,
  crm,
  entityOf,
  headOf,
  intentOf,
  key,
  laneOf,
  recordOf,
  references,
} from '../merge/fake-record.ts'
import type { ReadImage } from '../model/change.ts'
import { asJournalPosition, asNativeId, asToken } from '../model/ids.ts'
import type { Intent, Lane } from '../model/record.ts'
import { adoptCreate, doubtAfterRestart, takeRead } from './evidence.ts'
import { observeLogged, takePass } from './log-fed.ts'
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

describe('a conditional write in doubt, and its application holds something else', () => {
  const resolved = (token: 'T1' | 'T2', image: Record<string, string>) => {
    const capabilities = { ...classA, token, fenceMs }
    const intent = intentOf({ state: 'unknown', doubtUntilMs: at.atMs + fenceMs, baseToken: asToken('3') })
    const lane = laneOf({ image: { n_email: 'x' }, sent: { email: 'x' }, intent, reading: readingFrom(0) })
    const record = recordOf({ head: headOf({ email: 'a' }), lanes: { [crm]: lane } })
    const work = new RecordWork(entityOf(), record, record, () => undefined)
    const read = { app: crm, object: lane.object, nativeId: asNativeId('1'), result: 'found' as const }
    const found = { ...read, token: asToken('4') }
    const binding = bindingOf(crm, { capabilities })
    takeRead(work, binding, found, asJournalPosition(25), at, 0, image, references)
    return work.state.lanes[crm]
  }

  test('is given up for now, and may still come: where a version can come back with what it stands for, nothing is written meanwhile', () => {
    expect(resolved('T1', { n_email: 'y' })).toMatchObject({
      intent: null,
      retry: { code: 'target.unknown', notBeforeMs: at.atMs + fenceMs },
    })
  })

  test('keeps nothing back where versions never come back, or where it was applied', () => {
    expect(resolved('T2', { n_email: 'y' })).toMatchObject({ intent: null, retry: null })
    expect(resolved('T1', { n_email: 'a' })).toMatchObject({ intent: null, retry: null })
  })
})

describe('a read that may lag', () => {
  const binding = bindingOf(crm, { capabilities: { ...classA, read: 'R1', fenceMs } })
  const looked = (why: 'conflict' | 'hint' | 'gone', tries: number, found: Partial<ReadImage>) => {
    const reading = { why, afterSeq: asJournalPosition(20), notBeforeMs: 0, tries }
    const lane = laneOf({ image: { n_email: 'x' }, sent: { email: 'x' }, reading })
    const record = recordOf({ head: headOf({ email: 'x' }), lanes: { [crm]: lane } })
    const work = new RecordWork(entityOf(), record, record, () => undefined)
    const read = { app: crm, object: lane.object, nativeId: asNativeId('1'), result: 'found' as const, ...found }
    const image = read.result === 'found' ? { n_email: 'y' } : null
    takeRead(work, binding, read, asJournalPosition(25), at, 0, image, references)
    return work.state.lanes[crm]
  }

  test('is made again, with pauses, where it shows less than is known or was said', () => {
    for (const [why, found] of [
      ['hint', { token: asToken('2') }],
      ['conflict', { token: asToken('3') }],
      ['gone', { token: asToken('3') }],
      ['hint', { result: 'missing' as const }],
    ] as const) {
      expect(looked(why, 1, found)).toMatchObject({ reading: { why, tries: 2 }, sent: { email: 'x' }, exists: true })
    }
  })

  test('is believed when it shows something newer, or has shown nothing else for as long as it may lag', () => {
    expect(looked('conflict', 0, { token: asToken('4') })).toMatchObject({ reading: null, sent: { email: 'y' } })
    expect(looked('hint', 9, { result: 'missing' })).toMatchObject({ reading: null, exists: false })
  })
})

describe('a log that was read to its end', () => {
  const capabilities = { ...classA, feed: 'F3' as const, mark: 'M2' as const }

  test('shows that its users have had before them what the head was when that was asked', () => {
    const reading = { why: 'verify' as const, afterSeq: asJournalPosition(20), notBeforeMs: 0, tries: 0 }
    const lane = laneOf({ sent: { email: 'a' }, byChance: ['email'] })
    const record = recordOf({ head: headOf({ email: 'a' }) })
    const passed = (headSeq: number) => {
      const asked = { ...lane, reading: { ...reading, headSeq: asJournalPosition(headSeq) } }
      const known = { ...record, lanes: { [crm]: asked } }
      const work = new RecordWork(entityOf(), known, known, () => undefined)
      takePass(work, bindingOf(crm, { capabilities }), asJournalPosition(25), at)
      return work.state.lanes[crm]
    }
    expect(passed(9)).toMatchObject({ reading: null, byChance: [] })
    expect(passed(4)).toMatchObject({ reading: null, byChance: ['email'] })
  })
})

describe('a log without marks', () => {
  const binding = bindingOf(crm, { capabilities: { ...classA, condition: 'C0', feed: 'F3', mark: 'M0' } })
  const line = (no: number) => ({ [`items[${no}]`]: true, [`items[${no}].n_qty`]: no })
  const held = (no: number) => ({ [`lines[${no}]`]: true, [`lines[${no}].qty`]: no })
  const native = { items: true, ...line(1) }
  const overlay = {
    ...{ op: intentOf().op, kind: 'update' as const, token: null, native, headSeq: asJournalPosition(9) },
    ...{ patch: { 'lines[2]': false, ...held(1) }, root: asJournalPosition(5), hops: 0, seq: at.seq, atMs: 1 },
  }

  test('shows at the position of a blind write what a user may have done who made it change nothing: not ours, and no answer to it', () => {
    const record = recordOf({ head: headOf({ email: 'a', phone: 'elsewhere' }) })
    const written = {
      ...overlay,
      ...{ token: asToken('4'), patch: { email: 'a' }, native: { n_email: 'a' } },
    }
    const lane = laneOf({
      image: { n_email: 'x', n_phone: 'y' },
      sent: { email: 'x', phone: 'y' },
      overlays: [written],
    })
    const known = { ...record, lanes: { [crm]: lane } }
    const work = new RecordWork(entityOf(), known, known, () => undefined)
    const image = { n_email: 'a', n_phone: 'entered' }
    observeLogged(
      work,
      binding,
      { ...at, image, token: asToken('4'), sourceTimeMs: undefined, isRead: false },
      references,
    )
    const told = [...work.conflicts.map((one) => one.loserValue), work.state.head.phone?.value]
    expect(told).toContain('entered')
    expect(told).toContain('elsewhere')
  })

  test('does not end the doubt of a blind write by its values alone: a user may have entered the same, and ours may be to come', () => {
    const intent = intentOf({ state: 'unknown', patch: { email: 'a' }, native: { n_email: 'a' } })
    const lane = laneOf({ image: { n_email: 'x' }, sent: { email: 'x' }, intent, reading: readingFrom(60_000) })
    const record = recordOf({ head: headOf({ email: 'a' }), lanes: { [crm]: lane } })
    const shown = (condition: 'C0' | 'C2') => {
      const work = new RecordWork(entityOf(), record, record, () => undefined)
      const log = bindingOf(crm, { capabilities: { ...classA, condition, feed: 'F3', mark: 'M0' } })
      const seen = { ...at, image: { n_email: 'a' }, token: asToken('4'), sourceTimeMs: undefined, isRead: false }
      observeLogged(work, log, seen, references)
      return work
    }
    const work = shown('C0')
    expect(work.state.lanes[crm]).toMatchObject({ intent: { state: 'unknown' }, sent: { email: 'a' } })
    // Shown once: who comes back to the same afterwards is somebody else.
    const later = { ...at, atMs: at.atMs + 5, sourceTimeMs: undefined, isRead: false }
    const log = bindingOf(crm, { capabilities: { ...classA, condition: 'C0', feed: 'F3', mark: 'M0' } })
    observeLogged(work, log, { ...later, image: { n_email: 'b' }, token: asToken('5') }, references)
    observeLogged(work, log, { ...later, image: { n_email: 'a' }, token: asToken('6') }, references)
    expect(work.state.head.email).toMatchObject({ value: 'a', origin: { app: crm } })
    takePass(work, binding, asJournalPosition(25), at)
    expect(work.state.lanes[crm]).toMatchObject({ intent: null, sent: { email: 'a' } })
    expect(shown('C2').state.lanes[crm]?.intent).toBeNull()
  })

  test('shows writes in their order: what looks like the second is a user’s as long as the first is to come', () => {
    const first = { ...overlay, native: { n_email: 'a' }, patch: { email: 'a' } }
    const second = { ...overlay, native: { n_phone: 'p' }, patch: { phone: 'p' } }
    const told = (email: string) => {
      const lane = laneOf({
        image: { n_email: email, n_phone: 'q' },
        sent: { email, phone: 'q' },
        overlays: [first, second],
      })
      const record = recordOf({ head: headOf({ email: 'a', phone: 'p' }), lanes: { [crm]: lane } })
      const work = new RecordWork(entityOf(), record, record, () => undefined)
      const image = { n_email: email, n_phone: 'p' }
      observeLogged(
        work,
        binding,
        { ...at, image, token: asToken('4'), sourceTimeMs: undefined, isRead: false },
        references,
      )
      return work.state.lanes[crm]?.overlays.length
    }
    expect([told('x'), told('a')]).toEqual([2, 0])
  })

  test('shows no write of a whole part where an element stands that it did not carry', () => {
    const lane = laneOf({
      image: { items: true, ...line(1), ...line(2), ...line(3) },
      sent: { ...held(1), ...held(2), ...held(3) },
      overlays: [overlay],
    })
    const record = recordOf({ head: headOf({ ...held(1), ...held(2), ...held(3) }), lanes: { [crm]: lane } })
    const work = new RecordWork(entityOf(), record, record, () => undefined)
    const image = { items: true, ...line(1), ...line(2) }
    observeLogged(
      work,
      binding,
      { ...at, image, token: asToken('4'), sourceTimeMs: undefined, isRead: false },
      references,
    )
    expect(work.state.lanes[crm]?.overlays).toEqual([overlay])
    expect(work.state.head['lines[3]']?.value).toBe(false)
  })

  test('shows an element that our write of the whole part took away: nobody has deleted it, it is put back', () => {
    const lane = laneOf({
      image: { items: true, ...line(1), ...line(2), ...line(3) },
      sent: { ...held(1), ...held(2), ...held(3) },
      overlays: [overlay],
    })
    const record = recordOf({
      head: headOf({ ...held(1), 'lines[2]': false, ...held(3) }, { app: crm }),
      lanes: { [crm]: lane },
    })
    const work = new RecordWork(entityOf(), record, record, () => undefined)
    const seen = { ...at, image: native, token: asToken('4'), sourceTimeMs: undefined, isRead: false }
    observeLogged(work, binding, seen, references)
    expect(work.state.head).toBe(record.head)
    expect(work.state.lanes[crm]).toMatchObject({ overlays: [], sent: { 'lines[3]': false } })
  })
})

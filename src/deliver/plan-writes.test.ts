import { describe, expect, test } from 'vitest'
import { bindingOf, classA, crm, frozen, headOf, intentOf, laneOf, recordOf, references } from '../merge/fake-record.ts'
import type { Capabilities } from '../model/capabilities.ts'
import type { BindingModel, PartMapping } from '../model/entity.ts'
import { asJournalPosition } from '../model/ids.ts'
import type { Intent, Lane } from '../model/record.ts'
import type { Fields, Image } from '../model/value.ts'
import { overlayOf, settleSilent, withOverlays, withWholeParts, withWholeSent } from './overlay.ts'
import { planLane } from './plan.ts'

/** What exactly a write carries, and what it is based on. */
const seq = asJournalPosition(20)
const memos: PartMapping = { part: 'notes', container: 'memos', key: 'no', keyType: 'text', fields: [] }
const logged: Capabilities = {
  ...classA,
  feed: 'F3',
  conditionOn: 'patch',
  mark: 'M2',
  reply: { token: false, image: false },
}
const bindingWith = (capabilities: Capabilities, more: Partial<BindingModel> = {}) =>
  bindingOf(crm, { capabilities, parts: [...bindingOf().parts, memos], ...more })

function written(head: Fields, lane: Lane, binding: BindingModel, deleted = false): Intent | null {
  const record = recordOf({ head: headOf(head), deleted })
  return planLane(frozen(record), frozen(lane), binding, {
    nowMs: 1000,
    seq,
    epoch: 3,
    opPrefix: 'i.1',
    takeSlot: () => true,
    nativeOf: references.nativeOf,
    referenceDeadlineMs: 60_000,
    isGone: () => false,
    isPausing: () => false,
    blocked: false,
    fresh: true,
  }).lane.intent
}

const sent: Fields = {
  email: 'e',
  phone: 'p',
  'lines[1]': true,
  'lines[1].qty': 1,
  'lines[2]': true,
  'lines[2].qty': 2,
  'notes[1]': true,
}
const image: Image = {
  n_email: 'e',
  n_phone: 'p',
  items: true,
  'items[1]': true,
  'items[1].n_qty': 1,
  'items[2]': true,
  'items[2].n_qty': 2,
  memos: true,
  'memos[1]': true,
}
const lane = laneOf({ sent, image })

describe('an update', () => {
  test('of one element carries that, and is based on what was there of it', () => {
    const intent = written({ ...sent, 'lines[1].qty': 7 }, lane, bindingWith(classA))
    expect(intent).toMatchObject({ kind: 'update', tries: 0, notBeforeMs: 0 })
    expect([intent?.patch, intent?.native]).toEqual([{ 'lines[1].qty': 7 }, { items: true, 'items[1].n_qty': 7 }])
    expect(intent?.baseImage).toEqual({ items: true, 'items[1].n_qty': 1 })
  })

  test('of a log-fed application carries the part whole, and nothing of other parts and fields', () => {
    const intent = written({ ...sent, 'lines[1].qty': 7 }, lane, bindingWith(logged))
    expect(intent?.patch).toEqual({ 'lines[1]': true, 'lines[1].qty': 7, 'lines[2]': true, 'lines[2].qty': 2 })
    expect(intent?.native).toEqual({
      items: true,
      'items[1]': true,
      'items[1].n_qty': 7,
      'items[2]': true,
      'items[2].n_qty': 2,
    })
    expect(intent?.baseImage).toEqual({
      items: true,
      'items[1]': true,
      'items[1].n_qty': 1,
      'items[2]': true,
      'items[2].n_qty': 2,
    })
  })

  test('is based on all that is known where the condition looks at all values', () => {
    const onAll = bindingWith({ ...classA, conditionOn: 'values' })
    expect(written({ ...sent, email: 'f' }, lane, onAll)?.baseImage).toEqual(image)
    expect(written({ ...sent, email: 'f' }, lane, bindingWith(logged))?.baseImage).toEqual({ n_email: 'e' })
  })

  test('claims nothing of a value of which nothing was known', () => {
    const intent = written({ ...sent, email: 'f' }, laneOf({ sent, image: { n_phone: 'p' } }), bindingWith(classA))
    expect(Object.keys(intent?.baseImage ?? {})).toEqual([])
  })

  test('needs nothing of what only a create needs or carries', () => {
    const binding = bindingWith(classA, { createNeeds: ['fax'], onCreate: { n_kind: 'k' } })
    expect(written({ ...sent, email: 'f' }, lane, binding)?.native).toEqual({ n_email: 'f' })
  })
})

test('a delete takes all away, so it is based on all where its condition looks at any value', () => {
  expect(written(sent, lane, bindingWith(logged), true)?.baseImage).toEqual(image)
  expect(written(sent, lane, bindingWith(classA), true)?.baseImage).toEqual({})
})

test('a create carries nothing of a former life, log-fed or not', () => {
  const former = laneOf({ sent, image, nativeId: null, exists: false })
  for (const capabilities of [classA, logged]) {
    const intent = written({ 'lines[3]': true, email: 'e' }, former, bindingWith(capabilities))
    expect([intent?.kind, intent?.patch]).toEqual(['create', { email: 'e', 'lines[3]': true }])
    expect(intent?.native).toEqual({ n_email: 'e', items: true, 'items[3]': true })
  }
})

describe('a part that is written whole', () => {
  const binding = bindingWith(logged)

  test('says all that is in it, as the patch has it where that says something else', () => {
    expect(withWholeSent(binding, { 'lines[1].qty': 9 }, sent)).toEqual({
      'lines[1]': true,
      'lines[1].qty': 9,
      'lines[2]': true,
      'lines[2].qty': 2,
    })
    expect(withWholeSent(binding, { 'lines[1]': false }, sent)).toEqual({
      'lines[1]': false,
      'lines[2]': true,
      'lines[2].qty': 2,
    })
    expect(withWholeSent(binding, { email: 'f' }, sent)).toEqual({ email: 'f' })
  })

  test('has the elements that are in it afterwards, and not the removals', () => {
    const native = { n_email: 'f', items: true, 'items[1]': false }
    const after = { n_email: 'f', n_phone: 'p', items: true, 'items[2]': true, 'items[2].n_qty': 2, 'memos[1]': true }
    expect(withWholeParts(binding, native, after)).toEqual({
      n_email: 'f',
      items: true,
      'items[2]': true,
      'items[2].n_qty': 2,
    })
    expect(withWholeParts(binding, { n_email: 'f' }, after)).toEqual({ n_email: 'f' })
  })

  test('replaces what the log has shown of it, and leaves all else that it has shown', () => {
    const native = { items: true, 'items[1]': true, 'items[1].n_qty': 7 }
    const patch = { 'lines[1]': true, 'lines[1].qty': 7 }
    const held = { ...lane, overlays: [overlayOf(intentOf({ patch, native }), null, seq, 0)] }
    const { image: shown, sent: stands } = withOverlays(held, binding)
    expect(stands).toEqual({ email: 'e', phone: 'p', ...patch, 'notes[1]': true })
    expect(shown).toEqual({ n_email: 'e', n_phone: 'p', ...native, memos: true, 'memos[1]': true })
  })

  test('that we emptied by taking an element out stands for nothing of it', () => {
    const native = { items: true, 'items[2]': true, 'items[2].n_qty': 2 }
    const patch = { 'lines[1]': false, 'lines[2]': true, 'lines[2].qty': 2 }
    const held = { ...lane, overlays: [overlayOf(intentOf({ patch, native }), null, seq, 0)] }
    expect(withOverlays(held, binding).sent).toEqual({ email: 'e', phone: 'p', ...patch, 'notes[1]': true })
  })
})

describe('what a log-fed application is known to hold', () => {
  const deleting = overlayOf(intentOf({ kind: 'delete', patch: {}, native: {} }), null, seq, 0)

  test('is what its log has shown, where it has shown all of ours', () => {
    expect(withOverlays(lane, bindingWith(logged))).toBe(lane)
  })

  test('is no record any more once we have deleted it, and none that nobody knows to be there', () => {
    const exists = (known: boolean | null) =>
      withOverlays({ ...lane, exists: known, overlays: [deleting] }, bindingWith(logged)).exists
    expect([exists(true), exists(false), exists(null)]).toEqual([false, false, null])
    const updating = overlayOf(intentOf(), null, seq, 0)
    expect(withOverlays({ ...lane, overlays: [updating] }, bindingWith(logged)).exists).toBe(true)
  })

  test('is left alone in fields that a silent write did not carry', () => {
    const silent = settleSilent(
      lane,
      overlayOf(intentOf({ patch: { email: 'E' }, native: { n_email: 'E' } }), null, seq, 0),
      bindingOf(),
    )
    expect(silent.sent).toStrictEqual({ ...sent, email: 'E' })
  })
})

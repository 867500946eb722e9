import { expect, test } from 'vitest'
import { type AppId, asAppId, asCanonicalKey } from '../model/ids.ts'
import type { Note } from '../model/record.ts'
import { BRAKE_NOTE, type BrakeState } from './brake-state.ts'
import { CONTACT_NOTE, FIRST_CONTACT, FirstContact } from './first-contact.ts'

const [a, b, c] = ['a', 'b', 'c'].map(asAppId) as [AppId, AppId, AppId]
const key = (i: number) => asCanonicalKey(`k${i}`)
const hold = (contact: FirstContact, count: number, from = a, to = b): number =>
  Array.from({ length: count }, (_, i) => contact.passes({ from, to }, key(i), true)).filter((passed) => passed).length

test('nothing leaves before all that is read for the first time is read, and then what is little goes by itself', () => {
  const contact = new FirstContact(100)
  contact.begin(a, 0)
  contact.begin(b, 0)
  expect(hold(contact, 100)).toBe(0)
  expect(contact.end(a, 1)).toEqual([])
  expect(hold(contact, 1)).toBe(0)
  expect(contact.end(b, 2).length).toBe(100)
  expect([contact.isOver, contact.tripped(), hold(contact, 5)]).toEqual([true, [], 5])
})

test('more creates than the limit wait for a person, over a restart too, and nothing else does', () => {
  const contact = new FirstContact(100)
  contact.begin(a, 0)
  hold(contact, 101)
  expect(contact.end(a, 5)).toEqual([])
  expect(contact.tripped()).toMatchObject([{ id: 'a>b:first-contact', count: 101, limit: 100, held: 101, sinceMs: 5 }])
  expect(hold(contact, 1, b, a)).toBe(1)
  expect(hold(contact, 1, a, c)).toBe(1)
  const brakes = contact.takeChanged().filter(({ kind }) => kind === BRAKE_NOTE)

  const after = new FirstContact(100)
  after.restore(
    [],
    brakes.map(({ body }) => body as unknown as BrakeState),
  )
  expect(hold(after, 101)).toBe(0)
  expect(after.release('b>a:first-contact', 6)).toBeUndefined()
  expect(after.release('a>b:first-contact', 6)?.length).toBe(101)
  expect(after.takeChanged()).toEqual([{ kind: BRAKE_NOTE, id: 'a>b:first-contact', atMs: 6, body: null }])
  expect([after.isOver, hold(after, 101)]).toEqual([true, 101])
})

test('a record that turns out to be the same is no create, and updates are not counted', () => {
  const contact = new FirstContact(100)
  contact.begin(a, 0)
  contact.begin(b, 0)
  hold(contact, 1_000)
  for (let i = 0; i < 950; i++) contact.forget(key(i), b)
  for (let i = 0; i < 500; i++) contact.passes({ from: a, to: b }, key(i), false)
  contact.end(a, 1)
  expect(contact.end(b, 1).length).toBe(550)
})

test('a first contact that was cut off is one again after a restart, and a yes given meanwhile counts', () => {
  const contact = new FirstContact(10)
  const notes: Note[] = [contact.begin(a, 0)]
  hold(contact, 50)
  expect(contact.release(FIRST_CONTACT, 1)?.length).toBe(50)
  expect(hold(contact, 50)).toBe(50)
  notes.push(...contact.takeChanged())
  expect(notes.map(({ kind, id }) => [kind, id])).toEqual([
    [CONTACT_NOTE, 'a'],
    [CONTACT_NOTE, '*'],
  ])
  const after = new FirstContact(10)
  after.restore(notes, [])
  expect([after.isReading(a), hold(after, 50)]).toEqual([true, 50])
  const unasked = new FirstContact(10)
  unasked.restore(notes.slice(0, 1), [])
  expect(hold(unasked, 50)).toBe(0)
  expect(unasked.end(a, 2)).toEqual([])
  expect(unasked.tripped().length).toBe(1)
})

test('off: everything goes as soon as it is known', () => {
  const contact = new FirstContact(null)
  contact.begin(a, 0)
  expect(hold(contact, 1_000)).toBe(1_000)
  expect(contact.end(a, 1)).toEqual([])
})

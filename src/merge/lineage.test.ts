import { describe, expect, test } from 'vitest'
import { asJournalPosition } from '../model/ids.ts'
import { type Lineage, lineageTo, readLineage } from '../model/lineage.ts'
import type { HeadCell } from '../model/record.ts'
import { crm } from './fake-record.ts'
import { comesBack, isNews, lineageOf } from './lineage.ts'

const HERE = 'here'
const seq = asJournalPosition(7)
const cellOf = (value: string, more: Partial<HeadCell['origin']> = {}): HeadCell => ({
  value,
  origin: { seq, app: crm, timeMs: 1_000, root: seq, hops: 0, ...more },
})
const lineage = (more: Partial<Lineage> = {}): Lineage => ({
  root: 'there:3',
  via: ['there'],
  atMs: 2_000,
  hops: 0,
  ...more,
})
const change = (value: string, natives: readonly string[] = ['city']) => ({
  path: 'city',
  element: null,
  value,
  natives,
})
const told = (byNative: Readonly<Record<string, Lineage>> = {}) => ({ instance: HERE, byNative })
const ours = lineage({ root: 'here:5', via: [HERE, 'there'] })

describe('what comes back around a ring of hubs', () => {
  test("a value of ours that stands is known; one that the head has gone on from is nobody's change", () => {
    expect(comesBack(told(), ours, change('Oslo'), cellOf('Oslo'))).toBe('same')
    expect(comesBack(told(), ours, change('Oslo'), cellOf('Paris'))).toBe('old')
  })

  test("a user's change at another hub is never taken for ours, whatever else its message carries", () => {
    expect(comesBack(told(), lineage(), change('Oslo'), cellOf('Paris'))).toBe(null)
    expect(comesBack(undefined, null, change('Oslo'), cellOf('Paris'))).toBe(null)
    expect(comesBack(told(), null, change('Oslo'), cellOf('Paris'))).toBe(null)
  })

  test('what an application elsewhere made of the very value that stands is an answer to it', () => {
    expect(comesBack(told(), lineage({ root: 'here:7', via: [HERE] }), change('OSLO'), cellOf('Oslo'))).toBe(null)
    const cell = cellOf('Oslo', { from: 'there:3', via: ['there'] })
    expect(comesBack(told(), lineage({ via: ['there', HERE] }), change('OSLO'), cell)).toBe(null)
  })

  test('the same value by a later change elsewhere is news; by an earlier one, or the same, it is not', () => {
    expect(isNews(told(), lineage(), cellOf('Oslo'))).toBe(true)
    expect(isNews(told(), lineage({ atMs: 500 }), cellOf('Oslo'))).toBe(false)
    expect(isNews(told(), lineage(), cellOf('Oslo', { from: 'there:3' }))).toBe(false)
    expect(isNews(undefined, null, cellOf('Oslo'))).toBe(false)
  })

  test('of a value that is read from several fields: ours only where all are, unknown where one is', () => {
    const both = change('x', ['a', 'b'])
    expect(lineageOf(told({ a: ours, b: lineage() }), both)).toEqual(lineage())
    expect(lineageOf(told({ a: ours, b: ours }), both)).toEqual(ours)
    expect(lineageOf(told({ a: ours }), both)).toBe(null)
  })
})

describe('what another hub is told', () => {
  test('the change and its time stay, and we are added once', () => {
    expect(lineageTo(HERE, cellOf('x').origin)).toEqual({ root: 'here:7', via: [HERE], atMs: 1_000, hops: 0 })
    const origin = cellOf('x', { from: 'there:3', via: ['there', HERE], hops: 2 }).origin
    expect(lineageTo(HERE, origin)).toEqual({ root: 'there:3', via: ['there', HERE], atMs: 1_000, hops: 2 })
  })

  test('what is nothing of the kind is no lineage, and of a mixture only what is', () => {
    for (const given of [null, 7, 'x', [], { city: 7 }, { city: lineage({ via: Array(33).fill('x') }) }])
      expect(readLineage(given)).toBe(null)
    for (const wrong of [{ root: '' }, { via: [7] }, { atMs: -1 }, { hops: 0.5 }])
      expect(readLineage({ city: { ...lineage(), ...wrong } })).toBe(null)
    expect(readLineage({ city: lineage(), mood: null })).toEqual({ city: lineage() })
  })
})

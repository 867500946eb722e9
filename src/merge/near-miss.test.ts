import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Value } from '../model/value.ts'
import { diagnose, diagnosisText } from './near-miss.ts'

const cases: readonly (readonly [Value, Value, string])[] = [
  ['12.3456', '12.35', 'rounds to 2 decimals'],
  ['12.3456', 12.3, 'rounds to 1 decimal'],
  ['12.50', '12.5', 'spells the same number in another way'],
  ['12.5', '99', 'keeps another value'],
  ['A long name of a customer', 'A long name', 'cuts at 11 characters'],
  ['Ada', 'ADA', 'upper-cases it'],
  ['Ada@Example.org', 'ada@example.org', 'lower-cases it'],
  ['  Ada ', 'Ada', 'trims the space around it'],
  ['a  b', 'a b', 'makes one space of several'],
  ['A\u030A', '\u00C5', 'keeps another Unicode form of it'],
  ['', null, 'keeps null for an empty text'],
  [null, '', 'keeps an empty text for null'],
  [['b', 'a'], ['a', 'b'], 'keeps the list in an order of its own'],
  ['red', 'blue', 'keeps another value'],
  [1, true, 'keeps another value'],
  ['', 'x', 'keeps another value'],
  ['x', null, 'keeps another value'],
  [null, 'x', 'keeps another value'],
  ['x', '', 'keeps another value'],
  ['x', 5, 'keeps another value'],
  [['a'], 'a', 'keeps another value'],
  ['12.3', '12.4', 'keeps another value'],
  ['13.0', '12', 'keeps another value'],
  ['12.395', '12.3', 'rounds to 1 decimal'],
  ['12.3456', '12.5', 'keeps another value'],
  ['12.345', '12', 'rounds to 0 decimals'],
  ['\uFB01ne', 'fine', 'keeps another Unicode form of it'],
  [' a  b ', 'a b', 'makes one space of several'],
  [' a  b', ' a b', 'makes one space of several'],
]

test('lists that hold integers too large for a number are compared by what they hold', () => {
  expect(diagnose([2n, 1n], [1n, 2n])).toEqual({ kind: 'reorders' })
  expect(diagnose([1n], [1])).toEqual({ kind: 'alters' })
  expect(diagnose(12n, '12.0')).toEqual({ kind: 'spells' })
})

test.each(cases)('%j kept as %j: the application %s', (written, found, text) => {
  expect(diagnosisText(diagnose(written, found))).toBe(text)
})

test('a limit of characters is what remains of the text', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 12, maxLength: 60 }), fc.integer({ min: 1, max: 11 }), (text, size) => {
      const found = text.slice(0, size)
      fc.pre(text.trim() !== found && !/^[+-]?\d/.test(text) && found.trim() !== '' && text.toUpperCase() !== found)
      fc.pre(text.replace(/\s+/g, ' ').trim() !== found && text.normalize('NFC') !== found.normalize('NFC'))
      expect(diagnose(text, found)).toEqual({ kind: 'cuts', size })
    }),
  )
})

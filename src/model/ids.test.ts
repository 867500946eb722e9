import fc from 'fast-check'
import { expect, test } from 'vitest'
import { asCanonicalKey, correlationIdOf, correlationOf, isOfLife } from './ids.ts'

const key = asCanonicalKey('01977420-dd22-7e33-b4b5-b43351fdbfe5')

test('a correlation id tells the key and the life that it was made for, and is the key itself in the first one', () => {
  expect(correlationIdOf(key, 0)).toBe(key)
  fc.assert(
    fc.property(fc.nat(100), (incarnation) => {
      const id = correlationIdOf(key, incarnation)
      const { key: told, life } = correlationOf(id)
      expect([told, isOfLife(life, incarnation), isOfLife(life, incarnation + 1)]).toEqual([key, true, false])
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/)
    }),
  )
})

test('a correlation id in a form of somebody else is taken as it is', () => {
  expect(correlationOf('certify-1')).toEqual({ key: 'certify-1', life: 0 })
  expect(correlationIdOf(asCanonicalKey('k1'), 3)).toBe('k1')
})

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bindingOf, canonicals, entityOf, headOf, imageOf, recordOf, SEED } from './fake-record.ts'
import { matchKeyOf, matchKeyOfRecord } from './match.ts'

fc.configureGlobal({ seed: SEED })

const entity = entityOf()
const binding = bindingOf()
const byTwo = entityOf({ match: ['email', 'phone'] })

describe('the match key', () => {
  test('of an image is that of the record which it makes', () => {
    fc.assert(
      fc.property(
        canonicals,
        (fields) =>
          matchKeyOf(byTwo, binding, imageOf(fields)) === matchKeyOfRecord(byTwo, recordOf({ head: headOf(fields) })),
      ),
    )
  })

  test('does not tell letter case, surrounding space and Unicode form apart', () => {
    const key = matchKeyOf(entity, binding, { n_email: 'rené@x.org' })
    for (const same of [' RENÉ@x.org ', 'rene\u0301@X.ORG'])
      expect(matchKeyOf(entity, binding, { n_email: same })).toBe(key)
    expect(matchKeyOf(entity, binding, { n_email: 'rene@x.org' })).not.toBe(key)
  })

  test('never matches what is empty, null, blank, or not all there', () => {
    for (const email of ['', null, '  ']) expect(matchKeyOf(entity, binding, { n_email: email })).toBeNull()
    expect(matchKeyOf(byTwo, binding, { n_email: 'a' })).toBeNull()
    expect(matchKeyOfRecord(byTwo, recordOf({ head: headOf({ email: 'a' }) }))).toBeNull()
    expect(matchKeyOfRecord(entity, recordOf({ head: headOf({ email: null }) }))).toBeNull()
  })

  test('does not run two fields together', () => {
    const keyOf = (email: string, phone: string) => matchKeyOf(byTwo, binding, { n_email: email, n_phone: phone })
    expect(keyOf('ab', 'c')).not.toBe(keyOf('a', 'bc'))
    expect(keyOf('a","b', 'c')).not.toBe(keyOf('a', 'b","c'))
  })

  test('is none for a deleted record, an entity without match, a field that is not mapped or cannot be read', () => {
    const head = headOf({ email: 'a' })
    expect(matchKeyOfRecord(entity, recordOf({ head }))).toBe('["a"]')
    expect(matchKeyOfRecord(entity, recordOf({ head, deleted: true }))).toBeNull()
    expect(matchKeyOfRecord(entityOf({ match: null }), recordOf({ head }))).toBeNull()
    expect(matchKeyOf(entityOf({ match: null }), binding, { n_email: 'a' })).toBeNull()
    expect(matchKeyOf(entityOf({ match: ['fax'] }), binding, { n_email: 'a' })).toBeNull()
    expect(matchKeyOf(entityOf({ match: ['score'] }), binding, { n_score: 'a' })).toBeNull()
    const fails = { ...binding.fields[1]!, decode: () => JSON.parse('{') }
    expect(matchKeyOf(entity, bindingOf(binding.app, { fields: [fails] }), { n_email: 'a' })).toBeNull()
  })
})

import { asCanonicalKey, asEntityName, asNativeId, asObjectId, asToken } from '../../model/ids.ts'
import { HINT_KEYS_MAX, type Store } from '../../ports/store.ts'
import { CUSTOMER, CUSTOMERS, loadQuery, ORDERS, refusalOf, sampleLink, WAREHOUSE } from './samples.ts'
import { type Expect, loadLinks, type Test } from './store-bench.ts'

export function crossReference(test: Test, expect: Expect): void {
  test('native ids are text: 007, 7 and stranger ones are different records', async (at) => {
    const ids = [
      '007',
      '7',
      '7.0',
      ' 7',
      '',
      "'; --",
      'ä',
      'a\u0308',
      '\u{1F510}',
      '["x"]',
      'A',
      'a',
      'nul\u0000a',
      'nul\u0000b',
    ]
    await at.commit({ links: ids.map((id, i) => sampleLink(id, `k${i}`)) })
    const natives = ids.map((id) => ({ app: ORDERS, object: CUSTOMERS, nativeId: asNativeId(id) }))
    const { links } = await at.store.load(loadQuery({ natives }))
    expect(links.length).toBe(ids.length)
    for (const link of links) expect(link.key).toBe(`k${ids.indexOf(link.nativeId)}`)
  })

  test('one native row may feed two entities, and two objects may feed one', async (at) => {
    const asContact = sampleLink('n1', 'k2', { entity: asEntityName('contact') })
    const other = sampleLink('n1', 'k3', { object: asObjectId('clients') })
    await at.commit({ links: [sampleLink('n1', 'k1'), asContact, other] })
    const found = await loadLinks(at.store, 'n1')
    expect(found.map(({ entity }) => entity).sort()).toEqual(['contact', 'customer'])
  })

  test('a canonical record has one live native record per app and entity', async (at) => {
    await at.commit({ links: [sampleLink('n1', 'k1'), sampleLink('w1', 'k1', { app: WAREHOUSE })] })
    const second = at.commit({ links: [sampleLink('n2', 'k1')] })
    expect(await refusalOf(second)).toBe('store.link-taken')
    const canonicals = [{ key: asCanonicalKey('k1'), app: ORDERS }]
    expect((await at.store.load(loadQuery({ canonicals }))).canonicalLinks).toEqual([sampleLink('n1', 'k1')])
  })

  test('a live native record does not pass to another canonical record', async (at) => {
    await at.commit({ links: [sampleLink('n1', 'k1')] })
    expect(await refusalOf(at.commit({ links: [sampleLink('n1', 'k2')] }))).toBe('store.link-taken')
    await at.commit({ links: [sampleLink('n1', 'k1', { incarnation: 1 })] })
    expect(await loadLinks(at.store, 'n1')).toEqual([sampleLink('n1', 'k1', { incarnation: 1 })])
  })

  test('a live native record passes to the record that a person said it is of, from the one named and no other', async (at) => {
    await at.commit({ links: [sampleLink('n1', 'k1')] })
    const moved = { ...sampleLink('n1', 'k2'), from: asCanonicalKey('k1') }
    expect(await refusalOf(at.commit({ links: [{ ...moved, from: asCanonicalKey('k3') }] }))).toBe('store.link-taken')
    await at.commit({ links: [moved] })
    expect(await loadLinks(at.store, 'n1')).toEqual([sampleLink('n1', 'k2')])
    const canonicals = [{ key: asCanonicalKey('k1'), app: ORDERS }]
    expect((await at.store.load(loadQuery({ canonicals }))).canonicalLinks).toEqual([])
  })

  test('a tombstone takes no place: the id may be linked anew, and the record elsewhere', async (at) => {
    const gone = sampleLink('n1', 'k1', { state: 'tombstone', token: asToken('9') })
    await at.commit({ links: [sampleLink('n1', 'k1')] })
    await at.commit({ links: [gone, sampleLink('n2', 'k1')] })
    const canonicals = [{ key: asCanonicalKey('k1'), app: ORDERS }]
    expect((await at.store.load(loadQuery({ canonicals }))).canonicalLinks).toEqual([sampleLink('n2', 'k1')])
    expect(await loadLinks(at.store, 'n1')).toEqual([gone])
    const anew = sampleLink('n1', 'k2', { incarnation: 1 })
    await at.commit({ links: [anew] })
    expect(await loadLinks(at.store, 'n1')).toEqual([anew])
  })

  test('a native id that was deleted before it was linked leaves a tombstone', async (at) => {
    const gone = sampleLink('n1', null, { token: asToken('12') })
    await at.commit({ links: [gone] })
    expect(await loadLinks(at.store, 'n1')).toEqual([gone])
  })

  test('the rows of one batch count in their order', async (at) => {
    const gone = sampleLink('n1', 'k1', { state: 'tombstone' })
    await at.commit({ links: [sampleLink('n1', 'k1'), gone, sampleLink('n1', 'k2'), sampleLink('n2', 'k1')] })
    expect(await loadLinks(at.store, 'n1')).toEqual([sampleLink('n1', 'k2')])
    expect(await loadLinks(at.store, 'n2')).toEqual([sampleLink('n2', 'k1')])
  })
}

/** Values that many records may share. */
export function hintValues(test: Test, expect: Expect): void {
  const hint = 'phone=["123"]'
  const sharing = async (store: Store) =>
    ((await store.load(loadQuery({ hints: [{ entity: CUSTOMER, hint }] }))).hints ?? []).map(({ key }) => key)
  const row = (key: string, isGone = false) => ({ entity: CUSTOMER, hint, key: asCanonicalKey(key), isGone })

  test('any number of records share a hint value, told in the order of their keys, until each has it no more', async (at) => {
    await at.commit({ hints: [row('k2'), row('k1'), row('k2'), { ...row('k9'), hint: 'phone=["124"]' }] })
    expect(await sharing(at.store)).toEqual(['k1', 'k2'])
    await at.commit({ hints: [row('k1', true), row('k3', true)] })
    await at.reopen()
    expect(await sharing(at.store)).toEqual(['k2'])
    await at.commit({ hints: [row('k2', true)] })
    expect(await sharing(at.store)).toEqual([])
  })

  test('of a hint value that too many share no more are told than show that', async (at) => {
    const keys = Array.from({ length: HINT_KEYS_MAX + 5 }, (_, i) => `k${100 + i}`)
    await at.commit({ hints: keys.map((key) => row(key)) })
    expect(await sharing(at.store)).toEqual(keys.slice(0, HINT_KEYS_MAX))
  })
}

export function matchKeys(test: Test, expect: Expect): void {
  const asked = { entity: CUSTOMER, matchKey: 'ada@example.org' }
  const found = async (store: Store) => (await store.load(loadQuery({ matches: [asked] }))).matches

  test('a match key belongs to one record until it is taken away', async (at) => {
    const k1 = asCanonicalKey('k1')
    const k2 = asCanonicalKey('k2')
    await at.commit({ matches: [{ ...asked, key: k1 }] })
    await at.commit({ matches: [{ ...asked, key: k1 }] })
    expect(await refusalOf(at.commit({ matches: [{ ...asked, key: k2 }] }))).toBe('store.link-taken')
    expect(await found(at.store)).toEqual([{ ...asked, key: k1 }])
    await at.commit({
      matches: [
        { ...asked, key: null },
        { ...asked, key: k2 },
      ],
    })
    expect(await found(at.store)).toEqual([{ ...asked, key: k2 }])
    await at.commit({ matches: [{ ...asked, key: null }] })
    expect(await found(at.store)).toEqual([])
  })

  test('the same text is another match key for another entity', async (at) => {
    const contact = asEntityName('contact')
    await at.commit({
      matches: [
        { ...asked, key: asCanonicalKey('k1') },
        { ...asked, entity: contact, key: asCanonicalKey('k2') },
      ],
    })
    expect(await found(at.store)).toEqual([{ ...asked, key: 'k1' }])
  })
}

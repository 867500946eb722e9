import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hashText, valueText } from './hash.ts'
import { IdTable } from './id-table.ts'
import { PairTable } from './pair-table.ts'

const hash = (text: string) => {
  const into = { hi: 0, lo: 0 }
  hashText(text, into)
  return into
}

/** What the table is to say, worked out with plain maps. */
function expected(records: readonly (readonly [app: number, id: number, value: number])[], apps: number) {
  const byId = new Map<number, number[][]>()
  for (const [app, id, value] of records) {
    const copies = byId.get(id) ?? Array.from({ length: apps }, () => [])
    copies[app]?.push(value)
    byId.set(id, copies)
  }
  const counts = { equal: 0, different: 0, doubled: 0, partial: 0 }
  for (const copies of byId.values()) {
    if (copies.some((own) => own.length > 1)) counts.doubled++
    else if (copies.some((own) => own.length === 0)) counts.partial++
    else if (new Set(copies.flat()).size === 1) counts.equal++
    else counts.different++
  }
  return counts
}

test('equal, different, missing and doubled records are told apart, in any order, over growth and a checkpoint', () => {
  const record = (apps: number) => fc.tuple(fc.nat(apps - 1), fc.nat(3_000), fc.constantFrom(1, 1, 1, 2))
  const world = fc.integer({ min: 2, max: 4 }).chain((apps) =>
    fc.record({
      apps: fc.constant(apps),
      records: fc.array(record(apps), { maxLength: 400 }),
      bulk: fc.constantFrom(0, 5_000),
    }),
  )
  fc.assert(
    fc.property(world, ({ apps, records, bulk }) => {
      const all = [...records]
      for (let id = 10_000; id < 10_000 + bulk; id++) for (let app = 0; app < apps; app++) all.push([app, id, 1])
      let table = new PairTable(apps)
      for (const [i, [app, id, value]] of all.entries()) {
        const factor = app === 0 ? 1 - apps : 1
        const { hi, lo } = hash(`v${value}`)
        table.add(app, hash(`id${id}`), { hi: Math.imul(hi, factor) >>> 0, lo: Math.imul(lo, factor) >>> 0 }, 1)
        if (i === Math.floor(all.length / 2)) table = PairTable.load(table.dump())
      }
      const { equal, different, doubled, partial } = table.summary((seen) => seen === (1 << apps) - 1)
      const sum = [...partial.values()].reduce((total, count) => total + count, 0)
      expect({ equal, different, doubled, partial: sum }).toEqual(expected(all, apps))
    }),
    { numRuns: 60, seed: 7 },
  )
})

test('an id table gives back what was put in, and nothing else', () => {
  const table = new IdTable()
  for (let i = 0; i < 20_000; i++) table.set(hash(`k${i}`), hash(`v${i}`))
  const into = { hi: 0, lo: 0 }
  for (let i = 0; i < 20_000; i++) {
    expect(table.get(hash(`k${i}`), into)).toBe(true)
    expect(into).toEqual(hash(`v${i}`))
  }
  for (let i = 0; i < 1_000; i++) expect(table.get(hash(`other${i}`), into)).toBe(false)
})

test('values have one text exactly where they are equal', () => {
  expect(valueText(5)).toBe(valueText(5n))
  expect(valueText(0)).toBe(valueText(-0))
  const all = [
    null,
    true,
    false,
    0,
    1,
    '1',
    '',
    'null',
    ['a', 'b'],
    ['ab'],
    [['a'], 'b'],
    ['a', ['b']],
    [1],
    ['1'],
    2n ** 70n,
  ]
  expect(new Set(all.map((value) => valueText(value as never))).size).toBe(all.length)
})

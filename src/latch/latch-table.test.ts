import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type AppId,
  asAppId,
  asCanonicalKey,
  asNativeId,
  asObjectId,
  asOpId,
  type CanonicalKey,
  type NativeId,
  type ObjectId,
  type OpId,
} from '../model/ids.ts'
import { LatchTable } from './latch-table.ts'

fc.configureGlobal({ seed: 20_260_303 })

const apps = ['crm', 'erp'].map(asAppId)
const objects = ['clients', 'orders'].map(asObjectId)
const keys = ['c1', 'c2', 'c3', 'c4'].map(asCanonicalKey)
const natives = (key: CanonicalKey): NativeId => asNativeId('n' + key)

interface Closed {
  readonly app: AppId
  readonly object: ObjectId
  readonly nativeId: NativeId | null
  readonly key: CanonicalKey
  readonly op: OpId
}
const steps = fc.record({
  does: fc.constantFrom('close', 'close', 'create', 'open', 'clear'),
  app: fc.constantFrom(...apps),
  object: fc.constantFrom(...objects),
  key: fc.constantFrom(...keys),
  op: fc.nat(99).map((n) => asOpId('op' + n)),
  rare: fc.nat(9),
})

function expectSame(table: LatchTable, naive: ReadonlyMap<string, Closed>): void {
  const all = [...naive.values()]
  expect(table.size).toBe(all.length)
  for (const app of apps) {
    for (const key of keys) {
      const latch = all.find((one) => one.app === app && one.key === key)
      expect(table.isClosed(app, key)).toBe(latch !== undefined)
      expect(table.opOfLane(app, key)).toBe(latch?.op)
      for (const object of objects) {
        const held = latch?.object === object && latch.nativeId !== null ? latch.op : undefined
        expect(table.opOf(app, object, natives(key))).toBe(held)
      }
    }
    for (const object of objects) {
      const creates = all.filter((one) => one.app === app && one.object === object && one.nativeId === null)
      expect([...table.openCreates(app, object)].sort()).toEqual(creates.map((one) => one.key).sort())
    }
  }
}

describe('the latch table', () => {
  test('is what a plain map of closed latches is, under any order of close and open', () => {
    fc.assert(
      fc.property(fc.array(steps, { maxLength: 40 }), (all) => {
        const table = new LatchTable()
        const naive = new Map<string, Closed>()
        for (const { does, app, object, key, op, rare } of all) {
          if (does === 'open') {
            table.open(app, key)
            naive.delete(app + key)
          } else if (does === 'clear') {
            if (rare > 0) continue
            table.clear()
            naive.clear()
          } else {
            const nativeId = does === 'create' ? null : natives(key)
            table.close(app, object, nativeId, key, op)
            naive.set(app + key, { app, object, nativeId, key, op })
          }
        }
        expectSame(table, naive)
      }),
      { numRuns: 300 },
    )
  })

  test('opening twice is opening once, and opening what is not closed is nothing', () => {
    const table = new LatchTable()
    const [app, object, key] = [apps[0] as AppId, objects[0] as ObjectId, keys[0] as CanonicalKey]
    table.open(app, key)
    table.close(app, object, natives(key), key, asOpId('op1'))
    table.open(app, key)
    table.open(app, key)
    expect([table.size, table.isClosed(app, key), table.opOf(app, object, natives(key))]).toEqual([0, false, undefined])
  })

  test('a create whose native id became known is no open create any more', () => {
    const table = new LatchTable()
    const [app, object, key] = [apps[0] as AppId, objects[0] as ObjectId, keys[0] as CanonicalKey]
    table.close(app, object, null, key, asOpId('op1'))
    expect([...table.openCreates(app, object)]).toEqual([key])
    table.close(app, object, natives(key), key, asOpId('op2'))
    expect([...table.openCreates(app, object)]).toEqual([])
    expect([table.size, table.opOf(app, object, natives(key))]).toEqual([1, 'op2'])
  })
})

test('two entities that follow one native row each have a latch on it: opening the older leaves the newer closed', () => {
  const table = new LatchTable()
  const [app, object, row] = [asAppId('crm'), asObjectId('clients'), asNativeId('1')]
  table.close(app, object, row, asCanonicalKey('c1'), asOpId('op1'))
  table.close(app, object, row, asCanonicalKey('c2'), asOpId('op2'))
  table.open(app, asCanonicalKey('c1'))
  expect(table.opOf(app, object, row)).toBe('op2')
})

import { describe, expect, test } from 'vitest'
import { SyncError } from '../../errors/index.ts'
import { asCanonicalKey, asJournalPosition } from '../../model/ids.ts'
import { journalSuite } from '../../testing/suites/journal-suite.ts'
import { loadQuery, newRecord, sampleBatch, sampleEntry, sampleRecord } from '../../testing/suites/samples.ts'
import { storeSuite } from '../../testing/suites/store-suite.ts'
import { MemoryJournal } from './journal.ts'
import { MemoryStore } from './store.ts'

const runner = { describe, test, expect }

storeSuite(runner, 'in memory', async () => {
  const store = new MemoryStore({ instanceId: 'test' })
  return { store: () => store, [Symbol.asyncDispose]: async () => {} }
})

journalSuite(runner, 'in memory', async () => {
  let failing: 'full' | 'failed' | null = null
  const journal = new MemoryJournal({
    fault: () => {
      const how = failing
      failing = null
      if (how !== null) throw new SyncError(`journal.${how}`, 'the disk fails, as the test asked')
    },
  })
  return {
    open: async () => journal,
    failNextAppend: (how: 'full' | 'failed') => {
      failing = how
    },
    [Symbol.asyncDispose]: async () => {},
  }
})

describe('memory as a disk', () => {
  test('the store survives its engine: a second opening fences the first', async () => {
    const store = new MemoryStore({ instanceId: 'test' })
    const first = await store.open()
    await store.commit(sampleBatch(first.epoch, { records: [newRecord(sampleRecord('k1'))] }))
    const second = await store.open()
    const late = store.commit(sampleBatch(first.epoch, { records: [newRecord(sampleRecord('k2'))] }))
    await expect(late).rejects.toMatchObject({ code: 'store.fenced' })
    await store.commit(sampleBatch(second.epoch, { records: [newRecord(sampleRecord('k1', { rev: 2 }))] }))
    expect([...store.records()].map(({ key, rev }) => [key, rev])).toEqual([['k1', 2]])
  })

  test('a fault before an operation leaves no trace; a fault after it only hides that it was done', async () => {
    let failAt: 'before' | 'after' | null = null
    const fault = (operation: string, when: 'before' | 'after') => {
      if ((operation === 'commit' || operation === 'append') && when === failAt) throw new Error(when)
    }
    const store = new MemoryStore({ instanceId: 'test', fault })
    const journal = new MemoryJournal({ fault })
    const { epoch } = await store.open()
    const commit = () => store.commit(sampleBatch(epoch, { records: [newRecord(sampleRecord('k1'))] }))
    const stored = async () => (await store.load(loadQuery({ records: [asCanonicalKey('k1')] }))).records.length
    failAt = 'before'
    await expect(commit()).rejects.toThrow('before')
    await expect(journal.append({ entries: [sampleEntry('n1')] })).rejects.toThrow('before')
    expect([await stored(), journal.last()]).toEqual([0, 0])
    failAt = 'after'
    await expect(commit()).rejects.toThrow('after')
    await expect(journal.append({ entries: [sampleEntry('n1')] })).rejects.toThrow('after')
    expect([await stored(), journal.last()]).toEqual([1, 1])
    failAt = null
    expect((await journal.read(asJournalPosition(0), 9)).length).toBe(1)
  })

  test('a restored store names another generation', async () => {
    const store = new MemoryStore({ instanceId: 'test' })
    const { generation } = await store.open()
    store.raiseGeneration()
    expect((await store.open()).generation).toBe(generation + 1)
  })
})

import { expect, test } from 'vitest'
import type { JournalEntry } from '../model/change.ts'
import { asJournalPosition } from '../model/ids.ts'
import { MemoryJournal } from '../stores/memory/journal.ts'
import { sampleChange, sampleEntry } from '../testing/suites/samples.ts'
import { Tail } from './tail.ts'

const inTx = (id: string, index: number, last: boolean) =>
  sampleEntry(`${id}${index}`, {
    input: { type: 'notification', change: sampleChange(`${id}${index}`, { sourceTx: { id, index, last } }) },
  })

async function filled(tailMax: number): Promise<Tail> {
  const journal = new MemoryJournal()
  const entries = [sampleEntry('a'), ...[0, 1, 2, 3].map((i) => inTx('t', i, i === 3)), sampleEntry('b')]
  await journal.append({ entries })
  const tail = new Tail(journal, tailMax)
  for (const entry of await journal.read(asJournalPosition(0), 100)) tail.push(entry)
  return tail
}

const seqs = (entries: readonly JournalEntry[]): number[] => entries.map(({ seq }) => seq)

test.each([100, 2])(
  'a source transaction is taken whole, however few entries are asked for (%i kept in memory)',
  async (tailMax) => {
    const tail = await filled(tailMax)
    expect(seqs(await tail.take(1))).toEqual([1])
    expect(seqs(await tail.take(2))).toEqual([2, 3, 4, 5])
    expect(seqs(await tail.take(2))).toEqual([6])
  },
)

test('what follows a transaction without its end is not taken for a part of it', async () => {
  const journal = new MemoryJournal()
  await journal.append({ entries: [inTx('t', 0, false), sampleEntry('b'), sampleEntry('c')] })
  const tail = new Tail(journal, 100)
  expect(seqs(await tail.take(1))).toEqual([1, 2])
  expect(seqs(await tail.take(1))).toEqual([3])
})

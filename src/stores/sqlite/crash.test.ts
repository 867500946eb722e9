import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { asCanonicalKey, asJournalPosition } from '../../model/ids.ts'
import { VERDICTS_MAX } from '../../model/record.ts'
import { loadQuery } from '../../testing/suites/samples.ts'
import { SqliteJournal } from './journal.ts'
import { SqliteStore } from './store.ts'

/**
 * A process that appends and commits without end, and says on its output what was acknowledged, as a sender would be told. Small files, so that
 * it also dies while a new one is begun.
 */
const CHILD = `
  import { writeSync } from 'node:fs'
  const [sqlite, samples, folder] = process.argv.slice(1)
  const { SqliteJournal, SqliteStore } = await import(sqlite)
  const { sampleBatch, sampleEntry, sampleRecord, sampleVerdict, newRecord, loadQuery } = await import(samples)
  const journal = await SqliteJournal.open({ folder, segmentBytesMax: 300_000 })
  const store = new SqliteStore({ path: folder + '/state.db' })
  const { epoch } = await store.open()
  writeSync(1, 'open ' + epoch + '\\n')
  let rev = (await store.load(loadQuery({ records: ['k1'] }))).records[0]?.rev ?? 0
  const appending = async (name) => {
    for (let n = 0; ; n++) {
      const id = name + '.' + epoch + '.' + n
      const feeds = [{ app: 'orders', feed: name, position: String(n) }]
      const [seq] = await journal.append({ entries: [sampleEntry(id, { dedupKey: id })], feeds })
      writeSync(1, 'appended ' + seq + ' ' + id + '\\n')
    }
  }
  const committing = async () => {
    for (;;) {
      rev++
      const write = newRecord(sampleRecord('k1', { rev }), { verdicts: [sampleVerdict(rev)] })
      await store.commit(sampleBatch(epoch, { records: [write], cursor: { consumer: 'sync', position: rev } }))
      writeSync(1, 'committed ' + rev + '\\n')
      await new Promise(setImmediate)
    }
  }
  await Promise.all([appending('a'), appending('b'), appending('c'), committing()])
`

const ROUNDS = 6

/** Runs the process on the folder for a while, kills it as the kernel would, and gives what it said. */
async function runAndKill(folder: string, afterMs: number): Promise<readonly string[]> {
  const modules = ['./index.ts', '../../testing/suites/samples.ts'].map((path) => new URL(path, import.meta.url).href)
  const child = spawn(process.execPath, ['--input-type=module', '-e', CHILD, ...modules, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.setEncoding('utf8')
  child.stdout.on('data', (text) => {
    if (output === '') setTimeout(() => child.kill('SIGKILL'), afterMs)
    output += text
  })
  await new Promise((closed) => child.on('close', closed))
  return output.slice(0, output.lastIndexOf('\n')).split('\n')
}

describe('a process that is killed', () => {
  test('nothing acknowledged is lost when the process dies, and the next one may open at once', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'latchwork-crash-'))
    try {
      const appended = new Map<number, string>()
      let committed = 0
      for (let round = 1; round <= ROUNDS; round++) {
        const lines = (await runAndKill(folder, 40 + 45 * round)).map((line) => line.split(' '))
        expect(lines[0]).toEqual(['open', String(2 * round - 1)])
        for (const [what, n, id] of lines) {
          if (what === 'appended') appended.set(Number(n), id as string)
          if (what === 'committed') committed = Number(n)
        }
        committed = await checkFolder(folder, appended, committed)
      }
      expect(appended.size).toBeGreaterThan(100)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

/** Everything that was acknowledged is there, in whole transactions. Returns the rev that the record is at. */
async function checkFolder(folder: string, appended: Map<number, string>, committed: number): Promise<number> {
  await using journal = await SqliteJournal.open({ folder, segmentBytesMax: 300_000 })
  await using store = new SqliteStore({ path: join(folder, 'state.db') })
  await store.open()
  const entries = await journal.read(asJournalPosition(0), 1_000_000)
  expect(entries.map(({ seq }) => seq)).toEqual(Array.from({ length: journal.last() }, (_, i) => i + 1))
  const ids = entries.map(({ input }) => (input.type === 'notification' ? (input.change.nativeId as string) : ''))
  for (const [seq, id] of appended) expect(ids[seq - 1]).toBe(id)
  expect(new Set(ids).size).toBe(ids.length)
  for (const name of ['a', 'b', 'c']) {
    const last = ids.findLast((id) => id.startsWith(name))
    expect(await journal.feed('orders' as never, name)).toBe(last?.split('.')[2])
  }
  const rev = (await store.load(loadQuery({ records: [asCanonicalKey('k1')] }))).records[0]?.rev ?? 0
  expect(rev).toBeGreaterThanOrEqual(committed)
  expect(await store.cursor('sync')).toBe(rev)
  const verdicts = await store.verdicts(asCanonicalKey('k1'))
  const newest = Array.from({ length: Math.min(rev, VERDICTS_MAX) }, (_, i) => rev - i)
  expect(verdicts.map(({ seq }) => seq)).toEqual(newest)
  return rev
}

import { fdatasync, fdatasyncSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { sampleBatch, sampleEntry, sampleRecord } from '../../testing/suites/samples.ts'
import { SqliteJournal } from './journal.ts'
import type { FileSync } from './log-sync.ts'
import { SqliteStore } from './store.ts'

const folder = mkdtempSync(join(tmpdir(), 'latchwork-sync-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A disk whose syncs are counted, and held or failed when it is told to. */
function slowDisk() {
  const disk = {
    syncs: 0,
    failing: false,
    held: [] as (() => void)[],
    isHolding: false,
    later(file: number, done: (error: Error | null) => void) {
      disk.syncs++
      const end = (): void => (disk.failing ? done(new Error('EIO')) : fdatasync(file, done))
      if (disk.isHolding) disk.held.push(end)
      else end()
    },
    now(file: number) {
      disk.syncs++
      if (disk.failing) throw new Error('EIO')
      fdatasyncSync(file)
    },
  } satisfies FileSync & Record<string, unknown>
  return disk
}

const writes = (from: number, count: number) =>
  Array.from({ length: count }, (_, i) => ({
    state: sampleRecord(`k${from + i}`, { rev: 1, lanes: {} }),
    expectRev: 0,
    verdicts: [],
    openLanes: [],
  }))

const settled = async (promise: Promise<unknown>): Promise<boolean> => {
  let done = false
  promise.then(
    () => (done = true),
    () => (done = true),
  )
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
  return done
}

for (const [size, count] of [
  ['one record', 1],
  ['many records', 50],
] as const) {
  test(`a commit of ${size} has been synced when it resolves`, async () => {
    const disk = slowDisk()
    await using store = new SqliteStore({ path: join(folder, `state-${count}.db`), fileSync: disk })
    const { epoch } = await store.open()
    const before = disk.syncs
    await store.commit(sampleBatch(epoch, { records: writes(0, count) }))
    expect(disk.syncs).toBe(before + 1)
  })
}

test('neither a large commit nor the one behind it resolves while the disk has not taken the first', async () => {
  const disk = slowDisk()
  await using store = new SqliteStore({ path: join(folder, 'held.db'), fileSync: disk })
  const { epoch } = await store.open()
  disk.isHolding = true
  const first = store.commit(sampleBatch(epoch, { records: writes(0, 50) }))
  const second = store.commit(sampleBatch(epoch, { records: writes(50, 1) }))
  expect([await settled(first), await settled(second)]).toEqual([false, false])
  disk.isHolding = false
  for (const end of disk.held) end()
  await Promise.all([first, second])
})

test('an append is acknowledged only when the disk has it', async () => {
  const disk = slowDisk()
  await using journal = await SqliteJournal.open({ folder: join(folder, 'journal'), fileSync: disk })
  disk.isHolding = true
  const appending = journal.append({ entries: Array.from({ length: 9 }, (_, i) => sampleEntry(`e${i}`)) })
  expect(await settled(appending)).toBe(false)
  expect(journal.last()).toBe(0)
  disk.isHolding = false
  for (const end of disk.held) end()
  expect((await appending).at(-1)).toBe(9)
  const before = disk.syncs
  await journal.append({ entries: [sampleEntry('alone')] })
  expect(disk.syncs).toBe(before + 1)
})

describe.each([1, 9])('after the disk has failed to sync %i at once', (count) => {
  test('the store takes no more, because what it has is not known', async () => {
    const disk = slowDisk()
    await using store = new SqliteStore({ path: join(folder, `broken-${count}.db`), fileSync: disk })
    const { epoch } = await store.open()
    disk.failing = true
    await expect(store.commit(sampleBatch(epoch, { records: writes(0, count) }))).rejects.toMatchObject({
      code: 'store.failed',
    })
    disk.failing = false
    await expect(store.commit(sampleBatch(epoch, { records: writes(90, 1) }))).rejects.toThrow('start the hub again')
  })

  test('the journal takes no more, and has acknowledged nothing of it', async () => {
    const disk = slowDisk()
    await using journal = await SqliteJournal.open({ folder: join(folder, `broken-${count}`), fileSync: disk })
    disk.failing = true
    const entries = Array.from({ length: count }, (_, i) => sampleEntry(`e${i}`))
    await expect(journal.append({ entries })).rejects.toMatchObject({ code: 'journal.failed' })
    expect(journal.last()).toBe(0)
    disk.failing = false
    await expect(journal.append({ entries })).rejects.toThrow('start the hub again')
  })
})

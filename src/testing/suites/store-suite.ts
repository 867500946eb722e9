import { asCanonicalKey, asJournalPosition, asToken } from '../../model/ids.ts'
import type { RecordState } from '../../model/record.ts'
import { VERDICTS_MAX } from '../../model/record.ts'
import type { SuiteRunner } from './app-driver.ts'
import {
  CUSTOMER,
  loadQuery,
  newRecord,
  ORDERS,
  refusalOf,
  sampleBatch,
  sampleConflict,
  sampleHeld,
  sampleIntent,
  sampleLane,
  sampleLink,
  sampleOpenLane,
  sampleOverlay,
  sampleRecord,
  sampleVerdict,
  WAREHOUSE,
} from './samples.ts'
import {
  type Expect,
  loadLinks,
  loadRecord,
  type Opened,
  openOn,
  type StoreBench,
  type Test,
  wholeBatch,
} from './store-bench.ts'
import { crossReference, hintValues, matchKeys } from './store-links.ts'
import { forPeople, recovery } from './store-listings.ts'

/** What every store promises. Give it the runner (vitest's describe, test and expect) and a way to make an empty place. */
export function storeSuite(runner: SuiteRunner, name: string, newBench: () => Promise<StoreBench>): void {
  const { describe, expect } = runner
  const opened = () => openOn(newBench)
  const test = (title: string, body: (at: Opened) => Promise<void>) =>
    runner.test(title, async () => {
      await using at = await opened()
      await body(at)
    })

  describe(`store ${name}`, () => {
    describe('identity', () => identity(test, expect))
    describe('records', () => records(test, expect))
    describe('atomic commits', () => atomicity(test, expect))
    describe('cross-reference', () => crossReference(test, expect))
    describe('match keys', () => matchKeys(test, expect))
    describe('hints', () => hintValues(test, expect))
    describe('recovery', () => recovery(test, expect))
    describe('for people', () => forPeople(test, expect))
  })
}

function identity(test: Test, expect: Expect): void {
  test('a store keeps its instance id and generation, and every opening raises the epoch', async (at) => {
    await at.reopen()
    const before = at.epoch
    await at.store.close()
    const info = await at.store.open()
    await at.reopen()
    expect(at.epoch).toBe(before + 2)
    const again = await reopenedInfo(at)
    expect(again.instanceId).toBe(info.instanceId)
    expect(again.generation).toBe(info.generation)
    expect(again.schemaVersion).toBe(info.schemaVersion)
  })

  test('a commit of an owner whose epoch has passed is refused, and nothing of it is visible', async (at) => {
    const old = at.epoch
    await at.reopen()
    const zombie = at.store.commit(sampleBatch(old, { records: [newRecord(sampleRecord('k1'))] }))
    expect(await refusalOf(zombie)).toBe('store.fenced')
    expect(await loadRecord(at.store, 'k1')).toBe(undefined)
  })
}

async function reopenedInfo(at: Opened) {
  await at.store.close()
  return at.store.open()
}

function records(test: Test, expect: Expect): void {
  test('a record comes back exactly as it was committed, after a restart too', async (at) => {
    const state = fullRecord()
    await at.commit({ records: [newRecord(state)] })
    expect(await loadRecord(at.store, 'k1')).toEqual(state)
    await at.reopen()
    expect(await loadRecord(at.store, 'k1')).toEqual(state)
  })

  test('an unknown record is left out of what is loaded', async (at) => {
    await at.commit({ records: [newRecord(sampleRecord('k1')), newRecord(sampleRecord('k3'))] })
    const keys = ['k1', 'k2', 'k3'].map(asCanonicalKey)
    const loaded = await at.store.load(loadQuery({ records: keys }))
    expect(loaded.records.map(({ key }) => key).sort()).toEqual(['k1', 'k3'])
  })

  test('a commit that expects another rev than the stored one is refused', async (at) => {
    await at.commit({ records: [newRecord(sampleRecord('k1'))] })
    const rival = newRecord(sampleRecord('k1', { rev: 2, headSeq: asJournalPosition(2) }))
    await at.commit({ records: [rival] })
    expect(await refusalOf(at.commit({ records: [rival] }))).toBe('store.rev-conflict')
    const second = newRecord(sampleRecord('k1'))
    expect(await refusalOf(at.commit({ records: [second] }))).toBe('store.rev-conflict')
    const missing = newRecord(sampleRecord('k2', { rev: 4 }))
    expect(await refusalOf(at.commit({ records: [missing] }))).toBe('store.rev-conflict')
    expect((await loadRecord(at.store, 'k1'))?.headSeq).toBe(2)
  })

  test('a record may be written twice in one batch, the second expecting the first', async (at) => {
    const first = newRecord(sampleRecord('k1'), { verdicts: [sampleVerdict(1)] })
    const second = newRecord(sampleRecord('k1', { rev: 2 }), { verdicts: [sampleVerdict(2)] })
    await at.commit({ records: [first, second] })
    expect((await loadRecord(at.store, 'k1'))?.rev).toBe(2)
    expect(await at.store.verdicts(asCanonicalKey('k1'))).toEqual([sampleVerdict(2), sampleVerdict(1)])
  })

  test(`the last ${VERDICTS_MAX} verdicts of a record are kept, newest first`, async (at) => {
    const newest: number[] = []
    for (let rev = 1, seq = 0; rev <= 120; rev++) {
      const count = rev % 5
      const verdicts = Array.from({ length: count }, (_, i) => sampleVerdict(seq + count - i))
      newest.unshift(...verdicts.map((verdict) => verdict.seq))
      seq += count
      await at.commit({ records: [newRecord(sampleRecord('k1', { rev }), { verdicts })] })
    }
    await at.reopen()
    const kept = await at.store.verdicts(asCanonicalKey('k1'))
    expect(kept).toEqual(newest.slice(0, VERDICTS_MAX).map((seq) => sampleVerdict(seq)))
    expect(await at.store.verdicts(asCanonicalKey('k2'))).toEqual([])
  })
}

/** Every member that a state can have, none of them usual. */
function fullRecord(): RecordState {
  const seq = asJournalPosition(9)
  const own = { seq, app: ORDERS, timeMs: 1, root: seq, hops: 0 }
  const derived = { seq, app: WAREHOUSE, timeMs: 2, root: asJournalPosition(3), hops: 2 }
  return sampleRecord('k1', {
    deleted: true,
    shard: 3,
    matchKey: 'ada@example.org',
    head: {
      name: { value: 'Ada\u0000"\\\n\u{1F510}', origin: own },
      credit: { value: 2n ** 63n - 1n, origin: derived },
      tags: { value: ['a', 1, -5n, null, true, []], origin: own },
      none: { value: null, origin: derived },
      'lines[3].qty': { value: 0, origin: own },
    },
    parkedPaths: { none: { code: 'merge.not-converging', message: 'two apps keep changing it' } },
    lanes: {
      [ORDERS]: sampleLane(ORDERS, {
        sent: { name: 'Ada\u0000"\\\n\u{1F510}', credit: 9007199254740993n, extra: [] },
        intent: sampleIntent(),
        overlays: [sampleOverlay()],
        own: [
          {
            op: sampleIntent().op,
            token: asToken('5'),
            paths: ['name'],
            renditionSeen: true,
            atMs: 3,
            root: seq,
            hops: 1,
          },
        ],
        waitsFor: { entity: CUSTOMER, key: asCanonicalKey('k2'), sinceMs: 4 },
        detached: true,
        nextOp: 8,
        readSeq: seq,
      }),
      [WAREHOUSE]: sampleLane(WAREHOUSE, {
        nativeId: null,
        incarnation: 2,
        exists: null,
        image: {},
        sent: {},
        token: null,
        reading: { why: 'unknown', afterSeq: seq, notBeforeMs: 5, tries: 2 },
        park: { code: 'target.rejected', message: 'no', atMs: 6, headSeq: seq },
        retry: { tries: 3, notBeforeMs: 7, code: 'target.unavailable', message: '429' },
      }),
    },
  })
}

function atomicity(test: Test, expect: Expect): void {
  test('all of a batch is there after a restart', async (at) => {
    await at.commit(wholeBatch())
    await at.reopen()
    expect(await loadRecord(at.store, 'k1')).toEqual(sampleRecord('k1'))
    expect(await loadLinks(at.store, 'n1')).toEqual([sampleLink('n1', 'k1')])
    expect(await at.store.openLanes(null, 9)).toEqual([sampleOpenLane('k1', ORDERS)])
    expect(await at.store.held(asJournalPosition(0), 9)).toEqual([sampleHeld(4)])
    expect((await at.store.conflicts({ max: 9 })).map(({ id: _, ...conflict }) => conflict)).toEqual([
      sampleConflict('k1'),
    ])
    expect(await at.store.cursor('sync')).toBe(7)
    const match = { entity: CUSTOMER, matchKey: 'ada@example.org' }
    expect((await at.store.load(loadQuery({ matches: [match] }))).matches).toEqual([{ ...match, key: 'k1' }])
  })

  for (const [cause, code, last] of [
    ['a rev conflict', 'store.rev-conflict', { records: [newRecord(sampleRecord('k9'), { expectRev: 3 })] }],
    ['a taken native id', 'store.link-taken', { links: [sampleLink('n0', 'k1')] }],
    ['a taken place in the app', 'store.link-taken', { links: [sampleLink('n9', 'k0')] }],
    [
      'a taken match key',
      'store.link-taken',
      { matches: [{ entity: CUSTOMER, matchKey: 'm0', key: asCanonicalKey('k1') }] },
    ],
  ] as const) {
    test(`nothing of a batch is visible when ${cause} refuses its last row`, async (at) => {
      const key = asCanonicalKey('k0')
      await at.commit({ links: [sampleLink('n0', 'k0')], matches: [{ entity: CUSTOMER, matchKey: 'm0', key }] })
      const counts = await at.store.counts()
      const whole = wholeBatch()
      const refused = at.commit({
        ...whole,
        records: [...whole.records, ...('records' in last ? last.records : [])],
        links: [...whole.links, ...('links' in last ? last.links : [])],
        matches: [...whole.matches, ...('matches' in last ? last.matches : [])],
      })
      expect(await refusalOf(refused)).toBe(code)
      expect(await at.store.counts()).toEqual(counts)
      expect(await at.store.cursor('sync')).toBe(0)
      expect(await at.store.openLanes(null, 9)).toEqual([])
      expect(await loadLinks(at.store, 'n1')).toEqual([])
      expect(await at.store.verdicts(asCanonicalKey('k1'))).toEqual([])
      await at.commit(whole)
      expect(await at.store.cursor('sync')).toBe(7)
    })
  }

  test('each consumer has its own cursor', async (at) => {
    await at.commit({ cursor: { consumer: 'sync', position: asJournalPosition(5) } })
    await at.commit({ cursor: { consumer: 'flow:check', position: asJournalPosition(2) } })
    await at.commit({ cursor: { consumer: 'sync', position: asJournalPosition(6) } })
    expect(await at.store.cursor('sync')).toBe(6)
    expect(await at.store.cursor('flow:check')).toBe(2)
    expect(await at.store.cursor('flow:other')).toBe(0)
  })
}

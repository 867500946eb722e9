import {
  asAppId,
  asCanonicalKey,
  asEntityName,
  asJournalPosition,
  asNativeId,
  asObjectId,
  asToken,
} from '../../model/ids.ts'
import type { RecordState } from '../../model/record.ts'
import { VERDICTS_MAX } from '../../model/record.ts'
import type { CommitBatch, Store } from '../../ports/store.ts'
import type { SuiteRunner } from './app-driver.ts'
import {
  CUSTOMER,
  CUSTOMERS,
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
  sampleRecord,
  sampleVerdict,
  WAREHOUSE,
} from './samples.ts'

/** A place where a store keeps its data, and stores on it. */
export interface StoreBench extends AsyncDisposable {
  /** A store on this place that was not opened yet. A test closes one before it makes the next, as a hub that restarts. */
  store(): Store
}

interface Opened extends AsyncDisposable {
  readonly store: Store
  readonly epoch: number
  commit(batch: Partial<CommitBatch>): Promise<void>
  /** Closes and opens again, as a restart does. */
  reopen(): Promise<void>
}

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
    describe('recovery', () => recovery(test, expect))
    describe('for people', () => forPeople(test, expect))
  })
}

type Test = (title: string, body: (at: Opened) => Promise<void>) => void
type Expect = SuiteRunner['expect']

async function openOn(newBench: () => Promise<StoreBench>): Promise<Opened> {
  const bench = await newBench()
  let store = bench.store()
  let info = await store.open()
  return {
    get store() {
      return store
    },
    get epoch() {
      return info.epoch
    },
    commit: (batch) => store.commit(sampleBatch(info.epoch, batch)),
    async reopen() {
      await store.close()
      store = bench.store()
      info = await store.open()
    },
    async [Symbol.asyncDispose]() {
      await store.close()
      await bench[Symbol.asyncDispose]()
    },
  }
}

const loadRecord = async (store: Store, key: string): Promise<RecordState | undefined> =>
  (await store.load(loadQuery({ records: [asCanonicalKey(key)] }))).records[0]

const loadLinks = async (store: Store, nativeId: string) =>
  (await store.load(loadQuery({ natives: [{ app: ORDERS, object: CUSTOMERS, nativeId: asNativeId(nativeId) }] }))).links

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
        overlays: [{ op: sampleIntent().op, token: null, patch: { none: null }, native: { no: 1n } }],
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

const wholeBatch = () => ({
  cursor: { consumer: 'sync', position: asJournalPosition(7) },
  records: [newRecord(sampleRecord('k1'), { openLanes: [sampleOpenLane('k1', ORDERS)], verdicts: [sampleVerdict(1)] })],
  links: [sampleLink('n1', 'k1')],
  matches: [{ entity: CUSTOMER, matchKey: 'ada@example.org', key: asCanonicalKey('k1') }],
  held: [sampleHeld(4)],
  conflicts: [sampleConflict('k1')],
})

function crossReference(test: Test, expect: Expect): void {
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

function matchKeys(test: Test, expect: Expect): void {
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

function recovery(test: Test, expect: Expect): void {
  test('every open lane is listed once, in pages, in the order of key and app', async (at) => {
    const keys = Array.from({ length: 23 }, (_, i) => `k${String(i).padStart(2, '0')}`)
    const lanes = keys.flatMap((key) => [sampleOpenLane(key, ORDERS), sampleOpenLane(key, WAREHOUSE, 'unknown')])
    for (const key of [...keys].reverse()) {
      const openLanes = lanes.filter((lane) => lane.key === key)
      await at.commit({ records: [newRecord(sampleRecord(key), { openLanes })] })
    }
    await at.reopen()
    const listed = []
    for (
      let page = await at.store.openLanes(null, 5);
      page.length > 0;
      page = await at.store.openLanes(listed.at(-1)!, 5)
    ) {
      expect(page.length <= 5).toBe(true)
      listed.push(...page)
    }
    expect(listed).toEqual(lanes)
  })

  test('the open lanes of a record replace those of before; null leaves them', async (at) => {
    const write = (rev: number, openLanes: Parameters<typeof newRecord>[1]) =>
      at.commit({ records: [newRecord(sampleRecord('k1', { rev }), openLanes)] })
    await write(1, { openLanes: [sampleOpenLane('k1', ORDERS), sampleOpenLane('k1', WAREHOUSE)] })
    await write(2, { openLanes: null })
    expect((await at.store.openLanes(null, 9)).length).toBe(2)
    await write(3, { openLanes: [sampleOpenLane('k1', WAREHOUSE, 'parked')] })
    expect(await at.store.openLanes(null, 9)).toEqual([sampleOpenLane('k1', WAREHOUSE, 'parked')])
    await write(4, { openLanes: [] })
    expect(await at.store.openLanes(null, 9)).toEqual([])
  })

  test('held entries come back whole and in order; a page never ends inside one seq', async (at) => {
    const contact = asEntityName('contact')
    const held = [sampleHeld(3), sampleHeld(8, { entity: contact }), sampleHeld(8), sampleHeld(11)]
    await at.commit({ held: [...held].reverse() })
    await at.reopen()
    expect(await at.store.held(asJournalPosition(0), 100)).toEqual(held)
    expect(await at.store.held(asJournalPosition(0), 2)).toEqual(held.slice(0, 3))
    expect(await at.store.held(asJournalPosition(8), 2)).toEqual(held.slice(3))
  })

  test('an entry that is done for one entity stays held for the other', async (at) => {
    const contact = asEntityName('contact')
    await at.commit({ held: [sampleHeld(8, { entity: contact }), sampleHeld(8)] })
    await at.commit({ heldDone: [{ seq: asJournalPosition(8), entity: contact }] })
    expect(await at.store.held(asJournalPosition(0), 9)).toEqual([sampleHeld(8)])
  })

  test('an entry that a batch both finishes and holds again stays held', async (at) => {
    await at.commit({ held: [sampleHeld(8)] })
    const again = sampleHeld(8, { waitsOn: 'reference', waitsFor: ['customer:7'] })
    await at.commit({ held: [again], heldDone: [{ seq: asJournalPosition(8), entity: CUSTOMER }] })
    expect(await at.store.held(asJournalPosition(0), 9)).toEqual([again])
  })
}

function forPeople(test: Test, expect: Expect): void {
  test('the cross-reference says for every native record whether its latch is closed', async (at) => {
    const openLanes = [sampleOpenLane('k1', ORDERS, 'unknown'), sampleOpenLane('k1', WAREHOUSE, 'parked')]
    await at.commit({
      records: [newRecord(sampleRecord('k1'), { openLanes })],
      links: [sampleLink('n1', 'k1'), sampleLink('w1', 'k1', { app: WAREHOUSE }), sampleLink('n2', 'k2')],
    })
    const rows = await at.store.links({ max: 9 })
    expect(rows.map((row) => [row.app, row.nativeId, row.latchClosed])).toEqual([
      ['orders', 'n1', true],
      ['orders', 'n2', false],
      ['warehouse', 'w1', false],
    ])
  })

  test('links are listed in pages that lose none, also where a native record has several entities', async (at) => {
    const contact = asEntityName('contact')
    const links = Array.from({ length: 12 }, (_, i) => String(i).padStart(2, '0')).flatMap((id) => [
      sampleLink(id, 'c' + id, { entity: contact }),
      sampleLink(id, 'k' + id),
    ])
    await at.commit({ links })
    const listed = []
    for (let page = await at.store.links({ max: 3 }); page.length > 0; ) {
      listed.push(...page)
      page = await at.store.links({ max: 3, after: listed.at(-1)! })
    }
    expect(listed).toEqual(links.map((link) => ({ ...link, latchClosed: false })))
  })

  test('links are found by each of app, object, entity, native id and canonical key', async (at) => {
    const gone = sampleLink('n2', 'k1', { state: 'tombstone' })
    await at.commit({ links: [sampleLink('n1', 'k1'), gone, sampleLink('n1', 'k1', { app: WAREHOUSE })] })
    const found = async (query: Parameters<Store['links']>[0]) =>
      (await at.store.links(query)).map(({ app, nativeId }) => `${app}:${nativeId}`)
    expect(await found({ app: ORDERS, max: 9 })).toEqual(['orders:n1', 'orders:n2'])
    expect(await found({ nativeId: asNativeId('n1'), max: 9 })).toEqual(['orders:n1', 'warehouse:n1'])
    expect(await found({ nativeId: asNativeId('n1'), app: WAREHOUSE, max: 9 })).toEqual(['warehouse:n1'])
    expect(await found({ key: asCanonicalKey('k1'), max: 9 })).toEqual(['orders:n1', 'orders:n2', 'warehouse:n1'])
    expect(await found({ object: asObjectId('other'), max: 9 })).toEqual([])
    expect(await found({ entity: CUSTOMER, app: asAppId('orders'), max: 1 })).toEqual(['orders:n1'])
  })

  test('conflicts are kept whole, listed newest first, by record or entity, in pages', async (at) => {
    const conflicts = Array.from({ length: 7 }, (_, i) => sampleConflict(i % 2 === 0 ? 'k1' : 'k2', { path: `p${i}` }))
    for (const conflict of conflicts) await at.commit({ conflicts: [conflict] })
    const paths = async (query: Parameters<Store['conflicts']>[0]) =>
      (await at.store.conflicts(query)).map(({ path }) => path)
    expect(await paths({ max: 3 })).toEqual(['p6', 'p5', 'p4'])
    const [newest] = await at.store.conflicts({ max: 1 })
    expect(newest).toEqual({ ...conflicts[6], id: newest?.id })
    expect(await paths({ max: 2, before: newest!.id })).toEqual(['p5', 'p4'])
    expect(await paths({ key: asCanonicalKey('k2'), max: 9 })).toEqual(['p5', 'p3', 'p1'])
    expect(await paths({ entity: asEntityName('contact'), max: 9 })).toEqual([])
  })

  test('counts say what is there', async (at) => {
    await at.commit(wholeBatch())
    await at.commit({ links: [sampleLink('n5', null)] })
    expect(await at.store.counts()).toEqual({
      records: 1,
      links: 1,
      held: 1,
      conflicts: 1,
      openLanes: { intent: 1 },
    })
  })
}

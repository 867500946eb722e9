import type { JournalEntry } from '../../model/change.ts'
import { asFeedPosition, asFlowName, asJournalPosition, asObjectId, type JournalPosition } from '../../model/ids.ts'
import type { Journal, NewEntry } from '../../ports/journal.ts'
import type { SuiteRunner } from './app-driver.ts'
import { AT_MS, ORDERS, sampleChange, sampleEntry, WAREHOUSE, withoutDedupKey } from './samples.ts'

/** A place where a journal keeps its data, and journals on it. */
export interface JournalBench extends AsyncDisposable {
  /** Opens the journal of this place. A test closes one before it makes the next, as a hub that restarts. */
  open(): Promise<Journal>
  /** Breaks the disk: the next append fails. Left out where that cannot be done. */
  readonly failNextAppend?: (how: 'full' | 'failed') => void
}

/** What every journal promises. Give it the runner (vitest's) and a way to make an empty place, with the smallest segments that there are. */
export function journalSuite(runner: SuiteRunner, name: string, newBench: () => Promise<JournalBench>): void {
  const { describe, expect } = runner
  const test = (title: string, body: (at: Opened) => Promise<void>) =>
    runner.test(title, async () => {
      await using at = await openOn(newBench)
      await body(at)
    })

  describe(`journal ${name}`, () => {
    describe('order and durability', () => order(test, expect))
    describe('duplicates', () => duplicates(test, expect))
    describe('feeds', () => feeds(test, expect))
    describe('dropping', () => dropping(test, expect))
    describe('a failing disk', () => failures(runner, newBench))
  })
}

interface Opened extends AsyncDisposable {
  readonly journal: Journal
  readonly bench: JournalBench
  append(...entries: readonly NewEntry[]): Promise<readonly (JournalPosition | null)[]>
  /** Closes and opens again, as a restart does. */
  reopen(): Promise<void>
}

type Test = (title: string, body: (at: Opened) => Promise<void>) => void
type Expect = SuiteRunner['expect']

async function openOn(newBench: () => Promise<JournalBench>): Promise<Opened> {
  const bench = await newBench()
  let journal = await bench.open()
  return {
    bench,
    get journal() {
      return journal
    },
    append: (...entries) => journal.append({ entries }),
    async reopen() {
      await journal.close()
      journal = await bench.open()
    },
    async [Symbol.asyncDispose]() {
      await journal.close()
      await bench[Symbol.asyncDispose]()
    },
  }
}

const START = asJournalPosition(0)

/** Everything after `after`, read in pages. */
async function readAll(journal: Journal, after = START, page = 7): Promise<readonly JournalEntry[]> {
  const entries: JournalEntry[] = []
  for (let at = after; ; ) {
    const found = await journal.read(at, page)
    if (found.length === 0) return entries
    entries.push(...found)
    at = found.at(-1)!.seq
  }
}

const asStored = (entry: NewEntry, seq: number): JournalEntry => ({
  seq: asJournalPosition(seq),
  ...withoutDedupKey(entry),
})

const count = (n: number, from = 1): readonly number[] => Array.from({ length: n }, (_, i) => from + i)

function order(test: Test, expect: Expect): void {
  test('an empty journal stands at 0 and has nothing to read', async (at) => {
    expect(at.journal.last()).toBe(0)
    expect(await at.journal.read(START, 10)).toEqual([])
  })

  test('every kind of input comes back exactly, after a restart too', async (at) => {
    const entries = everyInput()
    expect(await at.append(...entries)).toEqual(entries.map((_, i) => i + 1))
    await at.reopen()
    expect(await readAll(at.journal)).toEqual(entries.map((entry, i) => asStored(entry, i + 1)))
  })

  test('positions have no gaps, over appends, segments and restarts', async (at) => {
    for (const round of count(6)) {
      for (const n of count(5)) await at.append(sampleEntry(`${round}.${n}`, { atMs: AT_MS + round * 86_400_000 }))
      if (round % 2 === 0) await at.reopen()
    }
    const entries = await readAll(at.journal)
    expect(entries.map(({ seq }) => seq)).toEqual(count(30))
    expect(at.journal.last()).toBe(30)
  })

  test('appends that overlap are ordered as they were called, and a batch stays together', async (at) => {
    const appends = count(20).map((n) => at.append(sampleEntry(`${n}a`), sampleEntry(`${n}b`)))
    expect(await Promise.all(appends)).toEqual(count(20).map((n) => [2 * n - 1, 2 * n]))
    const ids = (await readAll(at.journal)).map(({ input }) => input.type === 'notification' && input.change.nativeId)
    expect(ids).toEqual(count(20).flatMap((n) => [`${n}a`, `${n}b`]))
  })

  test('what is appended is there to read, and in last(), when its append resolves', async (at) => {
    for (const n of count(5)) {
      const [seq] = await at.append(sampleEntry(`n${n}`))
      expect(at.journal.last()).toBe(seq)
      const read = await at.journal.read(asJournalPosition(n - 1), 10)
      expect(read).toEqual([asStored(sampleEntry(`n${n}`), n)])
    }
  })

  test('reading starts after the given position and stops at the given number', async (at) => {
    await at.append(...count(10).map((n) => sampleEntry(`n${n}`)))
    const read = async (after: number, max: number) =>
      (await at.journal.read(asJournalPosition(after), max)).map(({ seq }) => seq)
    expect(await read(0, 3)).toEqual([1, 2, 3])
    expect(await read(8, 3)).toEqual([9, 10])
    expect(await read(10, 3)).toEqual([])
    expect(await read(99, 3)).toEqual([])
  })

  test('a flow reads its own messages among everything else, in order, over segments and restarts', async (at) => {
    const message = (flow: string, n: number): NewEntry => ({
      ...sampleEntry(String(n)),
      input: { type: 'message', flow: asFlowName(flow), message: { origin: 'test', properties: {}, body: n } },
      dedupKey: null,
    })
    for (let n = 0; n < 12; n++) await at.append(message(n % 3 === 0 ? 'a' : 'b', n), sampleEntry(`r${n}`))
    await at.reopen()
    const bodies = async (flow: string, after: number, max: number): Promise<unknown[]> =>
      (await at.journal.read(asJournalPosition(after), max, asFlowName(flow))).map(({ input }) =>
        input.type === 'message' ? input.message.body : input.type,
      )
    expect(await bodies('a', 0, 3)).toEqual([0, 3, 6])
    expect(await bodies('a', 1, 9)).toEqual([3, 6, 9])
    expect(await bodies('c', 0, 9)).toEqual([])
  })

  test('a delivery id of a message counts within its flow', async (at) => {
    const message = (flow: string): NewEntry => ({
      ...sampleEntry('1'),
      input: { type: 'message', flow: asFlowName(flow), message: { origin: 'test', properties: {}, body: null } },
      dedupKey: 'd-1',
    })
    const positions = await at.append(message('a'), message('b'), message('a'))
    expect(positions.map((position) => position !== null)).toEqual([true, true, false])
  })

  test('closing waits for what was appended', async (at) => {
    const appended = at.append(sampleEntry('n1'))
    await at.journal.close()
    expect(await appended).toEqual([1])
    await at.journal.close()
    await at.reopen()
    expect((await readAll(at.journal)).length).toBe(1)
  })
}

function everyInput(): readonly NewEntry[] {
  const change = sampleChange("007'; --\u0000\u2028\u{1F510}")
  const key = 'k1' as never
  const op = 'h1.1.k1.orders.1' as never
  const seq = asJournalPosition(3)
  const { app, object, nativeId } = change
  const deep = {
    tags: [1n, -(2n ** 63n), 'x', null, true, { $int64: 'no' }, { $int64: '5' }],
    nested: { $int64: '7', more: 1 },
  }
  const inputs: readonly NewEntry['input'][] = [
    { type: 'notification', change },
    {
      type: 'notification',
      change: { app, object, nativeId, kind: 'deleted', sourceTx: { id: '9', index: 0, last: true } },
    },
    { type: 'notification', change: { app, object, nativeId, kind: 'partial', record: deep } },
    { type: 'read', read: { app, object, nativeId, result: 'missing' }, begunAfter: seq, key },
    {
      type: 'outcome',
      key,
      app,
      outcome: { op, result: 'refused', handling: 'retry', code: 'target.unavailable', retryAfterMs: 5 },
    },
    { type: 'operator', operator: { action: 'release', key, app } },
    { type: 'operator', operator: { action: 'replay', seq } },
  ]
  return inputs.map((input, i) => ({ shard: i, atMs: AT_MS + i, mappingVersion: 2, input, dedupKey: null }))
}

function duplicates(test: Test, expect: Expect): void {
  const delivered = (nativeId: string, dedupKey: string, over: Partial<NewEntry> = {}) =>
    sampleEntry(nativeId, { dedupKey, ...over })

  test('a delivery that comes again is acknowledged and not repeated', async (at) => {
    expect(await at.append(delivered('n1', 'd1'))).toEqual([1])
    expect(await at.append(delivered('n1', 'd1'), delivered('n2', 'd2'))).toEqual([null, 2])
    await at.reopen()
    expect(await at.append(delivered('n2', 'd2'))).toEqual([null])
    expect((await readAll(at.journal)).length).toBe(2)
  })

  test('a delivery that comes twice at once is kept once', async (at) => {
    const both = await Promise.all([at.append(delivered('n1', 'd1')), at.append(delivered('n1', 'd1'))])
    expect(both).toEqual([[1], [null]])
    expect(await at.append(delivered('n2', 'd2'), delivered('n2', 'd2'))).toEqual([2, null])
  })

  test('a delivery id counts within its app and object', async (at) => {
    const from = (over: Partial<ReturnType<typeof sampleChange>>) =>
      delivered('n1', 'd1', { input: { type: 'notification', change: sampleChange('n1', over) } })
    const entries = [from({}), from({ app: WAREHOUSE }), from({ object: asObjectId('orders') })]
    expect(await at.append(...entries)).toEqual([1, 2, 3])
    expect(await at.append(...entries)).toEqual([null, null, null])
  })

  test('equal content under different delivery ids, or none, is different news', async (at) => {
    expect(await at.append(delivered('n1', 'd1'), delivered('n1', 'd2'))).toEqual([1, 2])
    expect(await at.append(sampleEntry('n1'), sampleEntry('n1'))).toEqual([3, 4])
  })

  test('a delivery is recognised many segments later, and every new one is taken', async (at) => {
    for (const day of count(5, 0)) {
      const atMs = AT_MS + day * 86_400_000
      const ids = count(40, day * 100)
      const positions = await at.append(...ids.map((id) => delivered(`n${id}`, `d${id}`, { atMs })))
      expect(positions).toEqual(count(40, day * 40 + 1))
    }
    await at.reopen()
    for (const day of count(5, 0)) {
      expect(await at.append(...count(40, day * 100).map((id) => delivered(`n${id}`, `d${id}`)))).toEqual(
        count(40).map(() => null),
      )
    }
  })
}

function feeds(test: Test, expect: Expect): void {
  const changes = 'changes'

  test('where a feed was read to is durable together with what was read', async (at) => {
    expect(await at.journal.feed(ORDERS, changes)).toBe(null)
    const feeds = [{ app: ORDERS, feed: changes, position: asFeedPosition('0/16B3748') }]
    await at.journal.append({ entries: [sampleEntry('n1')], feeds })
    expect(await at.journal.feed(ORDERS, changes)).toBe('0/16B3748')
    expect(await at.journal.feed(WAREHOUSE, changes)).toBe(null)
    await at.reopen()
    expect(await at.journal.feed(ORDERS, changes)).toBe('0/16B3748')
  })

  test('a feed moves on without entries, and its position outlives the segment it was written to', async (at) => {
    const move = (app: typeof ORDERS, position: string) =>
      at.journal.append({ entries: [], feeds: [{ app, feed: changes, position: asFeedPosition(position) }] })
    await move(ORDERS, '5')
    await move(WAREHOUSE, '1')
    for (const day of count(4)) await at.append(sampleEntry(`n${day}`, { atMs: AT_MS + day * 86_400_000 }))
    await move(WAREHOUSE, '2')
    await at.reopen()
    await at.journal.drop(at.journal.last(), AT_MS + 99 * 86_400_000)
    await at.reopen()
    expect(await at.journal.feed(ORDERS, changes)).toBe('5')
    expect(await at.journal.feed(WAREHOUSE, changes)).toBe('2')
  })
}

function dropping(test: Test, expect: Expect): void {
  const DAY_MS = 86_400_000
  const fill = async (at: Opened) => {
    for (const day of count(6, 0)) {
      await at.append(...count(3).map((n) => sampleEntry(`${day}.${n}`, { atMs: AT_MS + day * DAY_MS })))
    }
  }

  test('nothing after the given position is dropped, and nothing as young as the given time', async (at) => {
    await fill(at)
    expect((await at.journal.drop(asJournalPosition(8), AT_MS + 99 * DAY_MS)) <= 8).toBe(true)
    expect((await readAll(at.journal, asJournalPosition(8))).map(({ seq }) => seq)).toEqual(count(10, 9))
    await at.journal.drop(at.journal.last(), AT_MS + 3 * DAY_MS)
    expect((await readAll(at.journal, asJournalPosition(9))).map(({ seq }) => seq)).toEqual(count(9, 10))
  })

  test('old entries that nobody needs go, as many as it says, from the oldest on', async (at) => {
    await fill(at)
    const dropped = await at.journal.drop(asJournalPosition(12), AT_MS + 99 * DAY_MS)
    expect(dropped > 0).toBe(true)
    expect((await readAll(at.journal)).map(({ seq }) => seq)).toEqual(count(18 - dropped, dropped + 1))
    await at.reopen()
    expect((await readAll(at.journal)).map(({ seq }) => seq)).toEqual(count(18 - dropped, dropped + 1))
  })

  test('positions go on from where they were when all that can go has gone', async (at) => {
    await fill(at)
    await at.journal.drop(at.journal.last(), AT_MS + 99 * DAY_MS)
    expect(at.journal.last()).toBe(18)
    await at.reopen()
    expect(at.journal.last()).toBe(18)
    expect(await at.append(sampleEntry('next'))).toEqual([19])
    expect((await readAll(at.journal, asJournalPosition(18))).map(({ seq }) => seq)).toEqual([19])
  })
}

function failures(runner: SuiteRunner, newBench: () => Promise<JournalBench>): void {
  for (const how of ['full', 'failed'] as const) {
    runner.test(
      `an append on a disk that is ${how} is refused whole, and the next one goes on without a gap`,
      async () => {
        await using at = await openOn(newBench)
        const { journal, bench } = at
        await at.append(sampleEntry('n1'))
        if (bench.failNextAppend === undefined) return
        bench.failNextAppend(how)
        const feeds = [{ app: ORDERS, feed: 'changes', position: asFeedPosition('9') }]
        const refused = [
          journal.append({ entries: [sampleEntry('n2', { dedupKey: 'd2' }), sampleEntry('n3')], feeds }),
          journal.append({ entries: [sampleEntry('n4')] }),
        ]
        const codes = (await Promise.allSettled(refused)).map((one) => one.status === 'rejected' && one.reason.code)
        // The two may have shared a commit, or the disk may have been well again for the second.
        runner.expect(codes[0]).toBe(`journal.${how}`)
        const kept = codes[1] === false ? 2 : 1
        runner.expect(journal.last()).toBe(kept)
        runner.expect(await journal.feed(ORDERS, 'changes')).toBe(null)
        runner.expect(await at.append(sampleEntry('n2', { dedupKey: 'd2' }))).toEqual([kept + 1])
        await at.reopen()
        runner.expect((await readAll(at.journal)).map(({ seq }) => seq)).toEqual(count(kept + 1))
      },
    )
  }
}

import { SyncError } from '../../errors/index.ts'
import type { Run, RunState } from '../../model/flow.ts'
import { asFlowName, asJournalPosition, asRunId, runIdOf } from '../../model/ids.ts'
import type { RunStore } from '../../ports/runs.ts'
import type { SuiteRunner } from './app-driver.ts'

/** A place where runs are kept, and run stores on it. */
export interface RunStoreBench extends AsyncDisposable {
  /** The store of this place, not opened yet. A test closes one before it makes the next, as a hub that restarts. */
  make(): Promise<RunStore>
}

const orders = asFlowName('orders')
const letters = asFlowName('letters')

export function sampleRun(seq: number, changes: Partial<Run> = {}): Run {
  const position = asJournalPosition(seq)
  return {
    id: runIdOf(position),
    seq: position,
    flow: orders,
    orderKey: null,
    state: 'queued',
    attempts: 0,
    notBeforeMs: 0,
    receivedAtMs: 1_000 + seq,
    endedAtMs: null,
    code: null,
    reason: null,
    result: null,
    message: null,
    timeline: [{ atMs: 1_000 + seq, what: 'received' }],
    ...changes,
  }
}

/** What every run store promises (src/ports/runs.ts). Give it the runner (vitest's) and a way to make an empty place. */
export function runStoreSuite(runner: SuiteRunner, name: string, newBench: () => Promise<RunStoreBench>): void {
  const { describe, expect } = runner
  const test = (title: string, body: (at: At) => Promise<void>): void =>
    void runner.test(title, async () => {
      await using at = await At.open(newBench)
      await body(at)
    })

  describe(`run store ${name}`, () => {
    test('a row comes back as it was written, with every exact value in it', async (at) => {
      const run = sampleRun(7, {
        state: 'retry',
        orderKey: 'a\u0001"ü',
        attempts: 3,
        notBeforeMs: 5,
        code: 'flow.failed',
        reason: 'it said "no"',
        message: {
          origin: 'http POST /orders',
          deliveryId: 'd-1',
          properties: { a: '007' },
          body: { big: 9_007_199_254_740_993n, list: [null, true, '1.50'], deep: { $int64: 'x' } },
        },
        timeline: [
          { atMs: 1, what: 'received' },
          { atMs: 2, what: 'failed', text: 'why' },
        ],
      })
      await at.commit([run])
      expect(await at.store.runs([run.id])).toEqual([run])
    })

    test('a commit is there for a reader of the same disk after a restart', async (at) => {
      await at.commit(
        [sampleRun(1), sampleRun(2, { state: 'parked' })],
        [{ flow: orders, position: asJournalPosition(2) }],
      )
      const before = at.epoch
      await at.reopen()
      expect(at.epoch > before).toBe(true)
      expect((await at.store.list({ max: 10 })).map((run) => [run.seq, run.state])).toEqual([
        [2, 'parked'],
        [1, 'queued'],
      ])
      expect([await at.store.cursor(orders), await at.store.cursor(letters)]).toEqual([2, 0])
    })

    test('a commit under an older epoch is refused and leaves nothing behind', async (at) => {
      await at.commit([sampleRun(1)])
      const fenced = at.store.commit({
        epoch: at.epoch - 1,
        runs: [sampleRun(1, { state: 'done', endedAtMs: 5 }), sampleRun(2)],
        cursors: [{ flow: orders, position: asJournalPosition(2) }],
      })
      const refusal = await fenced.then(
        () => null,
        (error: unknown) => SyncError.from(error),
      )
      expect([refusal?.code, refusal?.handling]).toEqual(['store.fenced', 'stop'])
      expect((await at.store.list({ max: 10 })).map((run) => [run.seq, run.state])).toEqual([[1, 'queued']])
      expect(await at.store.cursor(orders)).toBe(0)
    })

    test('unfinished runs come in the order of the journal, page by page, of one flow', async (at) => {
      const states: RunState[] = ['queued', 'done', 'running', 'retry', 'cancelled', 'doubt', 'parked']
      const runs = states.map((state, i) =>
        sampleRun(i + 1, { state, endedAtMs: state === 'done' || state === 'cancelled' ? 9 : null }),
      )
      await at.commit([...runs].reverse())
      await at.commit([sampleRun(20, { flow: letters })])
      const first = await at.store.unfinished(orders, asJournalPosition(0), 3)
      const second = await at.store.unfinished(orders, asJournalPosition(4), 3)
      expect([first, second].map((page) => page.map((run) => run.seq))).toEqual([
        [1, 3, 4],
        [6, 7],
      ])
      expect((await at.store.unfinished(letters, asJournalPosition(0), 3)).map((run) => run.seq)).toEqual([20])
    })

    test('a row that is written again is replaced, and is unfinished only as long as it is', async (at) => {
      await at.commit([sampleRun(1), sampleRun(2)])
      await at.commit([sampleRun(1, { state: 'done', endedAtMs: 50, result: { ok: true } })])
      expect((await at.store.unfinished(orders, asJournalPosition(0), 9)).map((run) => run.seq)).toEqual([2])
      await at.commit([sampleRun(2, { state: 'parked' })])
      expect((await at.store.list({ state: 'parked', max: 9 })).map((run) => run.seq)).toEqual([2])
      expect((await at.store.list({ state: 'queued', max: 9 })).map((run) => run.seq)).toEqual([])
      const found = await at.store.runs([asRunId('1'), asRunId('9'), asRunId('x')])
      expect(found.map((run) => run.result)).toEqual([{ ok: true }])
    })

    test('lists are newest first, by flow, by state, and before a run', async (at) => {
      const runs = Array.from({ length: 10 }, (_, i) =>
        sampleRun(i + 1, { flow: i % 2 === 0 ? orders : letters, state: i < 5 ? 'parked' : 'queued' }),
      )
      await at.commit(runs)
      const seqs = async (query: Parameters<RunStore['list']>[0]): Promise<number[]> =>
        (await at.store.list(query)).map((run) => run.seq)
      expect(await seqs({ max: 3 })).toEqual([10, 9, 8])
      expect(await seqs({ max: 3, before: asRunId('8') })).toEqual([7, 6, 5])
      expect(await seqs({ max: 9, flow: letters })).toEqual([10, 8, 6, 4, 2])
      expect(await seqs({ max: 9, flow: letters, state: 'parked' })).toEqual([4, 2])
      expect(await at.store.counts()).toEqual({ orders: { parked: 3, queued: 2 }, letters: { parked: 2, queued: 3 } })
    })

    test('what has been over for long is removed, and nothing else', async (at) => {
      await at.commit([
        sampleRun(1, { state: 'done', endedAtMs: 10 }),
        sampleRun(2, { state: 'parked' }),
        sampleRun(3, { state: 'cancelled', endedAtMs: 20 }),
        sampleRun(4, { state: 'done', endedAtMs: 30 }),
      ])
      expect(await at.store.prune(30, 1)).toBe(1)
      expect(await at.store.prune(30, 9)).toBe(1)
      expect((await at.store.list({ max: 9 })).map((run) => run.seq)).toEqual([4, 2])
    })
  })
}

class At implements AsyncDisposable {
  readonly #bench: RunStoreBench
  store: RunStore
  epoch: number

  private constructor(bench: RunStoreBench, store: RunStore, epoch: number) {
    this.#bench = bench
    this.store = store
    this.epoch = epoch
  }

  static async open(newBench: () => Promise<RunStoreBench>): Promise<At> {
    const bench = await newBench()
    const store = await bench.make()
    return new At(bench, store, (await store.open()).epoch)
  }

  commit(runs: readonly Run[], cursors: Parameters<RunStore['commit']>[0]['cursors'] = []): Promise<void> {
    return this.store.commit({ epoch: this.epoch, runs, cursors })
  }

  /** Closes and opens again, as a restart does. */
  async reopen(): Promise<void> {
    await this.store.close()
    this.store = await this.#bench.make()
    this.epoch = (await this.store.open()).epoch
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store.close()
    await this.#bench[Symbol.asyncDispose]()
  }
}

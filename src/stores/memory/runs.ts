import { SyncError } from '../../errors/index.ts'
import { isOver, type Run, type RunState } from '../../model/flow.ts'
import { asJournalPosition, type FlowName, type JournalPosition, type RunId } from '../../model/ids.ts'
import type { RunCommit, RunCounts, RunQuery, RunStore } from '../../ports/runs.ts'

export type MemoryRunStoreOperation = 'open' | 'commit' | 'read'

export interface MemoryRunStoreOptions {
  /** Called around every operation, and may throw. before: nothing is applied. after: it is applied, but the caller gets the error. */
  readonly fault?: (operation: MemoryRunStoreOperation, when: 'before' | 'after') => void
}

/** The run store in memory, for tests. The object stands for the disk: it outlives who used it, and `open` fences whoever had it before. */
export class MemoryRunStore implements RunStore {
  readonly #options: MemoryRunStoreOptions
  readonly #runs = new Map<RunId, Run>()
  readonly #cursors = new Map<FlowName, JournalPosition>()
  #epoch = 0

  constructor(options: MemoryRunStoreOptions = {}) {
    this.#options = options
  }

  async open(): Promise<{ readonly epoch: number }> {
    return this.#faulty('open', () => ({ epoch: ++this.#epoch }))
  }

  async commit({ epoch, cursors, runs }: RunCommit): Promise<void> {
    return this.#faulty('commit', () => {
      if (epoch !== this.#epoch)
        throw new SyncError('store.fenced', `epoch ${epoch} tried to commit, the run store is at epoch ${this.#epoch}`)
      for (const run of runs) this.#runs.set(run.id, run)
      for (const { flow, position } of cursors) this.#cursors.set(flow, position)
    })
  }

  async cursor(flow: FlowName): Promise<JournalPosition> {
    return this.#faulty('read', () => this.#cursors.get(flow) ?? asJournalPosition(0))
  }

  async runs(ids: readonly RunId[]): Promise<readonly Run[]> {
    return this.#faulty('read', () => ids.map((id) => this.#runs.get(id)).filter((run) => run !== undefined))
  }

  async unfinished(flow: FlowName, after: JournalPosition, max: number): Promise<readonly Run[]> {
    return this.#faulty('read', () =>
      [...this.#runs.values()]
        .filter((run) => run.flow === flow && run.seq > after && !isOver(run.state))
        .sort((a, b) => a.seq - b.seq)
        .slice(0, max),
    )
  }

  async list({ flow, state, before, max }: RunQuery): Promise<readonly Run[]> {
    return this.#faulty('read', () =>
      [...this.#runs.values()]
        .filter(
          (run) =>
            (flow === undefined || run.flow === flow) &&
            (state === undefined || run.state === state) &&
            (before === undefined || run.seq < Number(before)),
        )
        .sort((a, b) => b.seq - a.seq)
        .slice(0, max),
    )
  }

  async counts(): Promise<RunCounts> {
    return this.#faulty('read', () => {
      const counts: Record<string, Partial<Record<RunState, number>>> = {}
      for (const { flow, state } of this.#runs.values()) {
        const ofFlow = (counts[flow] ??= {})
        ofFlow[state] = (ofFlow[state] ?? 0) + 1
      }
      return counts
    })
  }

  async prune(beforeMs: number, max: number): Promise<number> {
    return this.#faulty('commit', () => {
      const old = [...this.#runs.values()]
        .filter((run) => run.endedAtMs !== null && run.endedAtMs < beforeMs)
        .sort((a, b) => a.seq - b.seq)
        .slice(0, max)
      for (const { id } of old) this.#runs.delete(id)
      return old.length
    })
  }

  async close(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}

  #faulty<T>(operation: MemoryRunStoreOperation, run: () => T): T {
    this.#options.fault?.(operation, 'before')
    const result = run()
    this.#options.fault?.(operation, 'after')
    return result
  }
}

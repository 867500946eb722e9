import type { Run } from '../model/flow.ts'
import type { RunId } from '../model/ids.ts'

/** Who wants to hear of runs: of one, or of all. Told only what is on the disk. */
export class Watchers {
  readonly #byRun = new Map<RunId, Set<(run: Run) => void>>()
  readonly #ofAll = new Set<(runs: readonly Run[]) => void>()

  /** Calls back with every state of a run from now on, until the returned function is called. */
  watch(id: RunId, callback: (run: Run) => void): () => void {
    const watchers = this.#byRun.get(id) ?? new Set()
    this.#byRun.set(id, watchers.add(callback))
    return () => {
      watchers.delete(callback)
      if (watchers.size === 0 && this.#byRun.get(id) === watchers) this.#byRun.delete(id)
    }
  }

  subscribe(listener: (runs: readonly Run[]) => void): () => void {
    this.#ofAll.add(listener)
    return () => this.#ofAll.delete(listener)
  }

  tell(rows: readonly Run[]): void {
    if (rows.length === 0) return
    for (const listener of this.#ofAll) listener(rows)
    if (this.#byRun.size === 0) return
    for (const run of rows) for (const callback of this.#byRun.get(run.id) ?? []) callback(run)
  }
}

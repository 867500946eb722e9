import type { Outcome } from '../../model/change.ts'
import type { NativeId } from '../../model/ids.ts'
import type { Source, Target } from '../../ports/app.ts'
import type { Clock } from '../../ports/clock.ts'
import type { SqlDatabase } from '../tables/sql.ts'
import { createTableTarget } from '../tables/target.ts'
import { ChangeTable } from './change-table.ts'
import type { SetupInput } from './setup.ts'
import { createChangeTableSource } from './source.ts'
import { bookkeeping } from './statements.ts'

export interface ChangeTableAppOptions extends SetupInput {
  readonly clock: Clock
  /** Opens the database; `onReplaced` is for when it may be another one from now on. */
  readonly open: (onReplaced: () => void) => SqlDatabase
}

/** Both directions of an application that is followed by a change table, on one database. */
export function createChangeTableApp(options: ChangeTableAppOptions): {
  readonly source: Source
  readonly target: Target
} {
  const { app, clock, uses } = options
  const database = options.open(() => table.reset())
  const table = new ChangeTable({ ...options, database })
  const answered = new Answered()
  // A hub that drains closes its sources first: the last one out closes the connections.
  let holders = 2
  const share = (): (() => Promise<void>) => {
    let held = true
    return async () => {
      if (!held) return
      held = false
      if (--holders === 0) await database.close()
    }
  }
  return {
    source: createChangeTableSource(app, {
      table,
      database,
      clock,
      objects: uses.map((use) => use.object),
      isAnswered: (nativeId, token) => answered.has(nativeId, token),
      release: share(),
    }),
    target: createTableTarget(app, {
      database,
      clock,
      ready: async (limits) => (await table.usable(limits)).plans,
      books: bookkeeping(
        options.dialect,
        () => table.current,
        () => clock.nowMs(),
      ),
      onApplied: (outcomes) => answered.note(outcomes),
      release: share(),
    }),
  }
}

/** Writes whose outcome carried the whole record. Their echo says the same once more; leaving it out saves a journal entry. Lost at a restart, and then the echo is simply told. */
export class Answered {
  readonly #tokens = new Set<string>()

  note(outcomes: readonly Outcome[]): void {
    for (const { result, record, nativeId, token } of outcomes)
      if (result === 'applied' && record !== undefined && nativeId !== undefined && token !== undefined)
        this.add(nativeId, token)
  }

  add(nativeId: NativeId, token: string): void {
    this.#tokens.add(`${token}:${nativeId}`)
    if (this.#tokens.size > ANSWERED_MAX) for (const oldest of this.#tokens) return void this.#tokens.delete(oldest)
  }

  has(nativeId: NativeId, token: string): boolean {
    return this.#tokens.has(`${token}:${nativeId}`)
  }
}

/** Echoes come within moments; this is some seconds' worth at the highest rates. */
const ANSWERED_MAX = 20_000

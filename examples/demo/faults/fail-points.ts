/** Places at which a hub is made to die: the rows of the crash matrix (docs/protocol.md section 5), each between two lines of the source. */

import type { Edit } from '../../../src/testing/simulator/canary/mutant.ts'

export interface FailPoint {
  /** The row of the crash matrix, 1 to 13. */
  readonly row: number
  readonly name: string
  readonly edits: readonly Edit[]
}

const ENGINE = 'src/engine/engine.ts'
const CYCLE = 'src/engine/cycle.ts'
const COMMITTING = 'src/engine/committing.ts'
const DISPATCHER = 'src/engine/dispatcher.ts'

const before = (file: string, from: string, condition = 'true'): Edit => ({
  file,
  from,
  to: `    if (${condition}) globalThis.latchworkFailPoint()\n${from}`,
})

const point = (row: number, name: string, ...edits: Edit[]): FailPoint => ({ row, name, edits })

const ACCEPTED = `    return this.append(changes.map((change) => this.newEntry({ type: 'notification', change }, dedupKeyOf(change))))`
const COMMITTED = `    await this.#committing.commit()
    if (this.#engine.killed) return`
const hasType = (type: string): string => `this.#entries.some((entry) => entry.input.type === '${type}')`

/** In the order of the matrix; row 12 is another process, and has no place in this one. */
export const FAIL_POINTS: readonly FailPoint[] = [
  point(1, 'received, not journalled', before(ENGINE, ACCEPTED)),
  point(2, 'journalled, not acknowledged', {
    file: ENGINE,
    from: ACCEPTED,
    to: `${ACCEPTED.replace('return', 'const journalled = await')}\n    globalThis.latchworkFailPoint()\n    return journalled`,
  }),
  point(
    3,
    'acknowledged, not processed',
    before(
      CYCLE,
      `    const items = this.#entries.map((entry) => ({ entry, prepared: this.#prepare(entry) }))`,
      hasType('notification'),
    ),
  ),
  point(4, 'decided, not committed', before(COMMITTING, `    await engine.store.commit({`, 'records.length > 0')),
  point(
    5,
    'intent committed, not sent',
    before(DISPATCHER, `    if (this.#writes.length > 0) {`, 'this.#writes.length > 0'),
  ),
  // The request is under way when the next turn of the event loop comes; whether the application has it by then is open, as it is in life.
  point(6, 'sent, perhaps applied', {
    file: DISPATCHER,
    from: `    app.calls++
    let outcomes: readonly Outcome[]`,
    to: `    app.calls++
    setTimeout(() => globalThis.latchworkFailPoint(), 2)
    let outcomes: readonly Outcome[]`,
  }),
  // Row 7 (applied, no reply yet) is the proxy's: it kills when the reply comes by, and keeps it.
  point(8, 'answered, outcome not journalled', before(DISPATCHER, `    this.#noteHealth(app, outcomes)`)),
  point(9, 'outcome committed, echo to come', {
    file: CYCLE,
    from: COMMITTED,
    to: `${COMMITTED}\n    if (${hasType('outcome')}) globalThis.latchworkFailPoint()`,
  }),
  point(
    10,
    'echo journalled, not folded',
    before(
      CYCLE,
      `    const loading = this.#load(items)`,
      `this.#engine.counters.applied > 0 && ${hasType('notification')}`,
    ),
  ),
  point(
    11,
    'records written, cursor not, inside one transaction',
    before('src/stores/sqlite/commit.ts', `  if (batch.cursor !== null) {`, 'batch.records.length > 0'),
  ),
  point(
    13,
    'inside a migration',
    before('src/stores/sqlite/migrations.ts', `      writeMeta(database, 'schema_version', version)`),
  ),
]

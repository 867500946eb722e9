import { SyncError } from '../errors/index.ts'
import type { Message, Run } from '../model/flow.ts'
import { asJournalPosition, runIdOf } from '../model/ids.ts'
import type { Journal } from '../ports/journal.ts'
import type { RunStore } from '../ports/runs.ts'
import type { Lane } from './lane.ts'
import { inDoubt } from './run-state.ts'

interface Deps {
  readonly runs: RunStore
  readonly journal: Journal
  readonly epoch: number
  readonly nowMs: () => number
}

const PAGE = 500

/** What a restart finds of one flow: runs that are not over (what was under way is in doubt now), and messages beyond the cursor that are over already. */
export async function recoverLane(lane: Lane, deps: Deps, takeUp: (run: Run) => void): Promise<void> {
  for (let after = asJournalPosition(0); ; ) {
    const page = await deps.runs.unfinished(lane.model.name, after, PAGE)
    const runs: Run[] = []
    for (const run of page) runs.push(run.state === 'running' ? await lost(run, deps) : run)
    const doubts = runs.filter((run, i) => run !== page[i])
    if (doubts.length > 0) await deps.runs.commit({ epoch: deps.epoch, cursors: [], runs: doubts })
    for (const run of runs) takeUp(run)
    const last = page.at(-1)
    if (last === undefined || page.length < PAGE) break
    after = last.seq
  }
  await findKnown(lane, deps)
}

async function lost(run: Run, { journal, nowMs }: Deps): Promise<Run> {
  const error = new SyncError('flow.in-doubt', `the hub ended while attempt ${run.attempts} was under way`)
  return inDoubt(run, error, await messageOf(journal, run), nowMs())
}

/** Beyond the cursor some messages may have a row already: they ended while an earlier one was still under way. */
async function findKnown(lane: Lane, { runs, journal }: Deps): Promise<void> {
  for (let after = lane.cursor; ; ) {
    const entries = await journal.read(after, PAGE, lane.model.name)
    const known = await runs.runs(entries.map((entry) => runIdOf(entry.seq)))
    for (const { seq } of known) lane.knownBefore.add(seq)
    lane.waiting += entries.length - known.length
    const last = entries.at(-1)
    if (last === undefined || entries.length < PAGE) return
    after = last.seq
  }
}

/** A run's message: in its row, or still in the journal. */
export async function messageOf(journal: Journal, run: Run): Promise<Message> {
  if (run.message !== null) return run.message
  const [entry] = await journal.read(asJournalPosition(run.seq - 1), 1)
  if (entry?.seq === run.seq && entry.input.type === 'message') return entry.input.message
  throw new SyncError('internal.bug', `the message of run ${run.id} is neither in its row nor in the journal`)
}

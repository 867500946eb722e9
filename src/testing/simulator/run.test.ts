import { describe, expect, it } from 'vitest'
import type { JournalAppend } from '../../ports/journal.ts'
import type { CommitBatch } from '../../ports/store.ts'
import { runCampaign } from './campaign.ts'
import { FAULT_NAMES } from './faults.ts'
import type { Wrappers } from './hub.ts'
import { runSeed } from './run.ts'
import { NO_CUT } from './scenario.ts'
import { shrink } from './shrink.ts'

/** Checkers that object within so many seeds, with a part of the hub spoilt. */
async function objections(wrap: Wrappers, seeds = 40): Promise<Set<string>> {
  const { failures } = await runCampaign({ from: 1, seeds, classes: ['A'], wrap })
  return new Set(failures.map((failure) => failure.checker))
}

/** The same port with one method replaced. */
function instead<T extends object>(port: T, changed: Partial<T>): T {
  return new Proxy(port, {
    get: (target, name) => {
      if (name in changed) return changed[name as keyof T]
      const value = target[name as keyof T]
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

describe('a run', () => {
  it('is the same every time for one seed', async () => {
    for (const seed of [11, 12, 13]) {
      const first = await runSeed(seed)
      const second = await runSeed(seed)
      expect([second.hash, second.events]).toEqual([first.hash, first.events])
    }
  })

  it('differs from seed to seed', async () => {
    const hashes = new Set<string>()
    for (let seed = 1; seed <= 10; seed++) hashes.add((await runSeed(seed)).hash)
    expect(hashes.size).toBe(10)
  })

  it('is the same with and without its trace, which tells of every commit in an application', async () => {
    const silent = await runSeed(21)
    const told = await runSeed(21, { trace: true })
    expect(told.hash).toBe(silent.hash)
    expect(silent.lines).toEqual([])
    expect(told.lines.filter((line) => /by user action/.test(line)).length).toBeGreaterThanOrEqual(silent.userEdits)
  })

  it('meets every class of fault, crashes among them, within some dozens of seeds', async () => {
    const { totals } = await runCampaign({ from: 1, seeds: 100, classes: ['A', 'C'] })
    for (const name of FAULT_NAMES) expect([name, totals.faults[name] > 0]).toEqual([name, true])
    expect(totals.userEdits / totals.seeds).toBeGreaterThan(30)
  })

  it('does without what is cut off, and leaves the rest as it was', async () => {
    const off = new Set(FAULT_NAMES)
    const { faults, crashes } = await runSeed(3, { cut: { ...NO_CUT, off } })
    expect([crashes, ...Object.values(faults)].every((count) => count === 0)).toBe(true)
    const whole = await runSeed(3, { trace: true })
    const part = await runSeed(3, { trace: true, cut: { ...NO_CUT, off: new Set(['crash']) } })
    expect(part.lines[0]).toBe(whole.lines[0])
  })
})

describe('the checkers, on a hub that is spoilt on purpose, see', () => {
  it('writes that leave before their intent is stored', async () => {
    const forgetful: Wrappers = {
      store: (store) =>
        instead(store, {
          commit: (batch: CommitBatch) => {
            const records = batch.records.map((write) => {
              const lanes = Object.fromEntries(
                Object.entries(write.state.lanes).map(([app, lane]) => [app, { ...lane, intent: null }]),
              )
              return { ...write, state: { ...write.state, lanes } }
            })
            return store.commit({ ...batch, records })
          },
        }),
    }
    expect(await objections(forgetful, 5)).toContain('durable-intent')
  })

  it('acknowledgements of notifications that the journal has not got', async () => {
    const hasty: Wrappers = {
      journal: (journal) => {
        let count = 0
        return instead(journal, {
          append: (batch: JournalAppend) => {
            const isNotification = batch.entries.some((entry) => entry.input.type === 'notification')
            if (!isNotification || ++count % 10 !== 0) return journal.append(batch)
            return Promise.resolve(batch.entries.map(() => null))
          },
        })
      },
    }
    expect(await objections(hasty, 5)).toContain('V1')
  })

  it('writes without their condition', async () => {
    const blind: Wrappers = {
      connector: (connector) =>
        instead(connector, {
          target: instead(connector.target, {
            write: (ops, deadlineMs, signal) =>
              connector.target.write(
                ops.map((op) => ({ ...op, baseToken: null })),
                deadlineMs,
                signal,
              ),
          }),
        }),
    }
    expect(await objections(blind, 3)).toContain('conditional-write')
  })

  it('writes that are reported as done and were not sent', async () => {
    const lying: Wrappers = {
      connector: (connector) => {
        let count = 0
        return instead(connector, {
          target: instead(connector.target, {
            write: (ops, deadlineMs, signal) =>
              ++count % 7 === 0 && ops.every((op) => op.kind === 'update')
                ? Promise.resolve(ops.map((op) => ({ op: op.op, result: 'applied' as const })))
                : connector.target.write(ops, deadlineMs, signal),
          }),
        })
      },
    }
    const found = await objections(lying, 20)
    expect([...found].some((checker) => ['V2', 'V3', 'V4'].includes(checker))).toBe(true)
  })

  it('conflicts that are not written down', async () => {
    const careless: Wrappers = {
      store: (store) => instead(store, { commit: (batch: CommitBatch) => store.commit({ ...batch, conflicts: [] }) }),
    }
    expect(await objections(careless, 20)).toContain('V3')
  })
})

it('a failure shrinks to a story with fewer edits that breaks the same promise', async () => {
  const careless: Wrappers = {
    store: (store) => instead(store, { commit: (batch: CommitBatch) => store.commit({ ...batch, conflicts: [] }) }),
  }
  const options = { classes: ['A'], wrap: careless }
  const { failures } = await runCampaign({ ...options, from: 1, seeds: 10 })
  const seed = failures.find((failure) => failure.checker === 'V3')?.seed ?? 0
  const whole = await runSeed(seed, options)
  const { result } = await shrink(whole, options)
  expect(result.failed?.checker).toBe('V3')
  expect(result.userEdits).toBeLessThan(whole.userEdits / 3)
  expect(result.lines.length).toBeGreaterThan(3)
})

import { describe, expect, test } from 'vitest'
import { systemClock } from '../lib/system-clock.ts'
import { crm, key, laneOf } from '../merge/fake-record.ts'
import type { Input } from '../model/change.ts'
import { asFeedPosition, asJournalPosition, laneKey } from '../model/ids.ts'
import type { Connector } from '../ports/app.ts'
import { MemoryJournal } from '../stores/memory/index.ts'
import { Dispatcher } from './dispatcher.ts'
import type { Engine } from './engine.ts'
import { FeedReader } from './feeds.ts'
import { DEFAULT_LIMITS } from './limits.ts'

const log = { log: () => {} }

/** An application whose log is read when the test says so. */
function loggedApp() {
  const reads: (() => void)[] = []
  let hurried = 0
  const read = (): Promise<unknown> =>
    new Promise((resolve) => reads.push(() => resolve({ changes: [], position: asFeedPosition('1'), more: false })))
  const source = { feeds: [{ feed: 'log', everyMs: 0 }], read, confirm: async () => {}, hurry: () => void hurried++ }
  const connector = { app: crm, source } as unknown as Connector
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  /** Until a read is under way. */
  const begun = async (): Promise<void> => {
    while (reads.length === 0) await turn()
  }
  return {
    connector,
    hurried: () => hurried,
    begun,
    /** Answers the read under way, that the log has nothing more, and waits for the next one. */
    async answer(): Promise<void> {
      reads.shift()?.()
      await begun()
    },
  }
}

describe('reading a log past now', () => {
  async function reader(app: ReturnType<typeof loggedApp>): Promise<FeedReader> {
    const journal = new MemoryJournal()
    await journal.append({ entries: [], feeds: [{ app: crm, feed: 'log', position: asFeedPosition('1') }] })
    const brakes = { contact: { isReading: () => false } }
    const engine = { journal, limits: DEFAULT_LIMITS, cursor: 0, clock: systemClock, log, brakes } as unknown as Engine
    const feeds = new FeedReader(engine, new Map([[crm, app.connector]]))
    await feeds.start()
    return feeds
  }

  test('one asking serves all who ask before a read of it has begun, and none who asks later', async () => {
    const app = loggedApp()
    const feeds = await reader(app)
    await app.begun()
    const first = feeds.passed(crm)
    expect(feeds.passed(crm)).toBe(first)
    expect(app.hurried()).toBe(1)
    // The read under way had begun before they asked: the one after it is theirs.
    await app.answer()
    const later = feeds.passed(crm)
    expect(later).not.toBe(first)
    let isLaterDone = false
    void later.then(() => (isLaterDone = true))
    await app.answer()
    await first
    expect(isLaterDone).toBe(false)
    await app.answer()
    await later
    feeds.stop()
  })
})

describe('a lane that waits for its log', () => {
  function dispatcher() {
    const taken: Input[] = []
    const { promise, resolve } = Promise.withResolvers<void>()
    const passes = new Dispatcher({
      connectors: new Map(),
      clock: systemClock,
      log,
      limits: DEFAULT_LIMITS,
      take: (input) => taken.push(input),
      slotsFree: () => {},
      lastPosition: () => asJournalPosition(7),
      passFeeds: () => promise,
      slots: new Map(),
    })
    const settle = async (): Promise<void> => {
      resolve()
      await promise
      await Promise.resolve()
    }
    return { passes, taken, settle }
  }
  const name = `pass:${laneKey(key, crm)}`

  test('is told when the log was read', async () => {
    const { passes, taken, settle } = dispatcher()
    passes.pass(name, laneOf({}), key)
    await settle()
    expect(taken).toMatchObject([{ type: 'read', read: { result: 'passed' }, begunAfter: 7 }])
  })

  test('is not told once it has dropped its asking, and may ask again', async () => {
    const { passes, taken, settle } = dispatcher()
    passes.pass(name, laneOf({}), key)
    passes.dropPass(name)
    expect(passes.isInFlight(name)).toBe(false)
    passes.pass(name, laneOf({}), key)
    await settle()
    expect(taken).toHaveLength(1)
    // What was answered is decided on first.
    passes.dropPass(name)
    expect(passes.isInFlight(name)).toBe(true)
  })
})

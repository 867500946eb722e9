/**
 * The comparison that gave the project its idea: the same bidirectional traffic between two applications without latching, with the latch asked from the store for every
 * observation, and with the latch in memory. All three keep their state in SQLite files with synchronous=FULL; the applications are in memory and tell of every write, ours too.
 *
 *   npm run bench -- latching --json
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { http } from '../src/connectors/http/config.ts'
import { Engine } from '../src/engine/engine.ts'
import { FakeApp } from '../src/engine/fake-app.ts'
import { defineHub, entity, sync } from '../src/index.ts'
import { systemClock, systemRandom } from '../src/lib/system-clock.ts'
import type { HubModel, Latching } from '../src/model/entity.ts'
import { asAppId, asObjectId, asOpId } from '../src/model/ids.ts'
import type { Store } from '../src/ports/store.ts'
import { openNodeSqlite } from '../src/stores/sqlite/driver.ts'
import { SqliteJournal, SqliteStore } from '../src/stores/sqlite/index.ts'

export interface LatchingSide {
  /** Changes of people that reached the other application, per second. */
  readonly recordsPerSecond: number
  /** Statements asked of the store and commits, per change. */
  readonly storeOpsPerChange: number
  /** Writes beyond the one that each change needs. */
  readonly echoWrites: number
  readonly changes: number
  readonly writes: number
  /** The loop did not end by itself. */
  readonly cutOff: boolean
}

export interface LatchingBench {
  readonly none: LatchingSide
  readonly table: LatchingSide
  readonly memory: LatchingSide
  readonly volatile: LatchingSide
  /** memory over table; the goal is at most 0.5. */
  readonly storeOpsRatio: number
}

/** A multiple of the users, so that each has records of their own: this is not about conflicts. */
const RECORDS = 208
const CHANGES = 2_080
/** People who save at the same time, each another record. */
const USERS = 16
/** Without latching: after this many writes for one change on average nobody doubts that it goes on for ever. */
const LOOP_WRITES_MAX = 5

export async function runLatchingBench(progress: (text: string) => void): Promise<LatchingBench> {
  const none = await withoutLatching(progress)
  const table = await withLatching('table', progress)
  const memory = await withLatching('memory', progress)
  const volatile = await withLatching('volatile', progress)
  return { none, table, memory, volatile, storeOpsRatio: round(memory.storeOpsPerChange / table.storeOpsPerChange) }
}

const round = (value: number): number => Math.round(value * 1000) / 1000

/** What any two-way sync without latching does: whatever one application tells is written to the other, by the cross-reference. */
async function withoutLatching(progress: (text: string) => void): Promise<LatchingSide> {
  const folder = mkdtempSync(join(tmpdir(), 'latchwork-bench-'))
  const db = openNodeSqlite(join(folder, 'xref.db'), { readOnly: false })
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
  db.exec('CREATE TABLE xref (here TEXT PRIMARY KEY, there TEXT NOT NULL, value TEXT) STRICT, WITHOUT ROWID')
  const ask = db.prepare('SELECT there FROM xref WHERE here = ?')
  const keep = db.prepare('UPDATE xref SET value = ? WHERE here = ?')
  const insert = db.prepare('INSERT INTO xref VALUES (?, ?, NULL)')
  const apps = { left: new FakeApp('left', 'L'), right: new FakeApp('right', 'R') }
  const { model } = hub('memory')
  const targets = { left: apps.left.connector(model).target, right: apps.right.connector(model).target }
  let ops = 0
  let writes = 0
  let op = 0
  let isCut = false
  const limit = CHANGES * LOOP_WRITES_MAX
  const relay = (to: 'left' | 'right') => async (changes: Parameters<FakeApp['notify']>[0]) => {
    for (const change of changes) {
      if (isCut || change.record === undefined) continue
      ops += 2
      const there = ask.get(change.nativeId)?.[0]
      keep.run(String(change.record.value), change.nativeId)
      if (typeof there !== 'string') continue
      if (++writes >= limit) isCut = true
      const { id: _, rev: __, ...patch } = change.record
      await targets[to].write(
        [
          {
            op: asOpId(`bench.${op++}`),
            object: asObjectId('things'),
            kind: 'update',
            nativeId: there as never,
            baseToken: null,
            correlationId: '' as never,
            resend: false,
            patch,
            full: patch,
            baseValues: {},
          },
        ],
        10_000,
        new AbortController().signal,
      )
    }
  }
  const pairs = Array.from({ length: RECORDS }, (_, i) => {
    const values = { code: `c${i}`, value: 'start', ext: null }
    return [apps.left.create('things', values), apps.right.create('things', values)] as const
  })
  await quiet(apps)
  for (const [left, right] of pairs) {
    insert.run(left, right)
    insert.run(right, left)
  }
  apps.left.notify = relay('right')
  apps.right.notify = relay('left')
  const startMs = systemClock.monotonicMs()
  let changes = 0
  while (changes < CHANGES && !isCut) {
    const [left, right] = pairs[changes % RECORDS] as readonly [string, string]
    if (changes % 2 === 0) apps.left.edit('things', left, { value: `v${changes}` })
    else apps.right.edit('things', right, { value: `v${changes}` })
    changes++
    if (changes % USERS === 0) await turn()
  }
  while (!isCut && (writes < changes || !(apps.left.isQuiet && apps.right.isQuiet))) await turn()
  const seconds = (systemClock.monotonicMs() - startMs) / 1000
  db.close()
  rmSync(folder, { recursive: true, force: true })
  progress(`none: ${changes} changes led to ${writes} writes; ${isCut ? 'cut off' : 'ended by itself'}`)
  return {
    recordsPerSecond: Math.round(changes / seconds),
    storeOpsPerChange: round(ops / changes),
    echoWrites: writes - changes,
    changes,
    writes,
    cutOff: isCut,
  }
}

async function withLatching(latching: Latching, progress: (text: string) => void): Promise<LatchingSide> {
  const folder = mkdtempSync(join(tmpdir(), 'latchwork-bench-'))
  const { model } = hub(latching)
  const apps = { left: new FakeApp('left', 'L'), right: new FakeApp('right', 'R') }
  const inner = new SqliteStore({ path: join(folder, 'state.db') })
  const counted = counting(inner)
  const journal = await SqliteJournal.open({ folder: join(folder, 'journal') })
  const engine = new Engine({
    model,
    connectors: new Map(Object.values(apps).map((app) => [asAppId(app.name), app.connector(model)])),
    store: counted.store,
    journal,
    clock: systemClock,
    random: systemRandom,
    log: { log: () => {} },
  })
  await engine.start()
  for (const app of Object.values(apps)) app.notify = (changes) => engine.accept(asAppId(app.name), changes)
  const lefts = Array.from({ length: RECORDS }, (_, i) =>
    apps.left.create('things', { code: `c${i}`, value: 'start', ext: null }),
  )
  await quiet(apps, engine)
  const rights = new Map(apps.right.list('things').map((row) => [row.code, row.id]))
  const written = apps.left.hubWrites + apps.right.hubWrites
  counted.reset()
  const startMs = systemClock.monotonicMs()
  let changes = 0
  /** One person: saves, waits until the other application has it, saves the next record. */
  const user = async (number: number): Promise<void> => {
    for (let i = number; i < CHANGES; i += USERS) {
      const record = i % RECORDS
      const value = `v${i}`
      const [from, id, to, other] =
        (i + Math.floor(i / RECORDS)) % 2 === 0
          ? [apps.left, lefts[record] as string, apps.right, rights.get(`c${record}`) as string]
          : [apps.right, rights.get(`c${record}`) as string, apps.left, lefts[record] as string]
      from.edit('things', id, { value })
      changes++
      while (to.get('things', other)?.value !== value) await turn()
    }
  }
  await Promise.all(Array.from({ length: USERS }, (_, number) => user(number)))
  const seconds = (systemClock.monotonicMs() - startMs) / 1000
  await quiet(apps, engine)
  const writes = apps.left.hubWrites + apps.right.hubWrites - written
  const ops = counted.ops()
  await engine.stop()
  await journal.close()
  await inner.close()
  rmSync(folder, { recursive: true, force: true })
  progress(`${latching}: ${changes} changes led to ${writes} writes, ${ops} operations of the store`)
  return {
    recordsPerSecond: Math.round(changes / seconds),
    storeOpsPerChange: round(ops / changes),
    echoWrites: writes - changes,
    changes,
    writes,
    cutOff: false,
  }
}

/** Without a correlation id a hub has to know its own open creates, which is what a latch is asked for most. */
function hub(latching: Latching): { readonly model: HubModel } {
  const left = http({ baseUrl: 'http://left.test' })
  const right = http({ baseUrl: 'http://right.test' })
  const thing = entity('thing', { schema: z.object({ code: z.string(), value: z.string() }) })
  const binding = {
    id: 'id',
    version: 'rev',
    conditional: true,
    idempotency: 'all',
    latching,
    fields: { code: 'code', value: 'value' },
  } as const
  return defineHub({
    apps: { left, right },
    sync: [sync(thing, { left: left.resource('/things', binding), right: right.resource('/things', binding) })],
  })
}

/** One operation is a query or a commit: a load asks once for each kind of thing that it wants. */
function counting(inner: Store): { readonly store: Store; ops(): number; reset(): void } {
  let count = 0
  const store = new Proxy(inner, {
    get(target, name) {
      const member = Reflect.get(target, name, target)
      if (typeof member !== 'function') return member
      return (...args: unknown[]) => {
        if (name === 'load') {
          const query = args[0] as Parameters<Store['load']>[0]
          count += [query.records, query.natives, query.canonicals, query.matches].filter(
            (list) => list.length > 0,
          ).length
        } else count++
        return Reflect.apply(member, target, args)
      }
    },
  })
  return {
    store,
    ops: () => count,
    reset: () => {
      count = 0
    },
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

async function quiet(apps: Readonly<Record<string, FakeApp>>, engine?: Engine): Promise<void> {
  for (let still = 0; still < 3; ) {
    await turn()
    still = Object.values(apps).every((app) => app.isQuiet) && (engine?.isIdle() ?? true) ? still + 1 : 0
  }
}

/**
 * The bench of a restart: how long until a hub with a million linked records is ready, and how much memory it holds then. Links are not kept in memory, so
 * neither may grow with their number.
 *
 *   node --conditions=latchwork-source bench/restart.ts [--records 1000000]
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { CONSUMER, Engine } from '../src/engine/engine.ts'
import { systemClock, systemRandom } from '../src/lib/system-clock.ts'
import {
  type AppId,
  asAppId,
  asCanonicalKey,
  asEntityName,
  asJournalPosition,
  asNativeId,
  asObjectId,
  asToken,
  type CanonicalKey,
} from '../src/model/ids.ts'
import type { Lane, Link, RecordState } from '../src/model/record.ts'
import type { NewEntry } from '../src/ports/journal.ts'
import type { RecordWrite } from '../src/ports/store.ts'
import { SqliteJournal } from '../src/stores/sqlite/journal.ts'
import { STORE_MIGRATIONS } from '../src/stores/sqlite/schema.ts'
import { SqliteStore } from '../src/stores/sqlite/store.ts'

export interface RestartBench {
  /** From the start of the process until the engine says that it is ready. */
  readonly readyMs: number
  /** Of that, from the first line of the hub's own work. */
  readonly openMs: number
  readonly rssMb: number
  readonly records: number
  readonly stateMb: number
}

export interface RestartOptions {
  readonly records?: number
}

const RECORDS = 1_000_000
const RECORDS_PER_COMMIT = 5_000
const JOURNAL_ENTRIES = 50_000
const ENTRIES_PER_APPEND = 1_000
const APPS = ['orders', 'warehouse'].map(asAppId)
const CUSTOMERS = asObjectId('customers')
const CUSTOMER = asEntityName('customer')
const AT_MS = 1_750_000_000_000

export async function run({ records = RECORDS }: RestartOptions = {}): Promise<RestartBench> {
  const folder = join(tmpdir(), `latchwork-bench-restart-${STORE_MIGRATIONS.length}-${records}`)
  if (!existsSync(join(folder, 'state.db')) || !(await isWhole(folder, records))) await build(folder, records)
  const startMs = performance.now()
  const ready = await restart(folder)
  const readyMs = Math.round(ready.atMs - startMs)
  return { readyMs, openMs: ready.openMs, rssMb: ready.rssMb, records, stateMb: ready.stateMb }
}

interface Ready {
  readonly openMs: number
  readonly rssMb: number
  readonly stateMb: number
}

async function restart(folder: string): Promise<Ready & { readonly atMs: number }> {
  const child = spawn(
    process.execPath,
    ['--conditions=latchwork-source', fileURLToPath(import.meta.url), '--child', folder],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  for await (const line of createInterface({ input: child.stdout })) {
    return { ...(JSON.parse(line) as Ready), atMs: performance.now() }
  }
  throw new Error('the restarted process ended before it was ready')
}

/** What the restarted process does: the hub's own start, without applications, which are not what is measured. */
async function startHub(folder: string): Promise<Engine> {
  const engine = new Engine({
    model: { entities: new Map(), bindingsOf: () => [], mappingVersion: 1 },
    connectors: new Map(),
    store: new SqliteStore({ path: join(folder, 'state.db') }),
    journal: await SqliteJournal.open({ folder }),
    clock: systemClock,
    random: systemRandom,
    log: { log: () => {} },
  })
  await engine.start()
  return engine
}

async function child(folder: string): Promise<void> {
  const startMs = performance.now()
  const engine = await startHub(folder)
  const openMs = Math.round(performance.now() - startMs)
  const rssMb = Math.round(process.memoryUsage.rss() / 2 ** 20)
  const stateMb = Math.round(statSync(join(folder, 'state.db')).size / 2 ** 20)
  const ready: Ready = { openMs, rssMb, stateMb }
  process.stdout.write(JSON.stringify(ready) + '\n')
  await engine.stop()
}

/** Whether an earlier run finished this folder: the cursor is written with the last records. */
async function isWhole(folder: string, records: number): Promise<boolean> {
  await using store = new SqliteStore({ path: join(folder, 'state.db') })
  await store.open()
  return (await store.cursor('bench')) === records
}

async function build(folder: string, records: number): Promise<void> {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  await using journal = await SqliteJournal.open({ folder })
  for (let n = 1; n <= JOURNAL_ENTRIES; n += ENTRIES_PER_APPEND) {
    await journal.append({ entries: Array.from({ length: ENTRIES_PER_APPEND }, (_, i) => entryOf(n + i)) })
  }
  await using store = new SqliteStore({ path: join(folder, 'state.db') })
  const { epoch } = await store.open()
  for (let n = 0; n < records; n += RECORDS_PER_COMMIT) {
    const numbers = Array.from({ length: Math.min(RECORDS_PER_COMMIT, records - n) }, (_, i) => n + i)
    await store.commit({
      epoch,
      cursor: { consumer: CONSUMER, position: asJournalPosition(JOURNAL_ENTRIES) },
      records: numbers.map(writeOf),
      links: numbers.flatMap((number) => APPS.map((app) => linkOf(app, number))),
      matches: numbers.map((number) => ({ entity: CUSTOMER, matchKey: emailOf(number), key: keyOf(number) })),
      held: [],
      heldDone: [],
      conflicts: [],
    })
  }
  const none = { records: [], links: [], matches: [], held: [], heldDone: [], conflicts: [] }
  await store.commit({ epoch, ...none, cursor: { consumer: 'bench', position: asJournalPosition(records) } })
}

const keyOf = (n: number): CanonicalKey =>
  asCanonicalKey(`01976a5c-${(n >>> 16).toString(16).padStart(4, '0')}-7000-8000-${n.toString(16).padStart(12, '0')}`)
const emailOf = (n: number): string => `ada.lovelace.${n}@example.org`

function writeOf(n: number): RecordWrite {
  const seq = asJournalPosition(n + 1)
  const sent = {
    name: `Ada Lovelace ${n}`,
    email: emailOf(n),
    phone: '+44 20 7946 0000',
    city: 'London',
    credit: '123.45',
    status: 'active',
  }
  const origin = { seq, app: APPS[0] as AppId, timeMs: AT_MS, root: seq, hops: 0 }
  const state: RecordState = {
    key: keyOf(n),
    entity: CUSTOMER,
    shard: 0,
    rev: 1,
    deleted: false,
    mappingVersion: 1,
    head: Object.fromEntries(Object.entries(sent).map(([path, value]) => [path, { value, origin }])),
    headSeq: seq,
    lanes: Object.fromEntries(APPS.map((app) => [app, laneOf(app, n, sent)])),
    matchKey: sent.email,
    parkedPaths: {},
  }
  const verdict = { seq, atMs: AT_MS, app: APPS[0] as AppId, verdict: 'created', text: 'a new record' } as const
  return { state, expectRev: 0, verdicts: [verdict], openLanes: null }
}

const laneOf = (app: AppId, n: number, sent: Lane['sent']): Lane => ({
  app,
  object: CUSTOMERS,
  nativeId: asNativeId(String(n)),
  incarnation: 0,
  exists: true,
  image: { ...sent, credit: 12_345 },
  sent,
  token: asToken('1'),
  basis: asJournalPosition(1),
  byChance: [],
  unfolded: [],
  intent: null,
  overlays: [],
  reading: null,
  park: null,
  retry: null,
  waitsFor: null,
  detached: false,
  madeAtMs: null,
  withdrawn: false,
  own: [],
  nextOp: 1,
  readSeq: asJournalPosition(0),
  knownAtMs: AT_MS,
  swings: null,
})

const linkOf = (app: AppId, n: number): Link => ({
  app,
  object: CUSTOMERS,
  nativeId: asNativeId(String(n)),
  entity: CUSTOMER,
  key: keyOf(n),
  incarnation: 0,
  state: 'live',
  token: null,
  atMs: AT_MS,
})

const entryOf = (n: number): NewEntry => ({
  shard: 0,
  atMs: AT_MS,
  mappingVersion: 1,
  input: {
    type: 'notification',
    change: { app: APPS[0] as AppId, object: CUSTOMERS, nativeId: asNativeId(String(n)), kind: 'image', record: {} },
  },
  dedupKey: `dlv_${n}`,
})

if (import.meta.main) {
  const { values } = parseArgs({ options: { child: { type: 'string' }, records: { type: 'string' } } })
  if (values.child !== undefined) await child(values.child)
  else console.log(JSON.stringify(await run(values.records === undefined ? {} : { records: Number(values.records) })))
}

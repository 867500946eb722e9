/**
 * The bench of the latch: close it, ask whose write a native record's notification would be, open it again. In memory, as the engine does it, beside the
 * table that the market's middlewares keep: the store's own cross-reference, one statement at a time, every change on the disk.
 *
 *   node --conditions=latchwork-source bench/latch.ts [--turn-ms 700] [--turns 3]
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { LatchTable } from '../src/latch/latch-table.ts'
import {
  asAppId,
  asCanonicalKey,
  asEntityName,
  asNativeId,
  asObjectId,
  asOpId,
  type CanonicalKey,
  type NativeId,
  type OpId,
} from '../src/model/ids.ts'
import type { Link } from '../src/model/record.ts'
import { openNodeSqlite } from '../src/stores/sqlite/driver.ts'
import { SqliteStore } from '../src/stores/sqlite/store.ts'

export interface LatchBench {
  /** One round is close, check and open. */
  readonly memoryPerSecond: number
  readonly tablePerSecond: number
  readonly ratio: number
  /** The median of so many turns; the fastest and slowest of each say how quiet the machine was. */
  readonly turns: number
  readonly memorySpread: readonly [number, number]
  readonly tableSpread: readonly [number, number]
  readonly keys: number
  /** The check alone, which is what nearly every notification costs. */
  readonly memoryChecksPerSecond: number
  readonly tableChecksPerSecond: number
}

export interface LatchOptions {
  readonly keys?: number
  /** How long each turn of each side may take. */
  readonly turnMs?: number
  readonly turns?: number
}

interface Lane {
  readonly key: CanonicalKey
  readonly nativeId: NativeId
  readonly op: OpId
}

/** Both sides offer the same three steps. */
interface Side {
  close(lane: Lane): void
  opOf(lane: Lane): string | undefined
  open(lane: Lane): void
}

const WAREHOUSE = asAppId('warehouse')
const CLIENTS = asObjectId('clients')
const CUSTOMER = asEntityName('customer')
const LINKS_PER_COMMIT = 10_000

export async function run(options: LatchOptions = {}): Promise<LatchBench> {
  const { keys = 100_000, turnMs = 700, turns = 3 } = options
  const lanes = Array.from({ length: keys }, (_, n) => laneOf(n))
  const folder = mkdtempSync(join(tmpdir(), 'latchwork-bench-latch-'))
  try {
    const path = join(folder, 'state.db')
    await linkAll(path, lanes)
    const table = tableSide(path)
    const memory = memorySide()
    const rounds = { memory: [] as number[], table: [] as number[] }
    const checks = { memory: [] as number[], table: [] as number[] }
    // In turns, so that a busy moment of the machine falls on both.
    for (let turn = 0; turn < turns; turn++) {
      rounds.table.push(perSecond(lanes, turnMs, round(table)))
      rounds.memory.push(perSecond(lanes, turnMs, round(memory)))
      checks.table.push(perSecond(lanes, turnMs / 4, (lane) => table.opOf(lane)))
      checks.memory.push(perSecond(lanes, turnMs / 4, (lane) => memory.opOf(lane)))
    }
    table.end()
    return {
      memoryPerSecond: median(rounds.memory),
      tablePerSecond: median(rounds.table),
      ratio: Math.round(median(rounds.memory) / median(rounds.table)),
      turns,
      memorySpread: spread(rounds.memory),
      tableSpread: spread(rounds.table),
      keys,
      memoryChecksPerSecond: median(checks.memory),
      tableChecksPerSecond: median(checks.table),
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** One lane after the other in an order that jumps about, as notifications do; returns how often in a second. */
function perSecond(lanes: readonly Lane[], forMs: number, step: (lane: Lane) => unknown): number {
  const startMs = performance.now()
  let done = 0
  for (let elapsedMs = 0; ; ) {
    for (let i = 0; i < 64; i++, done++) step(lanes[(done * 7_919) % lanes.length] as Lane)
    elapsedMs = performance.now() - startMs
    if (elapsedMs >= forMs) return Math.round((done * 1_000) / elapsedMs)
  }
}

function round(side: Side): (lane: Lane) => void {
  return (lane) => {
    side.close(lane)
    if (side.opOf(lane) !== lane.op) throw new Error(`the latch of ${lane.nativeId} was closed, and is not found`)
    side.open(lane)
  }
}

function memorySide(): Side {
  const latches = new LatchTable()
  // The lanes of a busy moment are closed already, so that the table is not measured empty.
  for (let n = 0; n < 1_000; n++) {
    const { nativeId, key, op } = laneOf(10_000_000 + n)
    latches.close(WAREHOUSE, CLIENTS, nativeId, key, op)
  }
  return {
    close: ({ nativeId, key, op }) => latches.close(WAREHOUSE, CLIENTS, nativeId, key, op),
    opOf: ({ nativeId }) => latches.opOf(WAREHOUSE, CLIENTS, nativeId),
    open: ({ key }) => latches.open(WAREHOUSE, key),
  }
}

/** Each statement is its own transaction, as with a table that every process asks and sets. */
function tableSide(path: string): Side & { end(): void } {
  const database = openNodeSqlite(path, { readOnly: false })
  database.exec('PRAGMA synchronous = FULL; PRAGMA cache_size = -32000')
  const close = database.prepare("INSERT INTO open_lanes VALUES (?, ?, 'customer', 'intent', ?, 0, NULL)")
  const opOf = database.prepare(`
    SELECT o.op FROM links AS l JOIN open_lanes AS o ON o.canonical_key = l.canonical_key AND o.app_id = l.app_id
    WHERE l.app_id = ? AND l.object_id = ? AND l.native_id = ? AND l.state = 'live'`)
  const open = database.prepare('DELETE FROM open_lanes WHERE canonical_key = ? AND app_id = ?')
  return {
    close: ({ key, op }) => void close.run(key, WAREHOUSE, op),
    opOf: ({ nativeId }) => opOf.get(WAREHOUSE, CLIENTS, nativeId)?.[0] as string | undefined,
    open: ({ key }) => void open.run(key, WAREHOUSE),
    end: () => database.close(),
  }
}

async function linkAll(path: string, lanes: readonly Lane[]): Promise<void> {
  await using store = new SqliteStore({ path })
  const { epoch } = await store.open()
  const none = { cursor: null, records: [], matches: [], held: [], heldDone: [], conflicts: [] }
  for (let at = 0; at < lanes.length; at += LINKS_PER_COMMIT) {
    await store.commit({ epoch, ...none, links: lanes.slice(at, at + LINKS_PER_COMMIT).map(linkOf) })
  }
}

const linkOf = ({ key, nativeId }: Lane): Link => ({
  app: WAREHOUSE,
  object: CLIENTS,
  nativeId,
  entity: CUSTOMER,
  key,
  incarnation: 0,
  state: 'live',
  token: null,
  atMs: 0,
})

function laneOf(n: number): Lane {
  const key = asCanonicalKey(`01976a5c-8b00-7000-8000-${String(n).padStart(12, '0')}`)
  return { key, nativeId: asNativeId(String(100_000 + n)), op: asOpId(`h0bench000.1.${key}.warehouse.1`) }
}

const median = (figures: readonly number[]): number =>
  [...figures].sort((a, b) => a - b)[Math.floor(figures.length / 2)] as number
const spread = (figures: readonly number[]): readonly [number, number] => [Math.min(...figures), Math.max(...figures)]

if (import.meta.main) {
  const { values } = parseArgs({ options: { 'turn-ms': { type: 'string' }, turns: { type: 'string' } } })
  const options = {
    ...(values['turn-ms'] === undefined ? {} : { turnMs: Number(values['turn-ms']) }),
    ...(values.turns === undefined ? {} : { turns: Number(values.turns) }),
  }
  console.log(JSON.stringify(await run(options)))
}

/**
 * Simulated users at work in both applications, through their REST APIs only. Every value that they write is used once, so that
 * the applications' write logs tell later what became of each.
 *
 *     node traffic.ts --desk http://127.0.0.1:4101 --warehouse http://127.0.0.1:4102 --rate 50 --seconds 30
 */

import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { AppClient } from './traffic/app-client.ts'
import type { PairEdit } from './traffic/pairs.ts'
import { Pairs } from './traffic/pairs.ts'
import type { Kind } from './traffic/sides.ts'
import { deskSide, warehouseSide } from './traffic/sides.ts'
import type { Outcome } from './traffic/users.ts'
import { Users } from './traffic/users.ts'
import { Random, UniqueValues } from './traffic/values.ts'

/** Actions begun and not ended. More would only queue up inside this process. */
const inFlightMax = 256
const tickMs = 10
const refreshIntervalMs = 500
const pairEditProbability = 0.04
const kinds: readonly Kind[] = ['customer', 'product', 'order']

export type TrafficOptions = {
  readonly deskUrl: string
  readonly warehouseUrl: string
  /** Actions a second, over both applications. */
  readonly rate: number
  readonly seed: number
  readonly signal?: AbortSignal
  readonly users?: number
  readonly thinkMsMax?: number
  /** Stands in every value; by default new for every run, as two runs on the same data must not write the same values. */
  readonly tag?: string
}

export type TrafficStats = {
  readonly actions: number
  readonly outcomes: Readonly<Record<Outcome, number>>
  /** Writes refused with 412; most are tried again and count once more under their outcome. */
  readonly stale: number
  readonly pairEdits: number
  /** Actions not begun, as too many were under way. */
  readonly skipped: number
}

export type Traffic = {
  readonly stats: () => TrafficStats
  /** Two users edit the same record in both applications at once; null where none is found that both have. */
  readonly editBothSides: () => Promise<PairEdit | null>
  /** Begins no more actions and waits for those under way. May be called again. */
  readonly stop: () => Promise<TrafficStats>
}

export function startTraffic(options: TrafficOptions): Traffic {
  const random = new Random(options.seed)
  const values = new UniqueValues(options.tag ?? Date.now().toString(36))
  const users = new Users({ random, values, count: options.users ?? 20, thinkMsMax: options.thinkMsMax ?? 50 })
  const desk = new AppClient(deskSide, options.deskUrl)
  const warehouse = new AppClient(warehouseSide, options.warehouseUrl)
  const pairs = new Pairs(desk, warehouse, users, random)
  const outcomes: Record<Outcome, number> = { written: 0, idle: 0, gone: 0, 'gave-up': 0, refused: 0, unreachable: 0 }
  const underWay = new Set<Promise<unknown>>()
  const stopping = new AbortController()
  let actions = 0
  let pairEdits = 0
  let skipped = 0

  function begin<T>(action: () => Promise<T>): Promise<T> {
    const promise = action()
    underWay.add(promise)
    const end = () => underWay.delete(promise)
    promise.then(end, end)
    return promise
  }

  async function editBothSides(): Promise<PairEdit | null> {
    const edit = await begin(() => pairs.edit())
    if (edit) pairEdits++
    return edit
  }

  async function act(): Promise<void> {
    actions++
    if (random.chance(pairEditProbability)) {
      outcomes[(await pairs.edit().then((edit) => edit && ++pairEdits)) ? 'written' : 'idle']++
    } else outcomes[await users.act([desk, warehouse])]++
  }

  async function refreshAll(): Promise<void> {
    await Promise.all([desk, warehouse].flatMap((app) => kinds.map((kind) => app.refresh(kind))))
  }

  async function keepRefreshing(): Promise<void> {
    while (!stopping.signal.aborted) {
      await delay(refreshIntervalMs, undefined, { signal: stopping.signal }).catch(() => {})
      if (!stopping.signal.aborted) await refreshAll()
    }
  }

  async function work(): Promise<void> {
    const startedMs = performance.now()
    while (!stopping.signal.aborted) {
      const due = Math.floor(((performance.now() - startedMs) / 1000) * options.rate)
      while (actions + skipped < due) {
        if (underWay.size < inFlightMax) void begin(act)
        else skipped++
      }
      await delay(tickMs)
    }
  }

  async function end(): Promise<TrafficStats> {
    stopping.abort()
    await running
    while (underWay.size > 0) await Promise.allSettled(underWay)
    await Promise.all([desk.close(), warehouse.close()])
    return stats()
  }

  function stats(): TrafficStats {
    return { actions, outcomes: { ...outcomes }, stale: users.staleCount, pairEdits, skipped }
  }

  const running = refreshAll().then(() => Promise.all([work(), keepRefreshing()]))
  let ended: Promise<TrafficStats> | undefined
  const stop = () => (ended ??= end())
  if (options.signal?.aborted) void stop()
  else options.signal?.addEventListener('abort', () => void stop(), { once: true })
  return { stats, editBothSides, stop }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      desk: { type: 'string', default: 'http://127.0.0.1:4101' },
      warehouse: { type: 'string', default: 'http://127.0.0.1:4102' },
      rate: { type: 'string', default: '20' },
      seed: { type: 'string', default: '1' },
      seconds: { type: 'string', default: '30' },
      users: { type: 'string', default: '20' },
    },
  })
  const traffic = startTraffic({
    deskUrl: values.desk,
    warehouseUrl: values.warehouse,
    rate: Number(values.rate),
    seed: Number(values.seed),
    users: Number(values.users),
  })
  const interrupted = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort())
  await delay(Number(values.seconds) * 1000, undefined, { signal: interrupted.signal }).catch(() => {})
  console.log(JSON.stringify(await traffic.stop()))
}

if (import.meta.main) await main()

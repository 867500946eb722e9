import { Client } from 'pg'

/** The loads of `bench -- db` on two databases that somebody keeps equal: what is written, and when the other side shows it. */

export interface Latency {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly missing: number
}

export interface LoadResult {
  readonly latency: Latency
  /** Rows a second until the last row is visible on the other side; null: not within the limit. */
  readonly commits100: number | null
  readonly commits1: number | null
  readonly bothSides: number | null
  readonly burst: number | null
  readonly sameRow: { readonly rows: number; readonly equal: number }
  readonly equal: boolean
  readonly quiet: boolean
}

export interface LoadOptions {
  readonly rows: number
  readonly paced: number
  readonly single: number
  readonly limitMs: number
  readonly progress: (text: string) => void
}

const now = (): number => performance.now()
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const SAME_ROWS = 200

interface Sides {
  readonly a: Client
  readonly b: Client
  readonly pollA: Client
  readonly pollB: Client
}

async function connect(url: string): Promise<Client> {
  const client = new Client({ connectionString: url })
  await client.connect()
  return client
}

let tag = 0

const update = (client: Client, id: number, n: number): Promise<unknown> =>
  client.query({
    name: 'upd',
    text: 'UPDATE customers SET name = $2, credit = $3, updated_at = now() WHERE id = $1',
    values: [id, `n${n}`, n],
  })

const bulk = (from: number, count: number, n: number): string =>
  Array.from(
    { length: count },
    (_, i) => `UPDATE customers SET name = 'n${n}', credit = ${n}, updated_at = now() WHERE id = ${from + i};`,
  ).join('')

export async function runLoads(urlA: string, urlB: string, options: LoadOptions): Promise<LoadResult> {
  const sides = {
    a: await connect(urlA),
    b: await connect(urlB),
    pollA: await connect(urlA),
    pollB: await connect(urlB),
  }
  try {
    await crossesBothWays(sides, options)
    const latency = await paced(sides, options)
    options.progress(`  paced: p50 ${latency.p50Ms.toFixed(2)} ms, p99 ${latency.p99Ms.toFixed(2)} ms`)
    const { rows, single } = options
    const commits100 = await throughput(sides.a, sides.pollB, 1, rows, 100, options)
    options.progress(`  commits of 100: ${commits100} rows/s`)
    const commits1 = await throughput(sides.a, sides.pollB, 1, single, 1, options)
    options.progress(`  commits of 1: ${commits1} rows/s`)
    const bothSides = await both(sides, options)
    options.progress(`  both sides: ${bothSides} rows/s`)
    const burst = await bursts(sides, options)
    options.progress(`  burst: ${burst} rows/s`)
    const sameRow = await race(sides, options)
    options.progress(`  same row: ${sameRow.equal} of ${sameRow.rows} equal`)
    return { latency, commits100, commits1, bothSides, burst, sameRow, ...(await calm(sides)) }
  } finally {
    for (const client of Object.values(sides)) await client.end()
  }
}

async function crossesBothWays({ a, b, pollA, pollB }: Sides, options: LoadOptions): Promise<void> {
  for (const [from, poll, id] of [
    [a, pollB, 1],
    [b, pollA, 2],
  ] as const) {
    const n = ++tag
    await update(from, id, n)
    if ((await visible(poll, id, n, 1, options.limitMs)) === null)
      throw new Error('nothing is carried between the databases')
  }
}

/** One update every 20 ms, sides in turn; seen by back-to-back reads of the other side that began before the update was sent. */
async function paced({ a, b, pollA, pollB }: Sides, { paced: count, rows, limitMs }: LoadOptions): Promise<Latency> {
  const times: number[] = []
  let missing = 0
  const watching: Promise<void>[] = []
  const startMs = now()
  for (let i = 0; i < count; i++) {
    const waitMs = startMs + i * 20 - now()
    if (waitMs > 0) await sleep(waitMs)
    const toB = i % 2 === 0
    const id = 1 + ((i * 37) % rows)
    const n = ++tag
    const sentMs = now()
    watching.push(
      sight(toB ? pollB : pollA, id, n, limitMs).then((seenMs) => {
        if (seenMs === null) missing++
        else times.push(seenMs - sentMs)
      }),
    )
    await update(toB ? a : b, id, n)
    // One at a time: a read in the queue of its connection must not wait for the one before.
    await watching.at(-1)
  }
  times.sort((x, y) => x - y)
  const at = (share: number): number =>
    times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? Number.NaN
  return { p50Ms: at(0.5), p99Ms: at(0.99), missing }
}

async function sight(poll: Client, id: number, n: number, limitMs: number): Promise<number | null> {
  const endMs = now() + limitMs
  for (;;) {
    const { rows } = await poll.query({ name: 'see', text: 'SELECT credit FROM customers WHERE id = $1', values: [id] })
    const atMs = now()
    if (Number(rows[0]?.credit) === n) return atMs
    if (atMs > endMs) return null
  }
}

/** When the last of `expected` rows with this number is there. */
async function visible(
  poll: Client,
  lastId: number,
  n: number,
  expected: number,
  limitMs: number,
): Promise<number | null> {
  const endMs = now() + limitMs
  for (;;) {
    const { rows } = await poll.query({
      name: 'one',
      text: 'SELECT credit FROM customers WHERE id = $1',
      values: [lastId],
    })
    if (Number(rows[0]?.credit) === n) break
    if (now() > endMs) return null
    await sleep(2)
  }
  for (;;) {
    const atMs = now()
    const { rows } = await poll.query('SELECT count(*)::int AS k FROM customers WHERE credit = $1', [n])
    if (rows[0]?.k === expected) return atMs
    if (atMs > endMs) return null
    await sleep(20)
  }
}

async function throughput(
  from: Client,
  poll: Client,
  first: number,
  count: number,
  per: number,
  { limitMs }: LoadOptions,
): Promise<number | null> {
  const n = ++tag
  const startMs = now()
  const seen = visible(poll, first + count - 1, n, count, limitMs)
  for (let id = first; id < first + count; id += per)
    await (per === 1 ? update(from, id, n) : from.query(bulk(id, Math.min(per, first + count - id), n)))
  const endMs = await seen
  return endMs === null ? null : Math.round(count / ((endMs - startMs) / 1000))
}

async function both({ a, b, pollA, pollB }: Sides, options: LoadOptions): Promise<number | null> {
  const half = Math.floor(options.rows / 2)
  const startMs = now()
  const done = await Promise.all([
    throughput(a, pollB, 1, half, 100, options),
    throughput(b, pollA, half + 1, half, 100, options),
  ])
  return done.includes(null) ? null : Math.round((half * 2) / ((now() - startMs) / 1000))
}

/** Set-based commits of 1,000 rows: faster than anybody applies them. */
async function bursts({ a, pollB }: Sides, { rows, limitMs }: LoadOptions): Promise<number | null> {
  const n = ++tag
  const startMs = now()
  for (let id = 1; id <= rows; id += 1_000)
    await a.query('UPDATE customers SET name = $1, credit = $2, updated_at = now() WHERE id BETWEEN $3 AND $4', [
      `n${n}`,
      n,
      id,
      id + 999,
    ])
  const endMs = await visible(pollB, rows, n, rows, limitMs)
  return endMs === null ? null : Math.round(rows / ((endMs - startMs) / 1000))
}

async function race({ a, b, pollA, pollB }: Sides, { limitMs }: LoadOptions): Promise<LoadResult['sameRow']> {
  const ids = Array.from({ length: SAME_ROWS }, (_, i) => 1 + i * 7)
  const [n, m] = [++tag, ++tag]
  for (const id of ids) await Promise.all([update(a, id, n), update(b, id, m)])
  const creditsOf = async (client: Client): Promise<string[]> =>
    (await client.query('SELECT credit FROM customers WHERE id = ANY($1::bigint[]) ORDER BY id', [ids])).rows.map(
      ({ credit }) => String(credit),
    )
  const endMs = now() + Math.min(limitMs, 12_000)
  let equal = 0
  while (equal < ids.length && now() < endMs) {
    await sleep(250)
    const [left, right] = [await creditsOf(pollA), await creditsOf(pollB)]
    equal = left.filter((credit, i) => credit === right[i]).length
  }
  return { rows: ids.length, equal }
}

/** Equal, and then left alone: no row is written again in three seconds. */
async function calm({ pollA, pollB }: Sides): Promise<Pick<LoadResult, 'equal' | 'quiet'>> {
  await sleep(1_500)
  const one = async (client: Client, sql: string): Promise<string> => String((await client.query(sql)).rows[0]?.d)
  const digest = "SELECT md5(string_agg(md5(t::text), '' ORDER BY id)) AS d FROM customers t"
  const versions = "SELECT md5(string_agg(xmin::text || ctid::text, '' ORDER BY id)) AS d FROM customers"
  const before = [await one(pollA, versions), await one(pollB, versions)]
  await sleep(3_000)
  const after = [await one(pollA, versions), await one(pollB, versions)]
  return { equal: (await one(pollA, digest)) === (await one(pollB, digest)), quiet: before.join() === after.join() }
}

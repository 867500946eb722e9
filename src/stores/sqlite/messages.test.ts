import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { asAppId, asFlowName } from '../../model/ids.ts'
import type { LaterVerdict, MessageQuery, MessageRow, NewMessage } from '../../ports/messages.ts'
import { SqliteMessageLog } from './messages.ts'

const folder = mkdtempSync(join(tmpdir(), 'latchwork-messages-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

let files = 0
const newFile = (): string => join(folder, `messages-${++files}.db`)

const message = (atMs: number, more: Partial<NewMessage> = {}): NewMessage => ({
  atMs,
  origin: 'webhook /hooks',
  flow: null,
  app: asAppId('crm'),
  deliveryId: null,
  verdict: 'accepted',
  code: null,
  reason: null,
  run: null,
  seqs: [],
  nativeIds: [],
  properties: {},
  bytes: 0,
  payload: null,
  isCut: false,
  isRedacted: false,
  tookMs: 0,
  ...more,
})

const TEXTS = ['ann', 'a "quoted" one', 'back\\slash', 'Zoë'] as const
const messages = fc.record({
  flow: fc.constantFrom(null, asFlowName('order'), asFlowName('orders')),
  app: fc.constantFrom(null, asAppId('crm'), asAppId('crm2')),
  verdict: fc.constantFrom('accepted', 'refused', 'duplicate'),
  payload: fc.option(fc.constantFrom(...TEXTS).map((name) => JSON.stringify({ name }))),
  nativeIds: fc.array(fc.constantFrom('C-1', 'C-2'), { maxLength: 2 }),
})
const queries = fc.record(
  {
    flow: fc.constantFrom(asFlowName('order'), asFlowName('orders')),
    app: fc.constantFrom(asAppId('crm'), asAppId('crm2')),
    verdict: fc.constantFrom('accepted', 'refused', 'echo'),
    text: fc.constantFrom('ann', '\\"quoted\\"', 'Zoë', 'C-2', 'nowhere'),
    sinceMs: fc.nat(60),
    before: fc.integer({ min: 1, max: 60 }),
  },
  { requiredKeys: [] },
)

/** What the log should find, by looking at every row. */
function expected(rows: readonly MessageRow[], query: MessageQuery): readonly number[] {
  const found = rows.filter(
    (row) =>
      (query.flow === undefined || row.flow === query.flow) &&
      (query.app === undefined || row.app === query.app) &&
      (query.verdict === undefined ||
        row.verdict === query.verdict ||
        row.later.some(({ verdict }) => verdict === query.verdict)) &&
      (query.text === undefined || (row.payload ?? '').includes(query.text) || row.nativeIds.includes(query.text)) &&
      (query.sinceMs === undefined || row.atMs >= query.sinceMs) &&
      (query.before === undefined || row.id < query.before),
  )
  return found
    .map(({ id }) => id)
    .reverse()
    .slice(0, query.max)
}

test('whatever is asked for is found among what was written, newest first, with what was found out later', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(messages, { maxLength: 9 }), { maxLength: 8 }),
      fc.array(fc.nat(60), { maxLength: 12 }),
      queries,
      fc.integer({ min: 1, max: 40 }),
      async (batches, echoes, query, max) => {
        await using log = new SqliteMessageLog({ path: newFile() })
        await log.open()
        const rows: (MessageRow & { later: LaterVerdict[] })[] = []
        for (const batch of batches) {
          const news = batch.map((given, i) => message(rows.length + i, given as Partial<NewMessage>))
          const ids = await log.write(news, [])
          rows.push(...news.map((row, i) => ({ ...row, id: ids[i] ?? 0, later: [] })))
        }
        const late = echoes.flatMap((id) =>
          rows.some((row) => row.id === id) ? [{ id, atMs: 99, verdict: 'echo', text: 'our own write' }] : [],
        )
        await log.write([], late)
        for (const { id, ...verdict } of late) rows.find((row) => row.id === id)?.later.push(verdict)
        const found = await log.list({ ...query, max })
        expect(found.map(({ id }) => id)).toEqual(expected(rows, { ...query, max }))
        for (const row of found) expect(row).toEqual(rows.find(({ id }) => id === row.id))
        for (const { id } of rows.slice(0, 3)) expect(await log.get(id)).toEqual(rows.find((row) => row.id === id))
      },
    ),
    { numRuns: 60 },
  )
})

test('numbers go on after old messages were forgotten and the log was opened again', async () => {
  const path = newFile()
  {
    await using log = new SqliteMessageLog({ path })
    await log.open()
    for (let atMs = 0; atMs < 5; atMs++) await log.write([message(atMs), message(atMs)], [])
    await log.write([], [{ id: 1, atMs: 9, verdict: 'echo', text: '' }])
    let removed = 0
    for (let now = -1; now !== 0; removed += now) now = await log.prune(1_000, 1_000_000, 3)
    expect(removed).toBe(8)
    expect(await log.get(1)).toBeNull()
  }
  await using again = new SqliteMessageLog({ path })
  await again.open()
  expect(await again.write([message(7)], [])).toEqual([11])
  expect((await again.list({ max: 9 })).map(({ id }) => id)).toEqual([11, 10, 9])
})

/**
 * The references of the listener bench, in one process: hono handlers as one would write them.
 *
 *   /map      reads JSON, maps, answers JSON (no schema, no limits)
 *   /intake   keeps the body in SQLite (WAL, synchronous=FULL), one commit for what arrives in one turn of the event loop, then answers 202
 */
import { DatabaseSync } from 'node:sqlite'
import { parseArgs } from 'node:util'
import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { mapped } from './listener-shape.ts'

const { values } = parseArgs({ options: { log: { type: 'string' } } })
const database = new DatabaseSync(values.log ?? ':memory:')
database.exec(
  'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE messages (seq INTEGER PRIMARY KEY, body TEXT)',
)
const insert = database.prepare('INSERT INTO messages (body) VALUES (?)')
let batch: { readonly body: string; readonly done: () => void }[] = []

function commit(): void {
  const taken = batch
  batch = []
  database.exec('BEGIN')
  for (const { body } of taken) insert.run(body)
  database.exec('COMMIT')
  for (const { done } of taken) done()
}

const app = new Hono()
app.post('/map', async (c) => c.json(mapped(await c.req.json())))
app.post('/intake', async (c) => {
  const body = await c.req.text()
  await new Promise<void>((done) => {
    if (batch.push({ body, done }) === 1) setImmediate(commit)
  })
  return c.body(null, 202)
})
serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) =>
  process.stdout.write(JSON.stringify({ ready: true, port }) + '\n'),
)

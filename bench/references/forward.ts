/**
 * The two references: the least that a program can do that carries the source's changes to the target.
 *
 *   bare     node bench/references/forward.ts --port 8081 --target http://127.0.0.1:8082
 *   durable  the same with --log FILE: every message is in SQLite (WAL, synchronous=FULL) before it is acknowledged; what arrives within one turn of
 *            the event loop shares one commit.
 *
 * Neither knows of echoes, versions, order, retries or a second application. The target's echoes are acknowledged and dropped.
 */
import { createServer, type ServerResponse } from 'node:http'
import { DatabaseSync } from 'node:sqlite'
import { parseArgs } from 'node:util'
import { Pool } from 'undici'
import { type CustomerMessage, emit, toClient } from './shape.ts'

const { values: args } = parseArgs({
  options: { port: { type: 'string', default: '0' }, target: { type: 'string' }, log: { type: 'string' } },
})
const pool = new Pool(args.target ?? 'http://127.0.0.1:8082', { connections: 32, pipelining: 1 })
let failed = 0

function forward(raw: Buffer): void {
  const message = JSON.parse(raw.toString()) as CustomerMessage
  const path = `/clients/${message.customer_id}`
  pool
    .request({
      method: 'PUT',
      path,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(toClient(message)),
    })
    .then(({ body }) => body.dump())
    .catch((error: Error) => {
      if (failed++ < 3) process.stderr.write(`a forward failed: ${error.message}\n`)
    })
}

type Taken = { readonly raw: Buffer; readonly response: ServerResponse }

function acceptBare({ raw, response }: Taken): void {
  response.writeHead(202).end()
  forward(raw)
}

function durableAcceptor(file: string): (taken: Taken) => void {
  const database = new DatabaseSync(file)
  database.exec(
    'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE messages (seq INTEGER PRIMARY KEY, body BLOB)',
  )
  const insert = database.prepare('INSERT INTO messages (body) VALUES (?)')
  let batch: Taken[] = []
  const commit = (): void => {
    const taken = batch
    batch = []
    database.exec('BEGIN')
    for (const { raw } of taken) insert.run(raw)
    database.exec('COMMIT')
    for (const one of taken) acceptBare(one)
  }
  return (taken) => {
    if (batch.push(taken) === 1) setImmediate(commit)
  }
}

const accept = args.log === undefined ? acceptBare : durableAcceptor(args.log)

const server = createServer((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    if (request.url === '/hooks/source') accept({ raw: Buffer.concat(chunks), response })
    else response.writeHead(request.url === '/hooks/target' || request.url === '/readyz' ? 202 : 404).end()
  })
})
server.keepAliveTimeout = 60_000
server.listen(Number(args.port), '127.0.0.1', () =>
  emit({ ready: true, port: (server.address() as { port: number }).port }),
)

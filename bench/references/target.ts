/**
 * The bench's target application, class A: revisions that only grow (field `rev`, also as ETag), If-Match honoured, idempotency keys of creates remembered, and
 * every accepted write told to `--echo` as a webhook, resent until acknowledged.
 *
 *   node bench/references/target.ts --port 8082 --echo http://127.0.0.1:8081/hooks/target
 *
 * GET /stats gives what arrived since POST /reset; GET /seen the highest revision of each customer.
 */
import { createServer, type ServerResponse } from 'node:http'
import { parseArgs } from 'node:util'
import { Pool } from 'undici'
import { CUSTOMERS, customerOfEmail, emit, pause, quantiles } from './shape.ts'

const { values: args } = parseArgs({ options: { port: { type: 'string', default: '0' }, echo: { type: 'string' } } })

interface Client {
  id: string
  rev: number
  email: string
  updatedAt: string
  [field: string]: unknown
}

const clients = new Map<string, Client>()
const idByKey = new Map<string, string>()
const seen = new Array<number>(CUSTOMERS).fill(0)
const stats = { writes: 0, creates: 0, conflicts: 0, refused: 0, older: 0, lastNs: '0', latencies: [] as number[] }
let lastRev = 0
let lastId = 0

function store(id: string, fields: Omit<Client, 'id' | 'rev'>): Client {
  const client = { ...fields, id, rev: ++lastRev } as Client
  clients.set(id, client)
  const nowNs = process.hrtime.bigint()
  const [sentNs = '0', rev = '0'] = client.updatedAt.split('/')
  const customer = customerOfEmail(client.email)
  if (Number(rev) > (seen[customer] ?? 0)) seen[customer] = Number(rev)
  else stats.older++
  stats.writes++
  stats.lastNs = String(nowNs)
  stats.latencies.push(Number(nowNs - BigInt(sentNs)) / 1e6)
  tell(client)
  return client
}

function reply(response: ServerResponse, status: number, data: unknown, rev?: number): void {
  const body = JSON.stringify(data)
  const etag = rev === undefined ? {} : { etag: `"${rev}"` }
  response
    .writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), ...etag })
    .end(body)
}

function create(response: ServerResponse, key: string | undefined, fields: Client): void {
  const earlier = key === undefined ? undefined : clients.get(idByKey.get(key) ?? '')
  const client = earlier ?? store(`t${++lastId}`, fields)
  if (key !== undefined) idByKey.set(key, client.id)
  if (earlier === undefined) stats.creates++
  reply(response, 201, client, client.rev)
}

function put(response: ServerResponse, id: string, condition: string | undefined, fields: Client): void {
  const client = clients.get(id)
  if (condition !== undefined && condition !== `"${client?.rev}"`) {
    stats.conflicts++
    reply(response, 412, { error: 'changed meanwhile' })
    return
  }
  const stored = store(id, fields)
  reply(response, 200, stored, stored.rev)
}

// The echo: each accepted write is told, at least once, never more than 16 at a time.
const ECHOES_AT_ONCE = 16
const echoUrl = args.echo === undefined ? null : new URL(args.echo)
const echoPool = echoUrl === null ? null : new Pool(echoUrl.origin, { connections: ECHOES_AT_ONCE, pipelining: 1 })
const toTell: Client[] = []
let telling = 0
const told = { sent: 0, resent: 0 }

function tell(client: Client): void {
  if (echoPool === null) return
  toTell.push(client)
  if (telling < ECHOES_AT_ONCE) void tellOn(echoPool)
}

async function tellOn(pool: Pool): Promise<void> {
  telling++
  for (let client = toTell.shift(); client !== undefined; client = toTell.shift()) {
    const body = JSON.stringify({ event: 'client.updated', event_id: `r${client.rev}`, data: client })
    while (!(await post(pool, body))) {
      told.resent++
      await pause(50)
    }
    told.sent++
  }
  telling--
}

async function post(pool: Pool, body: string): Promise<boolean> {
  const headers = { 'content-type': 'application/json' }
  try {
    const { statusCode, body: answer } = await pool.request({
      method: 'POST',
      path: echoUrl?.pathname ?? '/',
      headers,
      body,
    })
    await answer.dump()
    return statusCode < 300
  } catch {
    return false
  }
}

const server = createServer((request, response) => {
  const { method, url = '/' } = request
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const id = url.startsWith('/clients/') ? decodeURIComponent(url.slice(9)) : ''
    if (method === 'PUT' && id !== '') put(response, id, request.headers['if-match'], read(chunks))
    else if (method === 'POST' && url === '/clients')
      create(response, request.headers['idempotency-key'] as string | undefined, read(chunks))
    else if (method === 'GET' && id !== '') {
      const client = clients.get(id)
      reply(response, client === undefined ? 404 : 200, client ?? {}, client?.rev)
    } else if (url === '/stats') {
      const { latencies, ...counts } = stats
      reply(response, 200, {
        ...counts,
        latencyMs: quantiles(latencies),
        clients: clients.size,
        told,
        untold: toTell.length + telling,
      })
    } else if (url === '/seen') reply(response, 200, seen)
    else if (url === '/reset') {
      Object.assign(stats, { writes: 0, creates: 0, conflicts: 0, refused: 0, older: 0, lastNs: '0', latencies: [] })
      reply(response, 200, {})
    } else {
      stats.refused++
      reply(response, 404, {})
    }
  })
})
const read = (chunks: readonly Buffer[]): Client => JSON.parse(Buffer.concat(chunks).toString()) as Client

server.keepAliveTimeout = 60_000
server.listen(Number(args.port), '127.0.0.1', () =>
  emit({ ready: true, port: (server.address() as { port: number }).port }),
)

/** The REST API: `/:object` and `/:object/:id` for every object of the application, and the endpoints of operation. */

import { hash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createActorOf } from './access.ts'
import type { AppDescription, Id, ObjectDescription } from './description.ts'
import { parseIfMatch, parseJsonObject, readBody, sendJson, sendProblem } from './http.ts'
import { exportJson, listJson, parseId } from './listing.ts'
import { createPage } from './page.ts'
import type { AppStore, Reply, WriteContext } from './port.ts'
import { RequestProblem } from './problem.ts'
import { integerOf, limitOf, parseQuery } from './query.ts'

export type Handler = {
  readonly handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>
  /** Ends the streams that pages keep open; the server would wait for them for ever. */
  readonly close: () => void
}

type Exchange = {
  readonly method: string
  readonly query: string
  readonly actor: string
  readonly request: IncomingMessage
  readonly response: ServerResponse
}

export function createHandler(app: AppDescription, store: AppStore, token: string): Handler {
  const actorOf = createActorOf(token)
  const page = createPage(app, store)
  const objects = new Map(app.objects.map((object) => [object.name, object]))

  async function route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', url = '/' } = request
    const queryAt = url.indexOf('?')
    const path = queryAt < 0 ? url : url.slice(0, queryAt)
    const query = queryAt < 0 ? '' : url.slice(queryAt + 1)
    if (path === '/_health') return sendJson(response, 200, healthJson())
    if (page.serveOpen(method, path, response)) return
    const exchange: Exchange = { method, query, actor: actorOf(request), request, response }
    const [, name = '', idText, ...rest] = path.split('/')
    const object = objects.get(name)
    if (!object || rest.length > 0) return operate(path, exchange)
    if (idText === undefined) return collection(object, exchange)
    return single(object, parseId(app, object, idText), exchange)
  }

  async function collection(object: ObjectDescription, exchange: Exchange): Promise<void> {
    const { method, query, request, response } = exchange
    if (method === 'GET') return sendJson(response, 200, await listJson(app, store, object, query))
    allowOnly(method, ['GET', 'POST'])
    const text = await readBody(request)
    sendReply(response, await store.create(object, parseJsonObject(request, text), writeContext(exchange, text)))
  }

  async function single(object: ObjectDescription, id: Id, exchange: Exchange): Promise<void> {
    const { method, request, response } = exchange
    if (method === 'GET') return read(object, id, exchange)
    allowOnly(method, ['GET', 'PATCH', 'PUT', 'DELETE'])
    const text = await readBody(request)
    const context = writeContext(exchange, text)
    if (method === 'DELETE') return sendReply(response, await store.delete(object, id, context))
    sendReply(response, await store.modify(object, id, parseJsonObject(request, text), method === 'PUT', context))
  }

  async function read(object: ObjectDescription, id: Id, { request, response }: Exchange): Promise<void> {
    const { row, rev } = await store.live(object, id)
    const headers: Record<string, string> = store.legacy ? {} : { etag: `"${rev}"` }
    if (headers.etag !== undefined && request.headers['if-none-match'] === headers.etag)
      response.writeHead(304, headers).end()
    else sendJson(response, 200, JSON.stringify(store.visible(row)), headers)
  }

  async function operate(path: string, { method, query, response }: Exchange): Promise<void> {
    allowOnly(method, ['GET'])
    if (path === '/_log') sendJson(response, 200, await logJson(query))
    else if (path === '/_export') sendJson(response, 200, await exportJson(app, store))
    else if (path === '/_page/rows') await page.sendRows(query, response)
    else throw new RequestProblem(404, 'not-found', 'There is nothing at this address.')
  }

  function healthJson(): string {
    return JSON.stringify({ ok: true, app: app.name, rev: store.rev, webhooks_pending: store.webhooksPending() })
  }

  async function logJson(queryText: string): Promise<string> {
    const query = parseQuery(queryText, ['after', 'limit'])
    return store.logJson(integerOf(query, 'after') ?? 0, limitOf(query))
  }

  function writeContext({ actor, request }: Exchange, body: string): WriteContext {
    const { headers, method, url } = request
    const idempotencyKey = store.legacy ? null : shortHeader(headers['idempotency-key'], 'idempotency-key')
    return {
      actor,
      clientTag: shortHeader(headers['x-client-tag'], 'x-client-tag') ?? idempotencyKey,
      idempotencyKey,
      fingerprint: idempotencyKey === null ? '' : hash('sha256', `${method} ${url}\n${body}`),
      ifMatch: store.legacy ? null : parseIfMatch(headers['if-match']),
    }
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await route(request, response)
    } catch (error) {
      if (error instanceof RequestProblem) return sendProblem(response, error)
      if (request.destroyed && !request.complete) return
      console.error(error)
      sendProblem(response, new RequestProblem(500, 'internal', 'The application failed; the request had no effect.'))
    }
  }

  return { handle, close: page.close }
}

function sendReply(response: ServerResponse, { status, body, rev, location, replayed }: Reply): void {
  const headers: Record<string, string> = {}
  if (rev !== null) headers.etag = `"${rev}"`
  if (location !== null) headers.location = location
  if (replayed) headers['idempotency-replayed'] = 'true'
  if (status === 204) response.writeHead(204, headers).end()
  else sendJson(response, status, body, headers)
}

function allowOnly(method: string, allowed: readonly string[]): void {
  if (allowed.includes(method)) return
  throw new RequestProblem(
    405,
    'method-not-allowed',
    `${method} is not possible here.`,
    {},
    { allow: allowed.join(', ') },
  )
}

function shortHeader(value: string | string[] | undefined, name: string): string | null {
  if (value === undefined) return null
  if (typeof value === 'string' && value.length > 0 && value.length <= 200) return value
  throw new RequestProblem(400, 'malformed-header', `${name} has 1 to 200 characters.`)
}

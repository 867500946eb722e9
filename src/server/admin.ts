import { Hono } from 'hono'
import { SyncError } from '../errors/index.ts'
import { asAppId, asCanonicalKey, asEntityName, asJournalPosition, asNativeId } from '../model/ids.ts'
import { addBackfilling } from './backfilling.ts'
import { addCandidates } from './candidates.ts'
import { addDecisions } from './decisions.ts'
import { createEventStream } from './events.ts'
import { explain } from './explain.ts'
import { addFeeds } from './feeds.ts'
import { addFlowRoutes } from './flow-admin.ts'
import { checkAccess } from './guard.ts'
import type { HubContext } from './hub.ts'
import { json } from './json.ts'
import { metricsText } from './metrics.ts'
import { addPairing } from './pairing.ts'
import { problemReply } from './problem.ts'
import { refOf, refText } from './ref-text.ts'
import { addRereading } from './rereading.ts'
import { hubStatus } from './status.ts'
import { addUndoing } from './undoing.ts'

const LIMIT_DEFAULT = 100
const LIMIT_MAX = 1_000

/** The admin API: JSON, errors as application/problem+json. What a person may do (release, replay, and what `decisions.ts` adds) goes through the journal. */
export function createAdmin(context: HubContext): Hono {
  const { engine } = context
  const app = new Hono()
  app.onError((error, c) => problem(error, c.req.path))
  app.notFound((c) => problem(unknownPath(c.req.path), c.req.path))

  app.get('/healthz', (c) => c.json({ ok: true }))
  app.get('/readyz', (c) => c.json({ ready: context.isReady() }, context.isReady() ? 200 : 503))
  app.get('/metrics', async (c) =>
    c.text(await metricsText(context), 200, { 'content-type': 'text/plain; version=0.0.4' }),
  )

  app.get('/openapi.json', (c) => c.redirect('/api/openapi.json', 307))
  app.use('/api/*', async (c, next) => {
    checkAccess(c.req.raw.headers, { token: context.adminToken, listening: context.listening })
    await next()
  })
  app.get('/api/status', async () => json(await hubStatus(context)))
  app.get('/api/xref', async (c) => json(await xrefPage(context, (name) => c.req.query(name))))
  app.get('/api/conflicts', async (c) => json(await conflictsPage(context, (name) => c.req.query(name))))
  app.get('/api/explain/:entity/:app/:nativeId', async (c) => {
    const { entity, app: name, nativeId } = c.req.param()
    const record = { entity: asEntityName(entity), app: asAppId(name), nativeId: asNativeId(nativeId) }
    return json(await explain(engine.store, record, engine.model, (key) => engine.door.noted(key)))
  })
  addFlowRoutes(app, context)
  app.get('/api/events', createEventStream(context))
  app.post('/api/lanes/:key/:app/release', async (c) => {
    const { key, app: name } = c.req.param()
    await release(context, key, name)
    return c.json({ released: { key, app: name } }, 202)
  })
  app.post('/api/entries/:seq/replay', async (c) => {
    const seq = await replay(context, c.req.param('seq'))
    return c.json({ replayed: { seq } }, 202)
  })
  addDecisions(app, context)
  addPairing(app, context)
  addCandidates(app, context)
  addRereading(app, context)
  addBackfilling(app, context.backfill)
  addUndoing(app, context.undo)
  addFeeds(app, context)
  return app
}

function problem(error: unknown, path: string): Response {
  const { status, headers, body } = problemReply(error, path)
  return new Response(body, { status, headers })
}

const unknownPath = (path: string): SyncError =>
  new SyncError(
    'admin.unknown-path',
    `nothing is at ${path.slice(0, 200)}. The admin API has /api/status, /api/xref, /api/conflicts, /api/explain/<entity>/<app>/<id>, /api/latches, /api/brakes, /api/candidates, /api/events; beside it are /healthz, /readyz and /metrics.`,
  )

type Query = (name: string) => string | undefined

function limitOf(query: Query): number {
  const text = query('limit') ?? String(LIMIT_DEFAULT)
  const limit = Number(text)
  if (/^\d+$/.test(text) && limit >= 1 && limit <= LIMIT_MAX) return limit
  throw new SyncError('query.invalid', `limit is ${text.slice(0, 40)}; give a whole number from 1 to ${LIMIT_MAX}`)
}

/** `after` is the `next` of the page before: `<app>/<object>/<native id>`, each part percent-encoded. */
async function xrefPage({ engine }: HubContext, query: Query): Promise<{ items: unknown; next: string | null }> {
  const [app, entity, nativeId, after] = [query('app'), query('entity'), query('native_id'), query('after')]
  const max = limitOf(query)
  const items = await engine.store.links({
    max,
    ...(app === undefined ? {} : { app: asAppId(app) }),
    ...(entity === undefined ? {} : { entity: asEntityName(entity) }),
    ...(nativeId === undefined ? {} : { nativeId: asNativeId(nativeId) }),
    ...(after === undefined ? {} : { after: refOf(after) }),
  })
  const last = items.at(-1)
  const next = last === undefined || items.length < max || nativeId !== undefined ? null : refText(last)
  return { items, next }
}

async function conflictsPage({ engine }: HubContext, query: Query): Promise<{ items: unknown; next: number | null }> {
  const [entity, before] = [query('entity'), query('before')]
  const max = limitOf(query)
  if (before !== undefined && !/^\d{1,15}$/.test(before))
    throw new SyncError('query.invalid', 'before is not the `next` of a page before')
  const items = await engine.store.conflicts({
    max,
    ...(entity === undefined ? {} : { entity: asEntityName(entity) }),
    ...(before === undefined ? {} : { before: Number(before) }),
  })
  return { items, next: items.length < max ? null : (items.at(-1)?.id ?? null) }
}

async function release({ engine }: HubContext, key: string, app: string): Promise<void> {
  const record = { key: asCanonicalKey(key), app: asAppId(app) }
  const { records } = await engine.store.load({ records: [record.key], natives: [], canonicals: [], matches: [] })
  const [found] = records
  if (found === undefined) throw new SyncError('query.unknown-record', `no record has the key ${key.slice(0, 100)}`)
  if (found.lanes[record.app] === undefined) {
    throw new SyncError(
      'query.unknown-record',
      `${found.entity} ${key} has nothing to release in ${app.slice(0, 100)}; it is known in: ${Object.keys(found.lanes).join(', ')}`,
    )
  }
  await engine.operate({ action: 'release', ...record })
}

async function replay({ engine }: HubContext, text: string): Promise<number> {
  const seq = Number(text)
  if (!/^\d{1,15}$/.test(text)) throw new SyncError('query.invalid', `${text.slice(0, 40)} is not a journal position`)
  const [entry] = await engine.store.held(asJournalPosition(Math.max(0, seq - 1)), 1)
  if (entry?.seq !== seq || entry.waitsOn !== 'operator') {
    throw new SyncError(
      'query.unknown-record',
      `no entry is set aside at journal position ${seq}. \`latchwork status\` lists those that are`,
    )
  }
  await engine.operate({ action: 'replay', seq: asJournalPosition(seq) })
  return seq
}

import type { Hono } from 'hono'
import { SyncError } from '../errors/index.ts'
import type { Choice } from '../model/change.ts'
import type { EntityModel, FieldModel } from '../model/entity.ts'
import { asAppId, asCanonicalKey } from '../model/ids.ts'
import type { RecordState } from '../model/record.ts'
import { decodeData, splitPartPath, type Value } from '../model/value.ts'
import type { HubContext } from './hub.ts'
import { json } from './json.ts'
import { latchesOf } from './latches.ts'

/** What a person decides about single records, over the admin API. Each is checked here, so that the asker gets the reason, and goes through the journal. */
export function addDecisions(app: Hono, context: HubContext): void {
  app.post('/api/records/:key/resolve', async (c) => {
    const { key } = c.req.param()
    const record = await recordOf(context, key)
    const { path, choice } = await readResolve(context, record, await c.req.text())
    await context.engine.operate({ action: 'resolve', key: record.key, path, choice })
    return c.json({ resolved: { key, path } }, 202)
  })
  app.post('/api/records/:key/undelete', async (c) => {
    const { key } = c.req.param()
    const record = await recordOf(context, key)
    const isGone = Object.values(record.lanes).some((lane) => lane.exists === false)
    if (!record.deleted && !isGone)
      throw new SyncError('query.unknown-record', `${record.entity} ${key} is deleted nowhere; nothing to take back`)
    await context.engine.operate({ action: 'undelete', key: record.key })
    return c.json({ undeleted: { key } }, 202)
  })
  app.get('/api/latches', async () => json(await latchesOf(context.engine.store, context.clock.nowMs())))
  app.get('/api/brakes', () => json({ items: context.engine.brakes.tripped() }))
  app.post('/api/brakes/:id/release', async (c) => {
    const { id } = c.req.param()
    const tripped = context.engine.brakes.tripped()
    if (!tripped.some((brake) => brake.id === id)) {
      const known = tripped.map((brake) => brake.id).join(', ') || 'none'
      throw new SyncError('query.unknown-record', `no brake ${id.slice(0, 100)} has tripped; tripped are: ${known}`)
    }
    await context.engine.operate({ action: 'release-brake', brake: id })
    return c.json({ released: { brake: id } }, 202)
  })
}

export async function recordOf({ engine }: HubContext, key: string): Promise<RecordState> {
  const { records } = await engine.store.load({
    records: [asCanonicalKey(key)],
    natives: [],
    canonicals: [],
    matches: [],
  })
  const [found] = records
  if (found === undefined) throw new SyncError('query.unknown-record', `no record has the key ${key.slice(0, 100)}`)
  return found
}

/** A decision is a few names and one value. */
const BODY_LENGTH_MAX = 100_000

export function bodyOf(text: string): Readonly<Record<string, unknown>> {
  if (text.length > BODY_LENGTH_MAX) throw invalid(`the body has more than ${BODY_LENGTH_MAX} characters`)
  try {
    const body = decodeData(text)
    if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body as Record<string, unknown>
  } catch {
    // Said below, as for any other text that is no object.
  }
  throw invalid('the body is not a JSON object')
}

async function readResolve(
  { engine }: HubContext,
  record: RecordState,
  text: string,
): Promise<{ readonly path: string; readonly choice: Choice }> {
  const body = bodyOf(text)
  const { path, take } = body
  if (typeof path !== 'string' || record.parkedPaths[path] === undefined) {
    const aside = Object.keys(record.parkedPaths)
    const what = aside.length === 0 ? 'nothing of it is' : `set aside of it: ${aside.join(', ')}`
    throw new SyncError(
      'query.unknown-record',
      `${String(path)} of ${record.entity} ${record.key} is not set aside; ${what}. \`latchwork status\` lists all that is`,
    )
  }
  if ('take' in body === 'value' in body) throw invalid('give either `take` (an application) or `value`')
  if ('take' in body) return { path, choice: takeOf(record, path, take) }
  const entity = engine.model.entities.get(record.entity)
  return { path, choice: { value: checkedValue(entity, record, path, body.value as Value) } }
}

function takeOf(record: RecordState, path: string, take: unknown): Choice {
  const holding = Object.values(record.lanes).filter((lane) => path in lane.sent)
  if (holding.some((lane) => lane.app === take)) return { take: asAppId(String(take)) }
  throw invalid(
    `'${String(take)}' holds no ${path} of this record; it is in: ${holding.map((lane) => lane.app).join(', ')}`,
  )
}

function checkedValue(entity: EntityModel | undefined, record: RecordState, path: string, value: Value): Value {
  const inPart = splitPartPath(path)
  const field = inPart === undefined ? entity?.fields[path] : entity?.parts[inPart.part]?.fields[inPart.field]
  if (field === undefined || field.reference !== undefined)
    throw invalid(`${path} of ${record.entity} can only be taken from an application`)
  try {
    // A command line has no quotes to spare: 12.50 for a decimal is its text.
    return typeof value === 'number' && !fits(field, value) ? field.validate(String(value)) : field.validate(value)
  } catch (error) {
    throw invalid(`the value does not fit ${path}: ${SyncError.from(error).message}`)
  }
}

function fits(field: FieldModel, value: Value): boolean {
  try {
    field.validate(value)
    return true
  } catch {
    return false
  }
}

export const invalid = (message: string): SyncError => new SyncError('query.invalid', message)

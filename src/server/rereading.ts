import type { Hono } from 'hono'
import { SyncError } from '../errors/index.ts'
import { isLogFed } from '../model/capabilities.ts'
import type { BindingModel } from '../model/entity.ts'
import { asAppId, asCanonicalKey, asNativeId, asObjectId, type NativeId } from '../model/ids.ts'
import type { HubContext } from './hub.ts'

/** A log that cannot be read to its end in this time is being caught up with, or stands still: either way `latchwork status` says more than waiting here. */
const PASS_MAX_MS = 10_000

/** What a comparison hands to the hub: records to be read again, which is then decided on like everything else. */
export function addRereading(app: Hono, context: HubContext): void {
  const { engine } = context
  app.post('/api/lanes/:key/:app/reread', async (c) => {
    const key = asCanonicalKey(c.req.param('key'))
    const name = asAppId(c.req.param('app'))
    const { records } = await engine.store.load({ records: [key], natives: [], canonicals: [], matches: [] })
    const [record] = records
    if (record === undefined) throw new SyncError('query.unknown-record', `no record has the key ${key.slice(0, 100)}`)
    const binding = engine.model.entities.get(record.entity)?.bindings.get(name)
    const lane = record.lanes[name]
    if (binding !== undefined && isLogFed(binding.capabilities)) {
      // While a write of ours is under way nothing is done: its outcome brings what there is to know.
      const isAtRest = lane?.intent === null && lane.overlays.length === 0
      if (isAtRest && lane.nativeId !== null) await tellInLog(context, binding, lane.nativeId)
    } else await engine.operate({ action: 'reread', key, app: name })
    return c.json({ reread: { key, app: name } }, 202)
  })
  app.post('/api/hints/:app/:object/:nativeId', async (c) => {
    const { app: name, object, nativeId } = c.req.param()
    const from = { app: asAppId(name), object: asObjectId(object) }
    const bindings = engine.model.bindingsOf(from.app, from.object)
    const logged = bindings.find(({ capabilities }) => isLogFed(capabilities))
    if (bindings.length === 0)
      throw new SyncError(
        'query.unknown-record',
        `the config binds no ${object.slice(0, 100)} of ${name.slice(0, 100)}`,
      )
    if (logged !== undefined) await tellInLog(context, logged, asNativeId(nativeId))
    else await engine.accept(from.app, [{ ...from, nativeId: asNativeId(nativeId), kind: 'hint' }])
    return c.json({ hinted: { ...from, nativeId } }, 202)
  })
}

/**
 * Of an application that is followed by its log, only what stands in the log counts, in the order of the log. A read names its place in it: so what was found is told as if the log had told it
 * there, after all that the log told before. What the log tells of later wins, as ever.
 */
async function tellInLog(
  { engine, connectors, stopping }: HubContext,
  { app, object }: BindingModel,
  nativeId: NativeId,
): Promise<void> {
  const source = connectors.get(app)?.source
  const [read] = (await source?.readRecords([{ object, nativeId }], stopping)) ?? []
  if (read === undefined || read.result === 'failed')
    throw new SyncError(
      'source.read-failed',
      `${app}:${nativeId} could not be read: ${read?.message ?? 'no reason given'}`,
    )
  await passed(engine, app)
  const { token, record, sourceTimeMs, correlationId } = read
  const at = { app, object, nativeId, ...(token === undefined ? {} : { token }) }
  const told =
    read.result === 'found'
      ? {
          ...at,
          kind: 'image' as const,
          record: record ?? {},
          ...(sourceTimeMs === undefined ? {} : { sourceTimeMs }),
          ...(correlationId === undefined ? {} : { correlationId }),
        }
      : { ...at, kind: 'deleted' as const }
  await engine.append([engine.newNotification(told)])
}

async function passed(engine: HubContext['engine'], app: BindingModel['app']): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>()
  const tooLong = engine.clock.timer(PASS_MAX_MS, () =>
    reject(
      new SyncError(
        'source.read-failed',
        `the log of ${app} was not read to its end within ${PASS_MAX_MS / 1_000} s, so what a read found cannot be put in order. See \`latchwork status\``,
      ),
    ),
  )
  try {
    await Promise.race([engine.feeds.passed(app), promise])
  } finally {
    tooLong.cancel()
  }
}

import type { Hono } from 'hono'
import { SyncError } from '../errors/index.ts'
import { asAppId, asCanonicalKey, asNativeId, asObjectId } from '../model/ids.ts'
import type { HubContext } from './hub.ts'

/** What a comparison hands to the hub: records to be read again, which is then decided on like everything else. */
export function addRereading(app: Hono, { engine }: HubContext): void {
  app.post('/api/lanes/:key/:app/reread', async (c) => {
    const key = asCanonicalKey(c.req.param('key'))
    const name = asAppId(c.req.param('app'))
    const { records } = await engine.store.load({ records: [key], natives: [], canonicals: [], matches: [] })
    if (records.length === 0) throw new SyncError('query.unknown-record', `no record has the key ${key.slice(0, 100)}`)
    await engine.operate({ action: 'reread', key, app: name })
    return c.json({ reread: { key, app: name } }, 202)
  })
  app.post('/api/hints/:app/:object/:nativeId', async (c) => {
    const { app: name, object, nativeId } = c.req.param()
    const from = { app: asAppId(name), object: asObjectId(object) }
    if (engine.model.bindingsOf(from.app, from.object).length === 0)
      throw new SyncError(
        'query.unknown-record',
        `the config binds no ${object.slice(0, 100)} of ${name.slice(0, 100)}`,
      )
    await engine.accept(from.app, [{ ...from, nativeId: asNativeId(nativeId), kind: 'hint' }])
    return c.json({ hinted: { ...from, nativeId } }, 202)
  })
}

import type { Hono } from 'hono'
import { SyncError } from '../errors/index.ts'
import { FEED_RESET } from '../model/ids.ts'
import type { HubContext } from './hub.ts'

/** What a person may do with the feeds of applications. */
export function addFeeds(app: Hono, context: HubContext): void {
  app.post('/api/apps/:app/feeds/reset', async (c) => {
    const name = c.req.param('app')
    return c.json({ reset: { app: name, feeds: await resetFeeds(context, name) } }, 202)
  })
}

/** The feeds are read anew from the next read on: all that the application holds now, then what changes. */
async function resetFeeds({ engine, connectors }: HubContext, name: string): Promise<readonly string[]> {
  const connector = [...connectors.values()].find(({ app }) => app === name)
  if (connector === undefined)
    throw new SyncError(
      'query.invalid',
      `${name.slice(0, 100)} is not an application of this hub; there are ${[...connectors.keys()].join(', ')}`,
    )
  const feeds = connector.source.feeds.filter((feed) => feed.resettable === true).map(({ feed }) => feed)
  if (feeds.length === 0)
    throw new SyncError('query.invalid', `${name} has no feed that can be read anew from its beginning`)
  await engine.append(
    [],
    feeds.map((feed) => ({ app: connector.app, feed, position: FEED_RESET })),
  )
  return feeds
}

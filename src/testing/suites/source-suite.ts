import { SyncError } from '../../errors/index.ts'
import { systemClock } from '../../lib/system-clock.ts'
import type { Change } from '../../model/change.ts'
import { asCorrelationId, type FeedPosition, type NativeId } from '../../model/ids.ts'
import {
  type AppDriver,
  type AppFault,
  type AppUnderTest,
  createOp,
  guarantee,
  SUITE_DEADLINE_MS,
  type SuiteRunner,
} from './app-driver.ts'

/** What every Source promises (src/ports/app.ts). Run it for each connector, in each form of application that it knows. */
export function sourceSuite(runner: SuiteRunner, name: string, driver: AppDriver): void {
  const { expect } = runner
  const { capabilities } = driver
  const check = (title: string, reason: string | null | false, body: (app: AppUnderTest) => Promise<void>): void =>
    guarantee(runner, driver, title, reason, body)
  const pushes = driver.pushes ?? (capabilities.feed === 'F2' || capabilities.feed === 'F0')
  const noPush = pushes ? null : 'the application does not push'
  const noFeed = driver.hasFeed ? null : 'the application has no feed to be read by cursor'
  const noRead = capabilities.read === 'R0' ? 'the application cannot be read' : null

  runner.describe(`source: ${name}`, () => {
    check('a push names its record, and carries the version and the fields that were sent', noPush, async (app) => {
      const nativeId = await app.create(app.sample(1))
      const { changes } = app.connector.source.accept(await pushOf(app, nativeId), systemClock.nowMs())
      expect(changes.map(({ nativeId }) => nativeId)).toEqual([nativeId])
      const [change] = changes as [Change]
      expect(change.kind).toBe(capabilities.image === 'I0' ? 'hint' : 'image')
      if (change.kind !== 'image') return
      for (const [field, value] of Object.entries(app.sample(1))) expect(change.record?.[field]).toEqual(value)
      if (capabilities.token !== 'T0') expect(change.token).toBe((await readOne(app, nativeId))?.token)
    })

    check('accepting has no effects: the same push twice says the same twice', noPush, async (app) => {
      const request = await pushOf(app, await app.create(app.sample(1)))
      const nowMs = systemClock.nowMs()
      const first = app.connector.source.accept(request, nowMs)
      expect(app.connector.source.accept(request, nowMs)).toEqual(first)
      expect(first.reply.status >= 200 && first.reply.status < 300).toBe(true)
    })

    check('a push without credentials is refused', noPush, async (app) => {
      const request = await pushOf(app, await app.create(app.sample(1)))
      expect(refusalOf(app, app.withoutCredentials?.(request) ?? request)).toBe('intake.unauthenticated')
    })

    const unsigned = noPush ?? (driver.signsBody ? null : 'the application does not sign what it sends')
    check('a push of which one byte was changed is refused', unsigned, async (app) => {
      const request = await pushOf(app, await app.create(app.sample(1)))
      const body = Uint8Array.from(request.body)
      body[body.length - 2] = (body[body.length - 2] ?? 0) ^ 1
      expect(refusalOf(app, { ...request, body })).toBe('intake.unauthenticated')
    })

    check('a read gives each record as it is now, one result per request, in order', noRead, async (app) => {
      const kept = await app.create(app.sample(1))
      const lost = await app.create(app.sample(2))
      await app.edit(kept, { [app.textField]: 'edited' })
      await app.delete(lost)
      const reads = await app.connector.source.readRecords(
        [lost, kept, lost].map((nativeId) => ({ object: app.object, nativeId })),
        never(),
      )
      expect(reads.map(({ nativeId, result }) => [nativeId, result])).toEqual([
        [lost, 'missing'],
        [kept, 'found'],
        [lost, 'missing'],
      ])
      expect(reads[1]?.record?.[app.textField]).toBe('edited')
      expect(reads[1]?.token !== undefined).toBe(capabilities.token !== 'T0')
    })

    check(
      'a version changes when the record does, and only then',
      capabilities.token === 'T0'
        ? 'it has no versions'
        : capabilities.feed === 'F3'
          ? 'its tokens are places in its log, which moves on by itself'
          : noRead,
      async (app) => {
        const nativeId = await app.create(app.sample(1))
        const before = await readOne(app, nativeId)
        expect((await readOne(app, nativeId))?.token).toBe(before?.token)
        await app.edit(nativeId, { [app.textField]: 'edited' })
        expect((await readOne(app, nativeId))?.token === before?.token).toBe(false)
      },
    )

    for (const fault of [
      'down',
      'overloaded',
      'denied',
      'silent',
      'lost-reply',
      'garbage',
    ] as const satisfies AppFault[]) {
      const reason =
        noRead ?? (driver.faults.includes(fault) ? null : `the driver cannot make the application ${fault}`)
      check(`absence is never guessed: a read of an application that is ${fault} has failed`, reason, async (app) => {
        const nativeId = await app.create(app.sample(1))
        await app.fault(fault)
        const read = await readOne(app, nativeId)
        expect(read?.result).toBe('failed')
        expect(read?.code).toBe(fault === 'denied' ? 'source.unauthorized' : 'source.read-failed')
      })
    }

    const noSearch =
      capabilities.correlation && capabilities.create !== 'K0' ? null : 'nothing is found by correlation id there'
    check('a created record is found by its correlation id, and another id is missing', noSearch, async (app) => {
      const op = createOp(app, 1, { correlationId: asCorrelationId('wanted') })
      const [created] = await app.connector.target.write([op], SUITE_DEADLINE_MS, never())
      await app.create(app.sample(2))
      const [found, missing] = await app.connector.source.findByCorrelation(
        ['wanted', 'unheard-of'].map((id) => ({ object: app.object, correlationId: asCorrelationId(id) })),
        never(),
      )
      expect([found?.result, found?.nativeId]).toEqual(['found', created?.nativeId])
      expect(missing?.result).toBe('missing')
    })

    check(
      'a search that fails has not found anything out',
      noSearch ?? (driver.faults.includes('overloaded') ? null : 'cannot fail'),
      async (app) => {
        await app.fault('overloaded')
        const request = { object: app.object, correlationId: asCorrelationId('wanted') }
        const [read] = await app.connector.source.findByCorrelation([request], never())
        expect(read?.result).toBe('failed')
      },
    )

    check('a feed read from its beginning reaches every record, page by page', noFeed, async (app) => {
      const ids = new Set<NativeId>()
      for (let n = 1; n <= 25; n++) ids.add(await app.create(app.sample(n)))
      const { changes } = await readAll(app, null, 10)
      expect(new Set(changes.map(({ nativeId }) => nativeId))).toEqual(ids)
    })

    check(
      'a feed read after a position gives what came later; the same position gives the same again',
      noFeed,
      async (app) => {
        await app.create(app.sample(1))
        const { position } = await readAll(app, null, 10)
        expect((await readAll(app, position, 10)).changes).toEqual([])
        const later = await app.create(app.sample(2))
        const first = await readAll(app, position, 10)
        expect(first.changes.map(({ nativeId }) => nativeId)).toEqual([later])
        expect(await readAll(app, position, 10)).toEqual(first)
        await app.connector.source.confirm(feedOf(app), first.position)
        expect((await readAll(app, first.position, 10)).changes).toEqual([])
      },
    )

    check(
      'a feed that cannot be read rejects with a SyncError, and its position stands',
      noFeed ?? (driver.faults.includes('overloaded') ? null : 'cannot fail'),
      async (app) => {
        await app.create(app.sample(1))
        await app.fault('overloaded')
        const failure = await app.connector.source.read(feedOf(app), null, 10, never()).then(
          () => undefined,
          (error: unknown) => error,
        )
        expect(SyncError.is(failure) && failure.handling).toBe('retry')
        await app.fault('none')
        expect((await readAll(app, null, 10)).changes.length).toBe(1)
      },
    )

    check('closing twice is closing once', null, async (app) => {
      await app.connector.source.close()
      await app.connector.source.close()
    })
  })
}

const never = (): AbortSignal => new AbortController().signal

async function pushOf(app: AppUnderTest, nativeId: NativeId) {
  if (app.push === undefined) throw new Error('the driver says that its application pushes, but has no `push`')
  return app.push(nativeId)
}

function refusalOf(app: AppUnderTest, request: Parameters<AppUnderTest['connector']['source']['accept']>[0]): string {
  try {
    app.connector.source.accept(request, systemClock.nowMs())
    return 'accepted'
  } catch (error) {
    return SyncError.is(error) ? error.code : String(error)
  }
}

const readOne = async (app: AppUnderTest, nativeId: NativeId) =>
  (await app.connector.source.readRecords([{ object: app.object, nativeId }], never()))[0]

function feedOf(app: AppUnderTest): string {
  const [feed] = app.connector.source.feeds
  if (feed === undefined) throw new Error('the driver says that its application has a feed, but the source names none')
  return feed.feed
}

/** Reads until there is no more; each page is at most `max` long. */
async function readAll(
  app: AppUnderTest,
  from: FeedPosition | null,
  max: number,
): Promise<{ changes: Change[]; position: FeedPosition }> {
  const changes: Change[] = []
  let after = from
  for (let page = 0; page < 100; page++) {
    const read = await app.connector.source.read(feedOf(app), after, max, never())
    if (read.changes.length > max) throw new Error(`asked for ${max} changes, got ${read.changes.length}`)
    changes.push(...read.changes)
    after = read.position
    if (!read.more) return { changes, position: after }
  }
  throw new Error('a feed of few changes still has more after 100 pages')
}

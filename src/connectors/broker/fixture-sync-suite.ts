import { CloudEvent } from 'cloudevents'
import { describe, expect, test } from 'vitest'
import { readOnly } from '../../index.ts'
import { temporaryFolder } from '../../server/fixture-hub.ts'
import { header } from './config.ts'
import { eventually } from './fixture-flows.ts'
import { type Bus, Crm, type SyncHub, syncHub } from './fixture-sync.ts'

/** A message as the other side of a broker sees it. */
export interface SeenMessage {
  readonly headers: Readonly<Record<string, unknown>>
  readonly contentType: string | undefined
  readonly body: string
  readonly id: string | undefined
}

/** One broker with two places of its own for a test: records are told of in one, and published to the other. */
export interface BrokerBench extends AsyncDisposable {
  bus(): Bus
  /** Options of a binding that consumes what `send` sends. */
  readonly consume: Readonly<Record<string, unknown>>
  /** Options of a binding whose messages `published` takes. */
  readonly publish: Readonly<Record<string, unknown>>
  /** Options of a binding that consumes what is published. */
  readonly subscribe: Readonly<Record<string, unknown>>
  /** What the names of attributes of CloudEvents begin with among the headers. */
  readonly eventPrefix: string
  /** Resolves when the broker has it. */
  send(body: string, id: string, headers?: Readonly<Record<string, string>>): Promise<void>
  /** The next message that was published and was not seen here yet; null when there is none now. */
  published(): Promise<SeenMessage | null>
  /** The next message that was set aside, the same way. */
  parked(): Promise<SeenMessage | null>
  /** Sends a published message to its subscribers once more. */
  again(message: SeenMessage): Promise<void>
}

/** What holds for records of a `sync` at every broker. */
export function brokerSyncSuite(name: string, isHere: boolean, open: () => Promise<BrokerBench>): void {
  describe.skipIf(!isHere)(`${name}: records of a sync`, () => {
    const take = async (ask: () => Promise<SeenMessage | null>): Promise<SeenMessage> =>
      (await eventually(ask, (found) => found !== null)) as SeenMessage

    test('what is told becomes records elsewhere, whatever comes twice or late; what is no record is kept beside it', async () => {
      using folder = temporaryFolder()
      await using crm = await new Crm().listen()
      await using bench = await open()
      const start = (): Promise<SyncHub> =>
        syncHub(folder.path, crm, {
          bus: [
            bench.bus(),
            {
              id: 'no',
              version: 'v',
              consume: { ...bench.consume, record: 'data', deleted: { at: header('kind'), equals: 'gone' } },
              fields: { name: 'called', city: readOnly('town') },
            },
          ],
        })
      const tell = (no: string, called: string, town: string, v: number, more: Record<string, string> = {}) =>
        bench.send(JSON.stringify({ data: { no, called, town, v } }), more.id ?? `${no}/${v}`, more)
      {
        await using hub = await start()
        await tell('1', 'Ada', 'London', 1)
        await tell('2', 'Bo', 'Oslo', 1)
        await tell('1', 'Ada', 'Paris', 2)
        await tell('1', 'Ada', 'Paris', 2)
        await tell('1', 'Ada', 'London', 1, { id: 'late' })
        await bench.send('{"data": {"no": ', 'broken')
        await bench.send('{"data": {"called": "Nobody", "v": 1}}', 'no-id')
        await tell('3', 'Cy', 'Rome', 1)
        await eventually(
          () => crm.names(),
          (names) => names.length === 3 && names[0] === 'Ada in Paris',
        )
        const letters = [await take(() => bench.parked()), await take(() => bench.parked())]
        expect(letters.map(({ headers }) => headers['latchwork-code'])).toEqual(['intake.malformed', 'intake.shape'])
        expect(letters[0]?.body).toBe('{"data": {"no": ')
        // And people see them where they see all that came.
        const rows = await eventually(
          () => strayRows(hub),
          (found) => found.length === 2,
        )
        expect(rows).toEqual([
          'bus feed bus/person intake.shape {"data": {"called": "Nobody", "v": 1}}',
          'bus feed bus/person intake.malformed {"data": {"no": ',
        ])
        await hub.stop()
      }
      // Told while nobody was there.
      await tell('2', 'Bo', 'Oslo', 2, { kind: 'gone' })
      await using hub = await start()
      await eventually(
        () => crm.names(),
        (names) => names.length === 2,
      )
      expect(crm.names()).toEqual(['Ada in Paris', 'Cy in Rome'])
      expect(hub.log.lines.filter((line) => line.startsWith('error'))).toEqual([])
    })

    test.each(['binary', 'structured', 'plain'] as const)('every change is published, form %s', async (form) => {
      using folder = temporaryFolder()
      await using crm = await new Crm().listen()
      await using bench = await open()
      const publish = { ...bench.publish, form, source: 'https://hub.example', eventType: 'com.example.person' }
      await using hub = await syncHub(folder.path, crm, { bus: [bench.bus(), { publish }] })
      const next = async (): Promise<Readonly<Record<string, unknown>>> => {
        const { headers, contentType, body } = await take(() => bench.published())
        expect(contentType).toBe(form === 'structured' ? 'application/cloudevents+json' : 'application/json')
        expect(headers['latchwork-op']).toBeTypeOf('string')
        const data = JSON.parse(body) as Record<string, unknown>
        if (form === 'plain') return data
        // The reference implementation throws for what is no valid event.
        const event = new CloudEvent(
          (form === 'structured' ? data : attributesOf(headers, bench.eventPrefix, data)) as never,
          true,
        )
        return { ...(event.data as unknown as object), type: event.type, subject: event.subject }
      }
      await crm.tell(hub, 'c1', { name: 'Ada', city: 'London' })
      const created = await next()
      const about = (kind: string) =>
        form === 'plain' ? {} : { type: `com.example.person.${kind}`, subject: created.id }
      expect(created).toEqual({ id: created.id, name: 'Ada', city: 'London', ...about('created') })
      await crm.tell(hub, 'c1', { name: 'Ada', city: 'Paris' })
      expect(await next()).toEqual({ id: created.id, name: 'Ada', city: 'Paris', ...about('updated') })
      await crm.tell(hub, 'c1', null)
      expect(await next()).toMatchObject({ id: created.id, ...about('deleted') })
      expect(await bench.published()).toBe(null)
    })

    test('another hub that subscribes keeps its application equal, also when it was away or all comes twice', async () => {
      using left = temporaryFolder()
      using right = temporaryFolder()
      await using a = await new Crm().listen()
      await using b = await new Crm().listen()
      await using bench = await open()
      const subscribe = (): Promise<SyncHub> =>
        syncHub(right.path, b, {
          bus: [bench.bus(), { consume: bench.subscribe, fields: { name: 'name', city: readOnly('city') } }],
        })
      // Its subscription has to be there before anything is published.
      await (await subscribe()).stop()
      await using hubA = await syncHub(left.path, a, {
        bus: [bench.bus(), { publish: { ...bench.publish, form: 'binary' } }],
      })
      for (let n = 0; n < 20; n++) await a.tell(hubA, `a${n}`, { name: `Person ${n}`, city: 'London' })
      {
        await using hubB = await subscribe()
        await eventually(
          () => b.names().length,
          (count) => count === 20,
        )
        await hubB.stop()
      }
      for (let n = 0; n < 10; n++) await a.tell(hubA, `a${n}`, { name: `Person ${n}`, city: 'Oslo' })
      await a.tell(hubA, 'a19', null)
      const seen: SeenMessage[] = []
      await eventually(
        async () => {
          const message = await bench.published()
          if (message !== null) seen.push(message)
          return seen.length
        },
        (count) => count === 31,
      )
      for (const message of seen) await bench.again(message)
      await using hubB = await subscribe()
      await eventually(
        () => b.names(),
        (names) => names.length === 19 && names.filter((one) => one.endsWith('Oslo')).length === 10,
      )
      expect(b.names()).toEqual(a.names())
      await hubB.stop()
    })
  })
}

async function strayRows(hub: SyncHub): Promise<readonly string[]> {
  const reply = await fetch(`${hub.url}/api/messages?verdict=set-aside`)
  const { items } = (await reply.json()) as { items: { app: string; origin: string; code: string; payload: unknown }[] }
  return items.map(
    ({ app, origin, code, payload }) =>
      `${app} ${origin} ${code} ${typeof payload === 'string' && payload.startsWith('"') ? JSON.parse(payload) : payload}`,
  )
}

const attributesOf = (headers: SeenMessage['headers'], prefix: string, data: unknown): Record<string, unknown> => ({
  ...Object.fromEntries(
    Object.entries(headers)
      .filter(([name]) => name.startsWith(prefix) && !name.startsWith('latchwork-'))
      .map(([name, value]) => [name.slice(prefix.length).toLowerCase(), value]),
  ),
  data,
})

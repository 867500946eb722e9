import { CloudEvent } from 'cloudevents'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { defineHub } from '../../config/define-hub.ts'
import { entity, key, latest, readOnly, sync } from '../../index.ts'
import { systemClock } from '../../lib/system-clock.ts'
import { asAppId, asObjectId } from '../../model/ids.ts'
import { collectingLog, FakeStore, temporaryFolder } from '../../server/fixture-hub.ts'
import { type RunningHub, startHub } from '../../server/hub.ts'
import { http, unverified, webhook } from '../http/index.ts'
import { AMQP_URL, eventually, hasAmqp, Peer } from './fixture-amqp.ts'
import { createAmqpConnector, header, rabbitmq } from './index.ts'

/** An application over HTTP that its users edit, and that tells the hub so. */
class Crm implements AsyncDisposable {
  readonly store = new FakeStore()
  url = ''
  #events = 0

  async listen(): Promise<this> {
    this.url = await this.store.listen()
    return this
  }

  /** What a user does, and the webhook that it causes. */
  async tell(hub: RunningHub, id: string, record: Readonly<Record<string, unknown>> | null): Promise<void> {
    const rev = 1_000 + ++this.#events
    if (record !== null) this.store.records.set(id, { ...record, id, rev })
    else this.store.records.delete(id)
    const body = record === null ? { id, rev, deleted: true } : { ...record, id, rev }
    const reply = await fetch(`${hub.url}/hooks/crm`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ event: `e${this.#events}`, ...body }),
    })
    expect(reply.status).toBeLessThan(300)
  }

  names(): string[] {
    return [...this.store.records.values()].map(({ name, city }) => `${name} in ${city}`).sort()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store.close()
  }
}

/** A hub between such an application and a bus. How the bus is bound differs by test; the compiler sees it in the guide's example. */
async function hubOf(
  dataDir: string,
  crm: Crm,
  options: Readonly<Record<string, unknown>>,
): Promise<RunningHub & { readonly log: ReturnType<typeof collectingLog> }> {
  const app = http({ baseUrl: crm.url })
  const bus = rabbitmq({ url: AMQP_URL })
  const fields = { name: 'name', city: 'city' } as const
  const persons = sync(
    entity('person', { schema: z.object({ name: z.string(), city: z.string() }), match: key('name') }),
    {
      crm: app.resource('/persons', {
        id: 'id',
        version: 'rev',
        conditional: true,
        idempotency: 'all',
        notify: webhook('/hooks/crm', {
          verify: unverified(),
          deliveryId: 'event',
          deleted: { at: 'deleted', equals: true },
        }),
        fields,
      }),
      bus: bus.messages('person', { id: 'id', fields, ...options }),
    },
    { conflicts: { default: latest({ skewMs: 0 }) } },
  )
  const log = collectingLog()
  const definition = defineHub({ apps: { crm: app, bus }, sync: [persons] })
  const hub = await startHub({ definition, dataDir, env: {}, log, port: 0 })
  return Object.assign(hub, { log })
}

describe.skipIf(!hasAmqp)('records that a queue tells of', () => {
  test('become records elsewhere, whatever the broker delivers twice; what is no record lies in the queue beside it', async () => {
    using folder = temporaryFolder()
    await using crm = await new Crm().listen()
    await using peer = await Peer.open()
    const queue = await peer.queue()
    peer.own(`${queue}.parked`)
    const open = () =>
      hubOf(folder.path, crm, {
        id: 'no',
        version: 'v',
        consume: { queue, record: 'data', deleted: { at: header('kind'), equals: 'gone' } },
        fields: { name: 'called', city: readOnly('town') },
      })
    const tell = (no: string, called: string, town: string, v: number, more = {}): Promise<void> =>
      peer.send(queue, { data: { no, called, town, v } }, { messageId: `${no}/${v}`, ...more })
    {
      await using hub = await open()
      await tell('1', 'Ada', 'London', 1)
      await tell('2', 'Bo', 'Oslo', 1)
      await tell('1', 'Ada', 'Paris', 2)
      // The same once more, and an older one under another id.
      await tell('1', 'Ada', 'Paris', 2)
      await tell('1', 'Ada', 'London', 1, { messageId: 'late' })
      await peer.send(queue, '{"data": {"no": ', { messageId: 'broken' })
      await peer.send(queue, { data: { called: 'Nobody', v: 1 } }, { messageId: 'no-id' })
      await peer.send(queue, { data: { no: '3', called: 'Cy' } }, { messageId: 'no-version' })
      await eventually(
        async () => crm.names(),
        (names) => names.length === 2 && names[0] === 'Ada in Paris',
      )
      const letters = [await parked(peer, queue), await parked(peer, queue), await parked(peer, queue)]
      expect(letters).toEqual(['broken intake.malformed', 'no-id intake.shape', 'no-version intake.shape'])
      await hub.stop()
    }
    expect(await peer.ready(queue)).toBe(0)
    await tell('2', 'Bo', 'Oslo', 2, { headers: { kind: 'gone' } })
    await using hub = await open()
    await eventually(
      async () => crm.names(),
      (names) => names.length === 1,
    )
    expect(crm.names()).toEqual(['Ada in Paris'])
    expect(hub.log.lines.filter((line) => line.startsWith('error'))).toEqual([])
  })
})

describe.skipIf(!hasAmqp)('acknowledgement', () => {
  test('what was read and is not durable is given again, by this connector and by the next one; what is durable is not', async () => {
    await using peer = await Peer.open()
    const queue = await peer.queue()
    for (const n of [1, 2]) await peer.send(queue, { id: `r${n}`, v: n }, { messageId: `m${n}` })
    const consume = {
      queue,
      declare: null,
      arguments: {},
      bind: [],
      formats: [{ kind: 'json' as const }],
      deliveryId: null,
      properties: {},
      inFlightMax: 1,
      deliveriesMax: 20,
      poison: 'park' as const,
      record: '',
      deleted: null,
    }
    const object = { object: asObjectId('things'), id: 'id', version: 'v', updatedAt: null, publish: null, consume }
    const connect = () =>
      createAmqpConnector(
        { app: asAppId('bus'), url: AMQP_URL, bodyBytesMax: 1_000, objects: [object] },
        { clock: systemClock, log: collectingLog() },
      ).source
    const { signal } = new AbortController()
    {
      await using source = connect()
      const first = await source.read('things', null, 10, signal)
      const again = await source.read('things', null, 10, signal)
      expect([first.changes.map(({ nativeId }) => nativeId), again.changes]).toEqual([['r1'], first.changes])
    }
    await using source = connect()
    const first = await source.read('things', null, 10, signal)
    await source.confirm('things', first.position)
    const second = await source.read('things', first.position, 10, signal)
    // As a crash after the commit leaves it: the position that the engine names is proof enough.
    const third = await source.read('things', second.position, 10, signal)
    expect([first, second, third].map(({ changes }) => changes.map(({ nativeId }) => nativeId))).toEqual([
      ['r1'],
      ['r2'],
      [],
    ])
    await source.close()
    expect(await peer.ready(queue)).toBe(0)
  })
})

async function parked(peer: Peer, queue: string): Promise<string> {
  const letter = await eventually(
    () => peer.take(`${queue}.parked`),
    (found) => found !== null,
  )
  return `${letter?.properties.messageId} ${letter?.properties.headers?.['latchwork-code']}`
}

describe.skipIf(!hasAmqp)('canonical publish/subscribe', () => {
  test.each(['binary', 'structured'] as const)(
    'every change of an entity is published as a %s CloudEvent to whoever has bound a queue',
    async (form) => {
      using folder = temporaryFolder()
      await using crm = await new Crm().listen()
      await using peer = await Peer.open()
      const exchange = await peer.exchange('topic')
      const queue = await peer.queue()
      await peer.channel.bindQueue(queue, exchange, 'person.#')
      await using hub = await hubOf(folder.path, crm, {
        publish: {
          exchange,
          key: 'person.{kind}',
          form,
          source: 'https://hub.example',
          eventType: 'com.example.person',
        },
      })
      const next = async (): Promise<{ readonly event: CloudEvent<unknown>; readonly key: string }> => {
        const message = await eventually(
          () => peer.take(queue),
          (found) => found !== null,
        )
        const { headers = {}, contentType } = message?.properties ?? {}
        const body = JSON.parse(String(message?.content)) as Record<string, unknown>
        const attributes =
          form === 'structured'
            ? body
            : {
                ...Object.fromEntries(
                  Object.entries(headers)
                    .filter(([name]) => name.startsWith('cloudEvents:'))
                    .map(([name, value]) => [name.slice(12), value]),
                ),
                data: body,
              }
        expect(contentType).toBe(form === 'structured' ? 'application/cloudevents+json' : 'application/json')
        // The reference implementation throws for what is no valid event.
        return { event: new CloudEvent(attributes as never, true), key: String(message?.fields.routingKey) }
      }
      await crm.tell(hub, 'c1', { name: 'Ada', city: 'London' })
      const created = await next()
      expect([created.key, created.event.type, created.event.source]).toEqual([
        'person.created',
        'com.example.person.created',
        'https://hub.example',
      ])
      const id = created.event.subject
      expect(created.event.data).toEqual({ id, name: 'Ada', city: 'London' })
      await crm.tell(hub, 'c1', { name: 'Ada', city: 'Paris' })
      const updated = await next()
      expect([updated.key, updated.event.data]).toEqual(['person.updated', { id, name: 'Ada', city: 'Paris' }])
      await crm.tell(hub, 'c1', null)
      const deleted = await next()
      expect([deleted.key, deleted.event.type, deleted.event.subject]).toEqual([
        'person.deleted',
        'com.example.person.deleted',
        id,
      ])
      expect(new Set([created, updated, deleted].map(({ event }) => event.id)).size).toBe(3)
      expect(await peer.take(queue)).toBe(null)
    },
  )

  test('another hub that subscribes keeps its application equal, also when it was away or the broker delivers twice', async () => {
    using left = temporaryFolder()
    using right = temporaryFolder()
    await using a = await new Crm().listen()
    await using b = await new Crm().listen()
    await using peer = await Peer.open()
    const exchange = await peer.exchange('topic')
    const [watch, queue] = [await peer.queue(), await peer.queue('quorum')]
    for (const one of [watch, queue]) await peer.channel.bindQueue(one, exchange, 'person.*')
    await using hubA = await hubOf(left.path, a, { publish: { exchange, form: 'binary' } })
    const subscribe = () =>
      hubOf(right.path, b, { consume: { queue }, fields: { name: 'name', city: readOnly('city') } })
    {
      await using hubB = await subscribe()
      for (let n = 0; n < 20; n++) await a.tell(hubA, `a${n}`, { name: `Person ${n}`, city: 'London' })
      await eventually(
        async () => b.names().length,
        (count) => count === 20,
      )
      await hubB.stop()
    }
    for (let n = 0; n < 10; n++) await a.tell(hubA, `a${n}`, { name: `Person ${n}`, city: 'Oslo' })
    await a.tell(hubA, 'a19', null)
    await eventually(
      () => peer.ready(watch),
      (count) => count === 31,
    )
    // All that was published before comes once more, oldest first, and behind it what is new.
    const events = []
    for (let n = 0; n < 31; n++) events.push(await peer.take(watch))
    for (const event of events) {
      // Under no id, so that only its version tells that it is old.
      const { contentType, headers } = event?.properties ?? {}
      await peer.send(queue, String(event?.content), { contentType, headers: headers ?? {} })
    }
    await using hubB = await subscribe()
    await eventually(
      async () => b.names(),
      (names) => names.length === 19 && names.filter((name) => name.endsWith('Oslo')).length === 10,
    )
    await eventually(
      () => peer.ready(queue),
      (count) => count === 0,
    )
    await hubB.stop()
    expect(await peer.ready(queue)).toBe(0)
    expect(b.names()).toEqual(a.names())
    // 20 creates, 10 updates and a deletion, and not one more.
    expect(await peer.ready(watch)).toBe(0)
  })

  test('a broker that is away is waited for; what was changed meanwhile is published then', async () => {
    using folder = temporaryFolder()
    await using crm = await new Crm().listen()
    await using peer = await Peer.open()
    const exchange = `latchwork-test-late-${crm.url.split(':').at(-1)}`
    await using hub = await hubOf(folder.path, crm, { publish: { exchange } })
    await crm.tell(hub, 'c1', { name: 'Ada', city: 'London' })
    await crm.tell(hub, 'c1', { name: 'Ada', city: 'Paris' })
    await eventually(
      async () => hub.log.lines.find((line) => line.includes('broker.refused')),
      (line) => line !== undefined,
    )
    const queue = await peer.queue()
    await peer.channel.assertExchange(exchange, 'fanout', { durable: true })
    await peer.channel.bindQueue(queue, exchange, '')
    const message = await eventually(
      () => peer.take(queue),
      (found) => String(found?.content).includes('Paris'),
    )
    expect(JSON.parse(String(message?.content))).toMatchObject({ name: 'Ada', city: 'Paris' })
    await peer.channel.deleteExchange(exchange)
  })
})

import { createRequire } from 'node:module'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { rabbitmq } from '../connectors/amqp/index.ts'
import { amqp1 } from '../connectors/amqp1/index.ts'
import {
  afterDelivery,
  basic,
  bearer,
  get,
  header,
  hmac,
  http,
  json,
  param,
  post,
  unverified,
  webhook,
  xml,
} from '../connectors/http/index.ts'
import { kafka } from '../connectors/kafka/index.ts'
import { mqtt } from '../connectors/mqtt/index.ts'
import { nats } from '../connectors/nats/index.ts'
import { defineHub, entity, env, flow, key, sync } from '../index.ts'
import { openApiOf } from './api-docs.ts'
import { asyncApiOf } from './async-api.ts'

/** Both documents, judged by the validators that their makers' tools use. */
const require = createRequire(import.meta.url)
const isThere = (specifier: string): boolean => {
  try {
    require.resolve(specifier)
    return true
  } catch {
    return false
  }
}
/** They come with `npm ci`; a checkout that has not run it since they were added skips, and CI counts that as a failure. */
const withValidators = test.skipIf(!isThere('@seriousme/openapi-schema-validator') || !isThere('@asyncapi/specs'))
const info = { title: 'A hub', version: '1.0.0', url: 'http://127.0.0.1:4800' }

async function asyncApiValidator(): Promise<((data: unknown) => boolean) & { errors?: unknown }> {
  const Ajv = (await import('ajv' as string)) as { default: { default?: unknown } }
  const Made = (Ajv.default.default ?? Ajv.default) as new (
    options: object,
  ) => { compile(schema: object): ((data: unknown) => boolean) & { errors?: unknown } }
  const schema = require('@asyncapi/specs/schemas/3.0.0-without-$id.json') as object
  return new Made({ strict: false, validateFormats: false }).compile(schema)
}

function definition(): ReturnType<typeof defineHub> {
  const shop = http({ baseUrl: 'http://shop.test' })
  const store = http({ baseUrl: 'http://store.test' })
  const thing = entity('thing', { schema: z.object({ name: z.string() }), match: key('name') })
  const fields = { name: 'name' } as const
  const things = sync(thing, {
    shop: shop.resource('/things', {
      id: 'id',
      fields,
      notify: webhook('/hooks/:id', {
        verify: hmac({ header: 'x-sig', secret: 's' }),
        id: param('id'),
        reply: afterDelivery(),
      }),
    }),
    store: store.resource('/items', { id: 'id', fields, notify: webhook('/hooks/items', { verify: unverified() }) }),
  })
  const ask = flow('ask', {
    listen: [
      post('/ask/:country', {
        verify: bearer('t'),
        format: [json(), xml({ root: 'ask' })],
        properties: { tenant: header('x-tenant') },
      }),
      get('/ask/:country', { verify: basic('u', 'p') }),
    ],
    input: z.object({ zip: z.string().regex(/^\d+$/), at: z.string().transform((text) => new Date(text)) }),
    properties: z.object({ country: z.enum(['de', 'fr']), tenant: z.string(), limit: z.coerce.number().optional() }),
    output: z.object({ ok: z.boolean(), tags: z.array(z.string()).optional() }),
    run: () => ({ ok: true }),
  })
  const take = flow('take', {
    listen: post('/take', { verify: hmac({ header: 'x-other', secret: 's' }), ackStatus: 204 }),
    run: () => null,
  })
  const inner = flow('inner', { run: () => null })
  return defineHub({ apps: { shop, store }, sync: [things], flows: [ask, take, inner] })
}

describe('documents made from the config', () => {
  withValidators('OpenAPI 3.1: every door with its schemas, proofs and refusals, valid', async () => {
    const document = openApiOf(definition(), info) as {
      paths: Record<
        string,
        Record<
          string,
          { parameters: { name: string; in: string }[]; security?: object[]; responses: Record<string, object> }
        >
      >
      components: { securitySchemes: Record<string, object> }
    }
    const specifier = '@seriousme/openapi-schema-validator'
    const { Validator } = (await import(specifier)) as {
      Validator: new () => { validate(given: object): Promise<{ valid: boolean; errors?: unknown }>; version: string }
    }
    const validator = new Validator()
    const found = await validator.validate(JSON.parse(JSON.stringify(document)) as object)
    expect(found).toMatchObject({ valid: true })
    expect(validator.version).toBe('3.1')
    expect(Object.keys(document.paths).slice(0, 4)).toEqual(['/ask/{country}', '/take', '/hooks/{id}', '/hooks/items'])
    const ask = document.paths['/ask/{country}']
    expect(ask?.post?.parameters.map((one) => `${one.in} ${one.name}`)).toEqual([
      'path country',
      'header x-tenant',
      'query limit',
    ])
    expect(Object.keys(ask?.post?.responses ?? {})).toEqual([
      '200',
      '400',
      '401',
      '413',
      '415',
      '422',
      '500',
      '503',
      '504',
    ])
    expect(Object.keys(document.components.securitySchemes)).toEqual(['admin', 'bearer', 'basic', 'hmac', 'hmac-2'])
    expect(document.paths['/hooks/items']?.post?.security).toBeUndefined()
    // The validator can say no.
    const broken = { ...document, paths: { '/x': { post: { responses: { '200': { oops: 1 } } } } } }
    expect((await new Validator().validate(JSON.parse(JSON.stringify(broken)) as object)).valid).toBe(false)
  })

  withValidators('AsyncAPI 3: every message with its channel and reply, valid', async () => {
    const document = JSON.parse(JSON.stringify(asyncApiOf(definition(), info))) as {
      operations: Record<string, { reply?: object }>
    }
    const validate = await asyncApiValidator()
    const isValid = validate(document)
    expect(validate.errors ?? null).toBeNull()
    expect(isValid).toBe(true)
    expect(
      Object.entries(document.operations).map(([name, operation]) => [name, operation.reply !== undefined]),
    ).toEqual([
      ['http.POST._ask_country', true],
      ['http.GET._ask_country', true],
      ['http.POST._take', false],
    ])
    expect(validate({ ...document, channels: { x: { address: 7 } } })).toBe(false)
  })

  withValidators(
    'AsyncAPI 3: doors of brokers are channels on the servers that they are on, without their passwords',
    async () => {
      const output = z.object({ ok: z.boolean() })
      const bus = rabbitmq({ url: 'amqp://user:secret@rabbit.test:5672/vhost' })
      const other = rabbitmq({ url: env('OTHER_URL') })
      const jms = amqp1({ url: 'amqps://user:secret@jms.test:5671' })
      const streams = kafka({ url: 'kafka://user:secret@kafka.test:9092' })
      const server = nats({ url: 'nats://user:secret@nats.test:4222' })
      const broker = mqtt({ url: 'mqtts://user:secret@mqtt.test:8883', clientId: 'hub' })
      const doors = [
        bus.queue('orders'),
        other.queue('others'),
        jms.queue('jobs'),
        streams.topic('events'),
        server.stream('ORDERS', { filter: 'orders.*' }),
        server.subject('check', { group: 'hubs' }),
        broker.topic('sensors/+/t', { qos: 2 }),
      ]
      const flows = [
        flow('ask', { listen: doors, output, run: () => ({ ok: true }) }),
        flow('take', { listen: bus.queue('letters'), run: () => null }),
      ]
      const text = JSON.stringify(asyncApiOf(defineHub({ apps: {}, flows }), info))
      expect(text).not.toContain('secret')
      const document = JSON.parse(text) as {
        servers: Record<string, { host: string; protocol: string }>
        channels: Record<string, { address: string | null }>
        operations: Record<string, { reply?: { address?: { location: string } } }>
      }
      const validate = await asyncApiValidator()
      validate(document)
      expect(validate.errors ?? null).toBeNull()
      expect(
        Object.entries(document.servers).map(([name, { host, protocol }]) => `${name} ${protocol} ${host}`),
      ).toEqual([
        'hub http 127.0.0.1:4800',
        'rabbitmq amqp rabbit.test:5672',
        'rabbitmq-2 amqp OTHER_URL',
        'amqp1 amqp1 jms.test:5671',
        'kafka kafka kafka.test:9092',
        'nats nats nats.test:4222',
        'mqtt mqtt5 mqtt.test:8883',
      ])
      expect(Object.values(document.channels).flatMap(({ address }) => (address === null ? [] : [address]))).toEqual([
        'orders',
        'others',
        'jobs',
        'events',
        'orders.*',
        'check',
        'sensors/+/t',
        'letters',
      ])
      expect(Object.values(document.operations).map(({ reply }) => reply?.address?.location ?? null)).toEqual([
        '$message.header#/replyTo',
        '$message.header#/replyTo',
        '$message.header#/reply-to',
        '$message.header#/reply-to',
        '$message.header#/reply-to',
        '$message.header#/reply',
        '$message.header#/responseTopic',
        null,
      ])
    },
  )
})

import { z } from 'zod'
import { bearer, http } from '../connectors/http/index.ts'
import { Engine } from '../engine/engine.ts'
import { FakeApp } from '../engine/fake-app.ts'
import { cents, decimal, decimalText, defineHub, entity, key, prefer, reference, sync } from '../index.ts'
import { systemClock, systemRandom } from '../lib/system-clock.ts'
import { asAppId } from '../model/ids.ts'
import { MemoryJournal, MemoryStore } from '../stores/memory/index.ts'

const left = http({ baseUrl: 'http://left.test', auth: bearer('x') })
const right = http({ baseUrl: 'http://right.test', auth: bearer('x') })
const person = entity('person', {
  schema: z.object({ name: z.string(), email: z.string(), credit: decimal(2) }),
  match: key('email'),
})
const basket = entity('basket', {
  schema: z.object({ number: z.string(), owner: reference(person) }),
  match: key('number'),
  parts: { lines: { key: 'no', schema: z.object({ no: z.int(), qty: z.int() }) } },
})
const Left = z.object({
  id: z.string(),
  full_name: z.string(),
  email: z.string(),
  credit_cents: z.int(),
  rev: z.int(),
  ext: z.string().nullable(),
})
const Right = z.object({
  id: z.string(),
  title: z.string(),
  mail: z.string(),
  credit: z.string(),
  rev: z.int(),
  ext: z.string().nullable(),
})
const Basket = z.object({
  id: z.string(),
  no: z.string(),
  person: z.string(),
  lines: z.array(z.object({ n: z.int(), quantity: z.int() })),
  rev: z.int(),
  ext: z.string().nullable(),
})
const common = { id: 'id', version: 'rev', externalId: 'ext', conditional: true, idempotency: 'all' } as const
const baskets = {
  ...common,
  fields: { number: 'no', owner: 'person' },
  parts: { lines: { from: 'lines', key: 'n', fields: { qty: 'quantity' } } },
} as const

/** People, and baskets that refer to them and own their lines, in two applications with their own names and units. */
export const definition = defineHub({
  apps: { left, right },
  sync: [
    sync(basket, {
      left: left.resource('/baskets', Basket, baskets),
      right: right.resource('/carts', Basket, baskets),
    }),
    sync(
      person,
      {
        left: left.resource('/people', Left, {
          ...common,
          fields: { name: 'full_name', email: 'email', credit: ['credit_cents', cents] },
        }),
        right: right.resource('/persons', Right, {
          ...common,
          fields: { name: 'title', email: 'mail', credit: ['credit', decimalText(2)] },
        }),
      },
      { conflicts: { default: prefer('right') } },
    ),
  ],
})

/** Two applications that trim what they are given, or not, and a hub that is started when a test wants one. */
export function bench() {
  const store = new MemoryStore({ instanceId: 'test' })
  const apps = { left: new FakeApp('left', 'L'), right: new FakeApp('right', 'R', { trim: true }) }
  const connectors = new Map(Object.values(apps).map((app) => [asAppId(app.name), app.connector(definition.model)]))
  const clock = systemClock
  const options = {
    model: definition.model,
    connectors,
    store,
    clock,
    signal: new AbortController().signal,
    recordsPerSecond: Number.POSITIVE_INFINITY,
  }
  const start = async () => {
    const engine = new Engine({
      model: definition.model,
      connectors,
      store,
      journal: new MemoryJournal(),
      clock,
      random: systemRandom,
      log: { log: () => {} },
    })
    await engine.start()
    for (const app of Object.values(apps)) app.notify = (changes) => engine.accept(asAppId(app.name), changes)
    const settle = async (): Promise<void> => {
      for (let quiet = 0; quiet < 3; ) {
        await new Promise((resolve) => setImmediate(resolve))
        quiet = engine.isIdle() && Object.values(apps).every((app) => app.isQuiet) ? quiet + 1 : 0
      }
    }
    return { engine, settle, [Symbol.asyncDispose]: () => engine.stop() }
  }
  return { ...apps, store, connectors, options, start }
}

/** A change that its application tells nobody of. */
export function silently(app: FakeApp, change: () => void): void {
  const { notify } = app
  app.notify = async () => {}
  change()
  setImmediate(() => setImmediate(() => (app.notify = notify)))
}

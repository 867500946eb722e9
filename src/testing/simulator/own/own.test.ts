import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { HubDefinition } from '../../../config/define-hub.ts'
import type { AnyPolicy } from '../../../config/entity.ts'
import { http, unverified, webhook } from '../../../connectors/http/index.ts'
import {
  cents,
  counter,
  decimal,
  decimalText,
  defineHub,
  entity,
  idIn,
  key,
  lossy,
  merge,
  readOnly,
  reference,
  sync,
  writeOnly,
} from '../../../index.ts'
import { runCampaign } from '../campaign.ts'
import { runSeed } from '../run.ts'
import { shrink } from '../shrink.ts'
import { ownWorld } from './world.ts'

const common = { id: 'id', version: 'rev', conditional: true, idempotency: 'all' } as const
const told = (path: string) => ({ ...common, notify: webhook(path, { verify: unverified() }) })

interface Texts {
  /** What the records of the two hold. */
  readonly desk?: z.ZodType<string>
  readonly store?: z.ZodType<string>
  /** How the store keeps it. */
  readonly as?: unknown
  readonly policy?: AnyPolicy
}

/** Notes in a desk and a store: one text, kept, written and decided on as a test has it. */
function notes({ desk = z.string().max(40), store = desk, as = 'text', policy }: Texts): HubDefinition {
  const apps = { desk: http({ baseUrl: 'http://desk.test' }), store: http({ baseUrl: 'http://store.test' }) }
  const note = entity('note', { schema: z.object({ text: z.string().max(40) }) })
  const row = (text: z.ZodType<string>) => z.object({ id: z.int(), rev: z.int(), text })
  const inStore = { ...told('/store'), fields: { text: as } } as never
  const bindings = {
    desk: apps.desk.resource('/notes', row(desk), { ...told('/desk'), fields: { text: 'text' } } as never),
    store: apps.store.resource('/notes', row(store), inStore),
  }
  const options = policy === undefined ? {} : { conflicts: { fields: { text: policy } } }
  return defineHub({ apps, sync: [sync(note, bindings as never, options as never)] })
}

/** Products, and orders that own lines and refer to them, in two applications with their own names, units and rights. */
function shop(): HubDefinition {
  const desk = http({ baseUrl: 'http://desk.test' })
  const store = http({ baseUrl: 'http://store.test' })
  const product = entity('product', {
    schema: z.object({ sku: z.string().min(1), price: decimal(2), stock: z.int(), sold: z.int() }),
    match: key('sku'),
  })
  const order = entity('order', {
    schema: z.object({ product: reference(product), note: z.string().nullable() }),
    parts: { lines: { key: 'no', schema: z.object({ no: z.int(), qty: z.int() }) } },
  })
  const lines = z.array(z.object({ n: z.int(), qty: z.int() }))
  const parts = { lines: { from: 'lines', key: 'n', fields: { qty: 'qty' } } } as const
  const products = sync(
    product,
    {
      desk: desk.resource(
        '/products',
        z.object({
          id: z.int(),
          rev: z.int(),
          sku: z.string(),
          cents: z.int(),
          stock: z.int(),
          sold: z.int(),
          there: z.string(),
        }),
        {
          ...told('/desk/products'),
          fields: { sku: 'sku', price: ['cents', cents], stock: writeOnly('stock'), sold: 'sold' },
          writeback: { there: idIn('store') },
        },
      ),
      store: store.resource(
        '/items',
        z.object({ id: z.string(), rev: z.int(), sku: z.string(), price: z.string(), stock: z.int(), sold: z.int() }),
        {
          ...told('/store/items'),
          fields: { sku: 'sku', price: ['price', decimalText(2)], stock: readOnly('stock'), sold: 'sold' },
        },
      ),
    },
    { conflicts: { fields: { sold: counter() } } },
  )
  const orders = sync(order, {
    desk: desk.resource(
      '/orders',
      z.object({ id: z.int(), rev: z.int(), item: z.int(), note: z.string().nullable(), lines }),
      {
        ...told('/desk/orders'),
        fields: { product: 'item', note: 'note' },
        parts,
      },
    ),
    store: store.resource(
      '/orders',
      z.object({ id: z.string(), rev: z.int(), what: z.string(), note: z.string().nullable(), lines }),
      {
        ...told('/store/orders'),
        fields: { product: 'what', note: 'note' },
        parts,
      },
    ),
  })
  return defineHub({ apps: { desk, store }, sync: [products, orders] })
}

const campaign = (definition: HubDefinition, seeds: number) =>
  runCampaign({ own: ownWorld(definition), from: 1, seeds, twiceEvery: 10 })

const capitals = z.codec(z.string(), z.string(), { decode: (kept) => kept, encode: (text) => text.toUpperCase() })

describe("a config's own entities, mappings and policies", () => {
  it('hold against applications that misbehave: parts, references, counters, values that are only told or only written', async () => {
    const { totals, failures } = await campaign(shop(), 60)
    expect(failures).toEqual([])
    expect(totals.userEdits).toBeGreaterThan(1_000)
    expect(totals.crashes).toBeGreaterThan(10)
    expect(totals.conflicts).toBeGreaterThan(10)
  })

  it('give the same run for the same seed', async () => {
    const runs = await Promise.all([1, 2].map(() => runSeed(5, { own: ownWorld(shop()) })))
    expect(runs[0]?.hash).toBe(runs[1]?.hash)
  })
})

describe('a bad mapping', () => {
  it('that loses something without saying so is found, and made small enough to read', async () => {
    const own = ownWorld(notes({ as: ['text', capitals] }))
    const { failures } = await runCampaign({ own, from: 1, seeds: 10 })
    expect(['V2', 'V4']).toContain(failures[0]?.checker)
    const whole = await runSeed(failures[0]?.seed ?? 0, { own })
    const { result } = await shrink(whole, { own })
    expect(result.failed?.checker).toBe(whole.failed?.checker)
    expect(result.userEdits).toBeLessThanOrEqual(3)
  })

  it('holds where the loss is declared', async () => {
    expect((await campaign(notes({ as: lossy(['text', capitals]) }), 40)).failures).toEqual([])
  })

  it('that writes what the records of an application do not take is found', async () => {
    const { failures } = await campaign(notes({ store: z.string().max(3) }), 10)
    expect(failures[0]?.checker).toBe('V10')
    expect(failures[0]?.message).toContain('target.rejected')
  })
})

interface Sides {
  readonly current: { readonly value: string }
  readonly incoming: { readonly value: string }
}

const choosing = (choose: (sides: Sides) => string): AnyPolicy => merge(choose as never) as AnyPolicy

describe('a bad policy', () => {
  it('that makes of two values one that an application does not take is found', async () => {
    const joined = choosing(({ current, incoming }) => `${current.value}${incoming.value}`.slice(0, 40))
    expect((await campaign(notes({ policy: joined }), 20)).failures).toEqual([])
    const { failures } = await campaign(notes({ desk: z.string().max(12), policy: joined }), 40)
    expect(failures.map(({ checker }) => checker)).toContain('V10')
  })

  it('that remembers what it was asked before is found: the same run is another one', async () => {
    let asked = 0
    // Only with longer texts, so that nothing is noticed when it is tried at the start.
    const moody = choosing(({ current, incoming }) =>
      incoming.value.length > 8 && ++asked % 3 === 0 ? current.value : incoming.value,
    )
    const own = ownWorld(notes({ policy: moody }))
    const { failures } = await runCampaign({ own, from: 1, seeds: 30, twiceEvery: 1 })
    expect(failures.map(({ checker }) => checker)).toContain('determinism')
  })
})

it('a config that cannot be played is refused, with the place and what to add', () => {
  const apps = { desk: http({ baseUrl: 'http://desk.test' }) }
  const thing = entity('thing', { schema: { name: z.never() as never } })
  const build = () =>
    ownWorld(
      defineHub({
        apps,
        sync: [
          sync(
            thing as never,
            { desk: apps.desk.resource('/things', { id: 'id', fields: { name: 'name' } as never }) } as never,
          ),
        ],
      }),
    )
  expect(build).toThrow(expect.objectContaining({ code: expect.stringMatching(/^(simulate|config)\./) }))
  expect(() => ownWorld(defineHub({ apps, sync: [] }))).toThrow(
    expect.objectContaining({ code: 'simulate.unsupported' }),
  )
})

import { expect, test } from 'vitest'
import { z } from 'zod'
import { http } from '../connectors/http/config.ts'
import { addRemove, counter, decimal, defineHub, entity, manual, merge, prefer, sync } from '../index.ts'
import { asEntityName } from '../model/ids.ts'

/** Policies as JavaScript users give them: without the compiler, refused at the start with the place and the reason. */

// biome-ignore lint/suspicious/noExplicitAny: what the compiler would refuse is what is tried here.
type Any = any

const item = entity('item', {
  schema: z.object({
    title: z.string(),
    stock: z.int().nullable(),
    price: decimal(2),
    tags: z.array(z.string()),
    colour: z.enum(['red', 'blue']),
  }),
  parts: { sizes: { key: 'code', schema: z.object({ code: z.string(), stock: z.int() }) } },
})

const build = (conflicts: Any) => {
  const left = http({ baseUrl: 'http://left' })
  return defineHub({
    apps: { left },
    sync: [
      sync(
        item,
        { left: left.resource('/items', { id: 'id', fields: { title: 't', stock: 's', price: 'p', tags: 'g' } }) },
        { conflicts },
      ),
    ],
  }).model.entities.get(asEntityName('item'))
}
const field = (name: string, policy: Any) => build({ fields: { [name]: policy } })

const refused: readonly (readonly [string, () => unknown, RegExp])[] = [
  [
    'a counter of what is no number',
    () => field('title', counter()),
    /item\.conflicts\.fields\.title: counter\(\) needs a number or decimal, this is text/,
  ],
  ['a counter for all fields', () => build({ default: counter() }), /default: counter\(\) suits single fields/],
  ['a set that is no list', () => field('price', addRemove()), /addRemove\(\) needs a list, this is decimal\(2\)/],
  ['a policy of values for a whole part', () => field('sizes', manual()), /manual\(\) keeps two values of one field/],
  ['a ranking of an unknown application', () => field('title', prefer('rigth' as never)), /'rigth' is not an appl/],
  ['a merge without a function', () => field('title', { kind: 'merge' }), /merge\(\) has no function/],
  ['an unknown policy', () => field('title', { kind: 'newest' }), /title: this is not a policy/],
  [
    'a merge function that throws',
    () => field('title', merge(((sides: Any) => sides.base.length) as Any)),
    /fields\.title: its merge function throws for base undefined, current "", incoming "alpha": Cannot read/,
  ],
  [
    'a merge function that gives a value outside the schema',
    () => field('title', merge((() => 12) as Any)),
    /its merge function gives 12 .* does not fit the field/,
  ],
  [
    'a merge function that forgets that the field may be null',
    () => field('stock', merge((({ current }: Any) => current.value.valueOf()) as Any)),
    /stock: its merge function throws for base undefined, current null/,
  ],
  [
    'a merge function that is not pure',
    () => {
      let calls = 0
      return field('title', merge((() => `t${calls++}`) as Any))
    },
    /its merge function gives "t0", then "t1" .*It must be pure/,
  ],
]

test.each(refused)('%s is refused, with its place', (_, make, message) => {
  expect(make).toThrow(expect.objectContaining({ code: 'config.invalid', message: expect.stringMatching(message) }))
})

test('each policy is taken where it fits', () => {
  const longer = merge<string>(({ current, incoming }) =>
    incoming.value.length > current.value.length ? incoming.value : current.value,
  )
  const policies = { stock: counter(), price: counter(), tags: addRemove(), title: longer, 'sizes.stock': counter() }
  const made = build({ default: manual(), fields: policies })
  expect(made?.policyDefault).toEqual({ kind: 'manual' })
  expect(made?.policies).toEqual(policies)
})

test('a merge function over values that nobody can guess is taken as it is', () => {
  const first = merge<string>(({ current }) => current.value)
  expect(field('colour', first)?.policies.colour?.kind).toBe('merge')
})

const braked = (brakes: Any) => {
  const left = http({ baseUrl: 'http://left' })
  return defineHub({ apps: { left }, sync: [], brakes }).model.brakes
}

test('brakes have sensible defaults, are set by part, and switched off by word', () => {
  const usual = { least: 20, percent: 1, withinMs: 600_000 }
  expect(braked(undefined)).toEqual({ deletes: usual, writesPerMinute: null, firstContactCreates: 100 })
  expect(braked({ deletes: { least: 5, minutes: 1 }, writesPerMinute: 600 })).toEqual({
    deletes: { ...usual, least: 5, withinMs: 60_000 },
    writesPerMinute: 600,
    firstContactCreates: 100,
  })
  expect(braked({ deletes: 'off', writesPerMinute: 'off', firstContactCreates: 'off' })).toEqual({
    deletes: null,
    writesPerMinute: null,
    firstContactCreates: null,
  })
  expect(braked({ firstContactCreates: 0 })).toMatchObject({ firstContactCreates: 0 })
  for (const wrong of [
    { deletes: { least: 0 } },
    { writesPerMinute: 'many' },
    { deletes: { percent: -1 } },
    { firstContactCreates: -1 },
  ])
    expect(() => braked(wrong)).toThrow(expect.objectContaining({ code: 'config.invalid' }))
  expect(() => braked({ delete: 'off' })).toThrow(expect.objectContaining({ code: 'config.unknown-key' }))
})

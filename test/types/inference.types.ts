import {
  addRemove,
  type BytesText,
  bytes,
  type Codec,
  cents,
  counter,
  type DateText,
  type Decimal,
  date,
  decimal,
  derived,
  type Entity,
  entity,
  enumMap,
  env,
  flow,
  type Instant,
  instant,
  int64,
  integerText,
  key,
  latest,
  lossy,
  manual,
  merge,
  prefer,
  type Reference,
  readOnly,
  reference,
  rowOf,
  sync,
  unixSeconds,
  writeOnly,
} from 'latchwork'
import { basic, etag, http } from 'latchwork/connectors/http'
import { z } from 'zod'

/** What must compile, and the types that must come out. */

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const proved = <_Claim extends true>(): void => {}

type TypesOf<E> = E extends Entity<infer T, string> ? T : never

const customer = entity('customer', {
  schema: z.object({
    name: z.string(),
    email: z.email(),
    creditLimit: decimal(2),
    phone: z.string().nullable(),
    note: z.string().optional(),
    born: date().nullable(),
    photo: bytes().nullable(),
    size: int64(),
    tags: z.array(z.string()),
    status: z.enum(['active', 'closed']),
    parent: reference('customer').nullable(),
  }),
  match: key('email', 'name'),
})

proved<Equal<(typeof customer)['name'], 'customer'>>()
proved<
  Equal<
    TypesOf<typeof customer>['fields'],
    {
      readonly name: string
      readonly email: string
      readonly creditLimit: Decimal<2>
      readonly phone: string | null
      readonly note: string
      readonly born: DateText | null
      readonly photo: BytesText | null
      readonly size: number | bigint
      readonly tags: string[]
      readonly status: 'active' | 'closed'
      readonly parent: Reference<'customer'> | null
    }
  >
>()

const order = entity('order', {
  schema: z.object({ customer: reference(customer), placedAt: instant() }),
  parts: { lines: { key: 'lineNo', schema: z.object({ lineNo: z.int(), qty: z.int(), price: decimal(2) }) } },
})

proved<
  Equal<
    TypesOf<typeof order>['parts'],
    {
      readonly lines: {
        readonly key: 'lineNo'
        readonly fields: { readonly lineNo: number; readonly qty: number; readonly price: Decimal<2> }
      }
    }
  >
>()
proved<
  Equal<TypesOf<typeof order>['fields'], { readonly customer: Reference<'customer'>; readonly placedAt: Instant }>
>()

const statuses = enumMap({ active: 1, closed: 2 })
proved<Equal<typeof statuses, Codec<1 | 2, 'active' | 'closed'>>>()

const desk = http({ baseUrl: env('DESK_URL'), auth: basic('hub', env('DESK_PASSWORD')) })
const store = http({ baseUrl: 'http://store', requestTimeoutMs: 5_000 })

const Row = z.object({
  id: z.int(),
  rev: z.int(),
  first: z.string(),
  last: z.string(),
  credit_cents: z.int(),
  contact: z.object({ mail: z.string(), phone: z.string().nullable() }).optional(),
  born: date().nullable(),
  size: int64(),
  tags: z.array(z.string()),
  state: z.literal([1, 2]),
  parent_id: z.int().nullable(),
  note: z.string().optional(),
})

const fullName = z.codec(z.tuple([z.string(), z.string()]), z.string(), {
  decode: ([first, last]) => `${first} ${last}`,
  encode: (name): [string, string] => [name.split(' ')[0] ?? '', name.split(' ')[1] ?? ''],
})
const phoneOrEmpty = z.codec(z.string(), z.string().nullable(), {
  decode: (text) => (text === '' ? null : text),
  encode: (text) => text ?? '',
})
interface Client {
  readonly key: string
  readonly displayName: string
  readonly phoneText: string
  readonly limit: number | null
  readonly parent?: string | null
}

export const customers = sync(
  customer,
  {
    desk: desk.resource('/customers', Row, {
      id: 'id',
      version: 'rev',
      fields: {
        name: [['first', 'last'], fullName],
        email: 'contact.mail',
        phone: 'contact.phone',
        creditLimit: ['credit_cents', cents],
        born: 'born',
        size: 'size',
        tags: 'tags',
        status: ['state', statuses],
        parent: 'parent_id',
        note: 'note',
      },
    }),
    store: store.resource('/clients', rowOf<Client>(), {
      id: 'key',
      version: etag(),
      fields: {
        name: derived(['displayName'], (row: { displayName: string }) => row.displayName.trim()),
        phone: ['phoneText', phoneOrEmpty],
        creditLimit: writeOnly(['limit', (limit: Decimal<2>) => Number(limit)]),
        parent: readOnly('parent'),
      },
      onCreate: { limit: 0 },
    }),
    open: http({ baseUrl: 'http://open' }).resource('/anything', {
      id: 'key',
      fields: { name: lossy('a.b'), phone: lossy(['c', phoneOrEmpty]), size: readOnly(['d', integerText]) },
    }),
  },
  {
    conflicts: {
      default: prefer('desk'),
      fields: { creditLimit: prefer('desk', 'store'), phone: prefer('open', 'desk'), name: latest({ skewMs: 0 }) },
    },
    deletes: 'update-wins',
  },
)

export const orders = sync(
  order,
  {
    desk: desk.resource(
      '/orders',
      rowOf<{ id: number; who: number; at: number; rows: { no: string; n: number; cents: number }[] | null }>(),
      {
        id: 'id',
        fields: { customer: 'who', placedAt: ['at', unixSeconds] },
        parts: { lines: { from: 'rows', key: 'no', fields: { qty: readOnly('n'), price: ['cents', cents] } } },
      },
    ),
  },
  { conflicts: { fields: { 'lines.qty': prefer('desk'), lines: prefer('desk') } } },
)

/** An entity of other Standard Schemas, field by field. */
export const plain = entity('plain', { schema: { name: z.string(), size: z.int() }, match: key('name') })
proved<Equal<TypesOf<typeof plain>['fields'], { readonly name: string; readonly size: number }>>()

const article = entity('article', {
  schema: z.object({ title: z.string().nullable(), stock: z.int(), price: decimal(2), tags: z.array(z.string()) }),
  parts: { sizes: { key: 'no', schema: z.object({ no: z.int(), qty: z.int() }) } },
})

/** Each policy where it fits; a merge function knows the values of its field. */
export const articles = sync(
  article,
  { open: http({ baseUrl: 'http://open' }).resource('/articles', { id: 'key', fields: { title: 't', stock: 's' } }) },
  {
    conflicts: {
      default: manual(),
      fields: {
        title: merge(({ base, current, incoming }) => {
          proved<Equal<typeof base, string | null | undefined>>()
          return (current.value ?? '').length > (incoming.value ?? '').length ? current.value : incoming.value
        }),
        stock: counter(),
        price: counter(),
        tags: addRemove(),
        'sizes.qty': counter(),
        sizes: latest(),
      },
    },
  },
)
/** Flows: what a run is given, and what it may return. */

const Client = z.object({ id: z.string(), city: z.string(), size: z.number().nullable() })
const clients = http({ baseUrl: 'http://127.0.0.1' }).object('/clients', Client, { id: 'id' })

export const typedFlow = flow('typed', {
  input: z.object({ zip: z.string(), at: z.string().transform((text) => new Date(text)) }),
  properties: z.object({ limit: z.coerce.number() }),
  output: z.object({ city: z.string(), at: z.date().optional() }),
  apps: { clients },
  key: 'zip',
  run: async ({ message, properties, apps, start }) => {
    proved<Equal<typeof message.body, { zip: string; at: Date }>>()
    proved<Equal<typeof properties, { limit: number }>>()
    const client = await apps.clients.read(message.body.zip)
    proved<Equal<typeof client, { id: string; city: string; size: number | null } | null>>()
    await start(plainFlow, { properties: { limit: String(properties.limit) } })
    if (client === null) throw new Error('unknown')
    return { city: client.city, at: message.body.at }
  },
})

export const plainFlow = flow('plain', {
  run: ({ message, properties }) => {
    proved<Equal<typeof properties, Readonly<Record<string, string>>>>()
    return message.body === null ? undefined : properties.limit
  },
})

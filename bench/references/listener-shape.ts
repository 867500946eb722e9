import { z } from 'zod'

/** The message of the listener bench, about 1 KB, and the mapping that every contestant does. */
export const AddressIn = z.object({
  id: z.string(),
  name: z.object({ first: z.string(), last: z.string() }),
  street: z.string(),
  zip: z.string(),
  city: z.string(),
  country: z.string().length(2),
  lines: z.array(z.object({ no: z.int(), sku: z.string(), qty: z.int() })),
})

export const AddressOut = z.object({
  id: z.string(),
  name: z.string(),
  address: z.string(),
  country: z.string(),
  total: z.int(),
})

type In = z.infer<typeof AddressIn>

export const mapped = (given: In): z.infer<typeof AddressOut> => ({
  id: given.id,
  name: `${given.name.first} ${given.name.last}`,
  address: `${given.street}, ${given.zip} ${given.city}`,
  country: given.country.toUpperCase(),
  total: given.lines.reduce((sum, line) => sum + line.qty, 0),
})

export const messageOf = (n: number): string =>
  JSON.stringify({
    id: `m-${n}`,
    name: { first: 'Ada', last: 'Lovelace' },
    street: '12 St James Square',
    zip: 'SW1Y 4JH',
    city: 'London',
    country: 'gb',
    lines: Array.from({ length: 18 }, (_, no) => ({ no, sku: `SKU-${no}-${n}`, qty: (no % 5) + 1 })),
  })

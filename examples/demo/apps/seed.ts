/**
 * The first records of both applications, the same on every start. The order desk has been at work for years; the warehouse has
 * just begun, with a few records of its own: some are also known to the order desk, by email or SKU, with equal values.
 */

import type { SeedRecord } from './app-kit/description.ts'

const firstNames = [
  'Maria',
  'James',
  'Aisha',
  'Lukas',
  'Chiara',
  'Noah',
  'Zoë',
  'Mateo',
  'Ingrid',
  'Kwame',
  'Hana',
  'Piotr',
  'Leïla',
  'Oscar',
  'Freya',
  'Tomás',
  'Priya',
  'Jonas',
  'Elif',
  'Siobhán',
]
const lastNames = [
  'Lopez',
  'Whitfield',
  'Rahman',
  'Brandt',
  'Moretti',
  'Okafor',
  'Lindqvist',
  'Navarro',
  'Sato',
  'Kowalski',
  'Dubois',
  'Nielsen',
  'Haddad',
  'Byrne',
  'Novak',
  'Fischer',
  'Costa',
  'Iyer',
  'Yilmaz',
]
const cities = [
  { city: 'Lisbon', dial: '+351 21' },
  { city: 'Hamburg', dial: '+49 40' },
  { city: 'Lyon', dial: '+33 4' },
  { city: 'Gdańsk', dial: '+48 58' },
  { city: 'Bologna', dial: '+39 051' },
  { city: 'Utrecht', dial: '+31 30' },
  { city: 'Göteborg', dial: '+46 31' },
  { city: 'Valencia', dial: '+34 96' },
  { city: 'Cork', dial: '+353 21' },
  { city: 'Kraków', dial: '+48 12' },
  { city: 'Graz', dial: '+43 316' },
]
const productKinds = [
  { code: 'MUG', title: 'Stoneware mug', priceCents: 1290 },
  { code: 'LMP', title: 'Desk lamp', priceCents: 5490 },
  { code: 'CHR', title: 'Folding chair', priceCents: 3990 },
  { code: 'NTB', title: 'Dotted notebook A5', priceCents: 990 },
  { code: 'BPK', title: 'Canvas backpack', priceCents: 6900 },
  { code: 'KTL', title: 'Pour-over kettle', priceCents: 4450 },
  { code: 'BLK', title: 'Wool blanket', priceCents: 7900 },
  { code: 'SHF', title: 'Wall shelf 60 cm', priceCents: 2795 },
  { code: 'CLK', title: 'Kitchen clock', priceCents: 3325 },
  { code: 'PLT', title: 'Plant pot 18 cm', priceCents: 1675 },
  { code: 'TWL', title: 'Linen tea towel', priceCents: 850 },
  { code: 'BSK', title: 'Woven basket', priceCents: 2240 },
]
const storageKinds = [
  { code: 'PAL', title: 'Euro pallet', priceCents: 2150 },
  { code: 'BOX', title: 'Shipping carton', priceCents: 145 },
  { code: 'TAP', title: 'Packing tape', priceCents: 320 },
  { code: 'FLM', title: 'Stretch film', priceCents: 890 },
  { code: 'CRT', title: 'Stacking crate', priceCents: 1260 },
]
const colours = [
  { code: 'NAT', name: 'natural' },
  { code: 'BLK', name: 'black' },
  { code: 'SGE', name: 'sage' },
  { code: 'TER', name: 'terracotta' },
  { code: 'SKY', name: 'sky blue' },
]
const notes = [
  'Leave with the neighbour.',
  'Gift wrap, please.',
  'Deliver after 5 pm.',
  'Call before delivery.',
  'Second floor, no lift.',
]
const statuses = ['new', 'new', 'confirmed', 'confirmed', 'picked', 'shipped', 'cancelled']

type Customer = { full_name: string; email: string; phone: string | null; city: string; credit_cents: number }
type Product = { sku: string; title: string; price_cents: number; stock_on_hand: number }

/** `count` customers, half as many products again, and three orders for every four customers. */
export function orderDeskSeed(count: number): SeedRecord[] {
  const productCount = Math.ceil(count * 1.5)
  const records: SeedRecord[] = []
  for (let index = 0; index < count; index++) records.push({ object: 'customers', body: customerAt(index) })
  for (let index = 0; index < productCount; index++) {
    const product = productAt(index)
    // Stock is counted in the warehouse; of what it does not have the order desk knows none.
    const isInWarehouse = index % 4 === 0 && index / 4 < Math.ceil(count / 8)
    records.push({ object: 'products', body: isInWarehouse ? product : { ...product, stock_on_hand: 0 } })
  }
  for (let index = 0; index < Math.floor(count * 0.75); index++)
    records.push({ object: 'orders', body: orderAt(index, count, productCount) })
  return records
}

/** For every eight customers of the order desk: one client and one item that it knows too, and one of each that only the warehouse has. */
export function warehouseSeed(count: number): SeedRecord[] {
  const records: SeedRecord[] = []
  for (let index = 0; index < Math.ceil(count / 8); index++) {
    const own = customerAt(index * 3 + 1)
    for (const { full_name, email, phone, city, credit_cents } of [
      customerAt(index * 3),
      { ...own, email: own.email.replace('example.com', 'storage.example') },
    ]) {
      const body = {
        displayName: full_name,
        mail: email,
        phoneNumber: phone,
        town: city,
        creditLimit: decimal(credit_cents),
      }
      records.push({ object: 'clients', body })
    }
    for (const { sku, title, price_cents, stock_on_hand } of [productAt(index * 4), storageItemAt(index)]) {
      const body = { sku, description: title, unitPrice: decimal(price_cents), stock: stock_on_hand }
      records.push({ object: 'items', body })
    }
  }
  return records
}

function customerAt(index: number): Customer {
  const first = at(firstNames, index)
  const last = at(lastNames, index)
  const { city, dial } = at(cities, index * 3)
  // The names repeat after the product of the lists' lengths; the number keeps every address its own.
  const round = Math.floor(index / (firstNames.length * lastNames.length))
  const address = `${plain(first)}.${plain(last)}${round > 0 ? round + 1 : ''}@example.com`
  return {
    full_name: `${first} ${last}`,
    // Typed by people: now and then in mixed case.
    email: index % 6 === 0 ? address : address.toLowerCase(),
    phone: index % 9 === 8 ? null : `${dial} ${5_550_100 + index}`,
    city,
    credit_cents: (index % 8) * 25_000,
  }
}

function productAt(index: number): Product {
  const kind = at(productKinds, index)
  const colour = at(colours, index)
  const series = 100 + Math.floor(index / (productKinds.length * colours.length))
  return {
    sku: `${kind.code}-${colour.code}-${series}`,
    title: `${kind.title}, ${colour.name}${series > 100 ? ` (series ${series})` : ''}`,
    price_cents: kind.priceCents + (index % colours.length) * 50,
    stock_on_hand: 12 + ((index * 37) % 140),
  }
}

function storageItemAt(index: number): Product {
  const kind = at(storageKinds, index)
  const size = 1 + Math.floor(index / storageKinds.length)
  return {
    sku: `WH-${kind.code}-${size}`,
    title: `${kind.title}, size ${size}`,
    price_cents: kind.priceCents + 10 * size,
    stock_on_hand: 200 + index * 15,
  }
}

function orderAt(index: number, customerCount: number, productCount: number): Record<string, unknown> {
  const lines = Array.from({ length: 1 + (index % 4) }, (_, line) => {
    const product = (index * 7 + line * 11) % productCount
    return {
      line_no: line + 1,
      product_id: product + 1,
      quantity: 1 + ((index + line) % 5),
      price_cents: productAt(product).price_cents,
    }
  })
  return {
    customer_id: 1001 + ((index * 5) % customerCount),
    placed_at: new Date(Date.UTC(2026, 0, 5, 8, 30) + index * 11 * 3_600_000).toISOString(),
    status: at(statuses, index),
    note: index % 3 === 0 ? at(notes, index / 3) : null,
    lines,
  }
}

function at<T>(list: readonly T[], index: number): T {
  return list[index % list.length]!
}

function plain(name: string): string {
  return name.normalize('NFD').replace(/\P{ASCII}/gu, '')
}

function decimal(cents: number): string {
  return (cents / 100).toFixed(2)
}

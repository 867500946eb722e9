/** What the bench's applications say to each other, and small things that its scripts share. */

/** As many as the 64 connections of the load have 100 each of their own, so that the order per customer is defined by its one sender. */
export const CUSTOMERS = 6_400

/** Fills a message up to about 1 KB, the size that the bench is stated for. */
const NOTES = 'x'.repeat(560)

/** The source's webhook: one customer as a CRM would send it. `changed_at` carries the sender's monotonic time and the revision, so that the target can tell how long it took. */
export function customerMessage(id: number, rev: number): string {
  return JSON.stringify({
    event: 'customer.updated',
    event_id: `${id}-${rev}`,
    customer_id: String(id),
    rev,
    first_name: 'Ada',
    last_name: `Lovelace ${rev}`,
    contact: { email: emailOf(id), phone: '+1-555-0100' },
    billing: { street: '12 Long Street', city: 'Springfield', zip: '00123', country: 'US' },
    balance: '12.50',
    changed_at: `${process.hrtime.bigint()}/${rev}`,
    notes: NOTES,
  })
}

export interface CustomerMessage {
  readonly customer_id: string
  readonly first_name: string
  readonly last_name: string
  readonly contact: { readonly email: string; readonly phone: string }
  readonly billing: { readonly street: string; readonly city: string; readonly zip: string }
  readonly balance: string
  readonly changed_at: string
}

/** The six mapped fields, as the target wants them. */
export const toClient = (m: CustomerMessage): Record<string, string | number> => ({
  name: `${m.first_name} ${m.last_name}`,
  email: m.contact.email,
  phone: m.contact.phone,
  address: `${m.billing.street}, ${m.billing.zip} ${m.billing.city}`,
  credit: Number(m.balance),
  updatedAt: m.changed_at,
})

const emailOf = (id: number): string => `c${id}@example.test`
/** The target knows the customer by the address, whatever id its record has. */
export const customerOfEmail = (email: string): number => Number(email.slice(1, email.indexOf('@')))

export function quantiles(values: readonly number[]): { p50: number; p99: number; max: number } {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (q: number): number => round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0)
  return { p50: at(0.5), p99: at(0.99), max: at(1) }
}

export const round = (n: number): number => Math.round(n * 100) / 100
export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
/** One JSON line on stdout: how every script of the bench reports. */
export const emit = (line: object): void => void process.stdout.write(JSON.stringify(line) + '\n')

import type { Capabilities } from '../../model/capabilities.ts'

/** Changes under way at once: a broker confirms many in one go. */
const CONCURRENCY = 16

/**
 * What can be said of an application that is reached by messages alone. Its records cannot be read, and nobody can refuse a write because of what stands there. What it tells is acknowledged after
 * it is journalled, so nothing is lost, and has a version, so that what comes twice or late is known. A published change carries its op id as message id, so it may be published again.
 */
export const brokerCapabilities = (consumes: boolean): Capabilities => ({
  feed: consumes ? 'F2' : 'none',
  token: consumes ? 'T2' : 'T0',
  condition: 'C0',
  create: 'K2',
  mark: 'M0',
  image: 'I2',
  read: 'R0',
  correlation: false,
  idempotency: 'all',
  reply: { token: false, image: false },
  batchMax: 1,
  concurrency: CONCURRENCY,
  atomicGroups: false,
  fenceMs: 60_000,
  ...(consumes ? {} : { lineage: true as const }),
})

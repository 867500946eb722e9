import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { AnyPolicy } from '../../config/entity.ts'
import type { FakeApp } from '../../engine/fake-app.ts'
import { latest, prefer } from '../../index.ts'
import { createBrokerConnector } from './connector.ts'
import { MemoryBroker } from './fixture-memory-broker.ts'
import { Ring, ringHub } from './fixture-ring.ts'

/** Three hubs in a ring, over a broker in this process that is late and brings some messages twice. */

const SIZE = 3

class MemoryRing extends Ring {
  readonly broker: MemoryBroker

  constructor(broker: MemoryBroker) {
    super()
    this.broker = broker
  }

  static async open(seed: number, conflicts: AnyPolicy): Promise<MemoryRing> {
    const broker = new MemoryBroker(chanceOf(seed))
    const ring = new MemoryRing(broker)
    const definition = ringHub({ conflicts })
    const log = { log: () => {} }
    for (let n = 0; n < SIZE; n++)
      await ring.add(definition, (app, clock) => {
        const made = definition.apps.get(app)
        if (made?.kind !== 'amqp') throw new Error(`${app} is not of the config`)
        const words = {
          eventPrefix: 'ce-',
          consumer: () => broker.consumer(`q${(n + SIZE - 1) % SIZE}`),
          publisher: () => broker.publisher(`q${n}`),
        }
        return createBrokerConnector(app, made.options.objects, 100_000, words, { clock, log })
      })
    return ring
  }

  async turn(): Promise<void> {
    this.broker.step()
    await new Promise((resolve) => setImmediate(resolve))
  }

  /** Until nothing moves any more; false when it never does. */
  async settle(publishedMax: number): Promise<boolean> {
    for (let quiet = 0; quiet < 20; ) {
      await this.turn()
      quiet = this.broker.isQuiet && this.isQuiet ? quiet + 1 : 0
      if (this.broker.published.length > publishedMax) return false
    }
    return true
  }
}

/** The same numbers for the same seed, from 0 to below 1. */
function chanceOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

interface Edit {
  readonly hub: number
  readonly field: 'city' | 'mood'
  readonly value: number
  /** How much may happen before the next one. */
  readonly turns: number
}

const edits = fc.array(
  fc.record({
    hub: fc.nat(SIZE - 1),
    field: fc.constantFrom('city' as const, 'mood' as const),
    value: fc.nat(3),
    turns: fc.nat(12),
  }),
  { minLength: 1, maxLength: 12 },
)

/** What users did, while messages were on their way; the last that was said of each field. */
async function play(ring: MemoryRing, said: readonly Edit[], textOf: (edit: Edit, n: number) => string) {
  ring.crms[0]?.create('persons', { name: 'Ada', city: 'none', mood: 'none' })
  expect(await ring.settle(100)).toBe(true)
  expect(new Set(ring.state())).toEqual(new Set(['Ada none none']))
  const last = { city: 'none', mood: 'none' }
  for (const [n, edit] of said.entries()) {
    const app = ring.crms[edit.hub] as FakeApp
    const [row] = app.list('persons')
    const value = textOf(edit, n)
    if (row === undefined || row[edit.field] === value) continue
    app.edit('persons', row.id, { [edit.field]: value })
    Object.assign(last, { [edit.field]: value })
    // The edit is known to its hub before the next one is made anywhere.
    while (!app.isQuiet) await ring.turn()
    for (let turn = 0; turn < edit.turns; turn++) await ring.turn()
  }
  expect(await ring.settle(100 + said.length * 20)).toBe(true)
  return last
}

const byTime = latest({ skewMs: 0 })

test('whoever edits what, three hubs in a ring come to rest, hold the same, and it is the last that anybody said', async () => {
  await fc.assert(
    fc.asyncProperty(edits, fc.nat(), async (said, seed) => {
      await using ring = await MemoryRing.open(seed, byTime)
      const last = await play(ring, said, (_, n) => `v${n}`)
      expect(ring.state()).toEqual(Array(SIZE).fill(`Ada ${last.city} ${last.mood}`))
    }),
    { numRuns: 40 },
  )
})

test('values that come and go again neither set a ring in motion for ever nor divide it', async () => {
  await fc.assert(
    fc.asyncProperty(edits, fc.nat(), async (said, seed) => {
      await using ring = await MemoryRing.open(seed, byTime)
      await play(ring, said, ({ value }) => `v${value}`)
      expect(new Set(ring.state()).size).toBe(1)
    }),
    { numRuns: 40 },
  )
})

test.each([
  [prefer('heard' as never, 'crm' as never), 'every hub lets itself be persuaded'],
  [prefer('crm' as never, 'heard' as never), 'no hub lets itself be persuaded'],
])('a ring comes to rest also where %s: %s', async (policy) => {
  await fc.assert(
    fc.asyncProperty(edits, fc.nat(), async (said, seed) => {
      await using ring = await MemoryRing.open(seed, policy)
      await play(ring, said, (_, n) => `v${n}`)
    }),
    { numRuns: 25 },
  )
})

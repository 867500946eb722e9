import { describe, expect, test } from 'vitest'
import { asEntityName, asFeedPosition } from '../model/ids.ts'
import type { Source } from '../ports/app.ts'
import { Backfill } from './backfill.ts'
import { type CompareState, Comparison } from './compare.ts'
import { bench, silently } from './fixture-contact.ts'
import { type RehearsedEntity, type RehearsedThing, rehearse } from './rehearse.ts'
import { type Difference, type VerifiedEntity, type VerifyOptions, verify } from './verify.ts'

const person = (name: string, credit: number) => ({
  full_name: name,
  email: `${name.toLowerCase()}@x.test`,
  credit_cents: credit,
})
const other = (name: string, credit: string) => ({ title: name, mail: `${name.toLowerCase()}@x.test`, credit })

async function rehearsed(options: Parameters<typeof rehearse>[0]) {
  const things: RehearsedThing[] = []
  const entities: Record<string, RehearsedEntity> = {}
  for await (const entity of rehearse({ ...options, onThing: (thing) => void things.push(thing) }))
    entities[entity.entity] = entity
  return { things, entities }
}

async function verified(options: VerifyOptions) {
  const differences: Difference[] = []
  const entities: Record<string, VerifiedEntity> = {}
  const given = {
    lookPausesMs: [0, 30, 60, 150, 400, 600],
    ...options,
    onDifference: (one: Difference) => void differences.push(one),
  }
  for await (const entity of verify(given)) entities[entity.entity] = entity
  return { differences, entities }
}

describe('rehearse', () => {
  test('says what is the same, what differs, what is only on one side and what is ambiguous, and writes nothing', async () => {
    const { left, right, options } = bench()
    for (let i = 0; i < 50; i++) {
      left.create('people', person(`P${i}`, i))
      right.create('persons', other(`P${i}`, (i / 100).toFixed(2)))
    }
    left.create('people', person('Ada', 100))
    right.create('persons', other('Ada', '2.00'))
    const alone = left.create('people', person('Bob', 7))
    right.create('persons', { ...other('Eve', '0.00'), title: 'Eve' })
    for (const twin of [1, 2]) left.create('people', { ...person('Twin', twin) })
    right.create('persons', other('Twin', '0.01'))
    const { entities, things } = await rehearsed(options)
    const { summary, writes, fields, exact, records } = entities.person as RehearsedEntity
    expect(records).toEqual({ left: 54, right: 53 })
    expect(summary).toMatchObject({ equal: 50, different: 1, doubled: 1, partial: { left: 1, right: 1 } })
    expect({ writes, fields, exact }).toEqual({
      writes: { left: { creates: 1, updates: 1 }, right: { creates: 1, updates: 0 } },
      fields: { credit: 1 },
      exact: true,
    })
    const different = things.find(({ kind }) => kind === 'different')
    // right is preferred, so left is brought to its value, and left's own is what loses.
    expect(different?.writes).toMatchObject([
      {
        app: 'left',
        kind: 'update',
        values: { credit: '2.00' },
        before: { credit: '1.00' },
        native: { credit_cents: 200 },
      },
    ])
    expect(different?.conflicts).toMatchObject([
      { path: 'credit', loserApp: 'left', loserValue: '1.00', winnerApp: 'right' },
    ])
    expect(things.find(({ records: ids }) => ids['left' as never]?.[0] === alone)?.writes).toMatchObject([
      { app: 'right', kind: 'create', native: { title: 'Bob', mail: 'bob@x.test', credit: '0.07' } },
    ])
    expect(things.find(({ kind }) => kind === 'ambiguous')?.code).toBe('resolve.ambiguous')
    expect(left.hubWrites + right.hubWrites).toBe(0)
  })

  test('what was rehearsed is what the hub then does', async () => {
    const { left, right, options, start } = bench()
    left.create('people', person('Ada', 100))
    right.create('persons', other('Ada', '2.00'))
    left.create('people', person('Bob', 7))
    right.create('persons', other('Eve', '0.30'))
    const { things } = await rehearsed(options)
    const planned = things.flatMap(({ writes }) => writes.map(({ app, kind, native }) => ({ app, kind, native })))
    await using hub = await start()
    await new Backfill({ ...options, engine: hub.engine }).run()
    await hub.settle()
    expect(left.hubWrites + right.hubWrites).toBe(planned.length)
    const held = (rows: readonly object[]) => rows.map((row) => expect.objectContaining(row))
    expect(left.list('people')).toEqual(
      expect.arrayContaining(held(planned.filter(({ app }) => app === 'left').map(({ native }) => native as object))),
    )
    expect(right.list('persons')).toEqual(
      expect.arrayContaining(held(planned.filter(({ app }) => app === 'right').map(({ native }) => native as object))),
    )
    expect((await rehearsed(options)).things).toEqual([])
  })

  test('references are compared by what they mean, and parts by their key', async () => {
    const { left, right, options } = bench()
    const [a, b] = [left.create('people', person('Ada', 1)), left.create('people', person('Bob', 1))]
    const [y, x] = [right.create('persons', other('Bob', '0.01')), right.create('persons', other('Ada', '0.01'))]
    const lines = [
      { n: 1, quantity: 2 },
      { n: 2, quantity: 3 },
    ]
    left.create('baskets', { no: 'B1', person: a, lines })
    right.create('carts', { no: 'B1', person: x, lines: [...lines].reverse() })
    left.create('baskets', { no: 'B2', person: b, lines })
    right.create('carts', { no: 'B2', person: x, lines })
    left.create('baskets', { no: 'B3', person: b, lines })
    right.create('carts', { no: 'B3', person: y, lines: [{ n: 1, quantity: 9 }, lines[1]] })
    const { entities, things } = await rehearsed(options)
    expect(entities.person?.summary).toMatchObject({ equal: 2, different: 0 })
    expect(entities.basket?.summary).toMatchObject({ equal: 1, different: 2 })
    expect(things.map(({ conflicts }) => conflicts.map(({ path }) => path)).sort()).toEqual([
      ['lines[1].qty'],
      ['owner'],
    ])
  })

  test('a value that does not fit is told with its record, and the rest is compared all the same', async () => {
    const { left, right, options } = bench()
    left.create('people', person('Ada', 1))
    right.create('persons', other('Ada', '0.01'))
    const broken = right.create('persons', other('Bob', 'a lot'))
    const { entities, things } = await rehearsed(options)
    expect(entities.person?.summary.equal).toBe(1)
    expect(entities.person?.unreadable).toMatchObject([{ app: 'right', nativeId: broken }])
    expect(things).toMatchObject([{ kind: 'unreadable', writes: [] }])
  })

  test('an application that cannot list its records is named, with what to do', async () => {
    const { options, connectors } = bench()
    const [app, connector] = [...connectors][0] as unknown as [never, { source: Source }]
    const { scan: _, ...without } = connector.source
    const broken = new Map(connectors).set(app, { ...connector, source: without } as never)
    await expect(rehearsed({ ...options, connectors: broken })).rejects.toMatchObject({ code: 'source.not-listable' })
  })

  test('a run that was cut off goes on from its checkpoint and comes to the same result', async () => {
    const { left, right, options, connectors } = bench()
    for (let i = 0; i < 4_500; i++) {
      left.create('people', person(`P${i}`, i))
      right.create('persons', other(`P${i}`, ((i % 1_000 === 0 ? i + 1 : i) / 100).toFixed(2)))
    }
    const entities = [asEntityName('person')]
    const abort = new AbortController()
    let state: CompareState | undefined
    let pages = 0
    const first = new Comparison({
      ...options,
      connectors,
      entities,
      signal: abort.signal,
      onProgress: () => {
        if (++pages !== 3) return
        state = first.state()
        abort.abort()
      },
    })
    await expect(
      (async () => {
        for await (const _ of first.run());
      })(),
    ).rejects.toThrow()
    expect(state?.current?.readings.map(([, { page }]) => page).reduce((a, b) => a + b)).toBe(3)
    // `person` is referred to by baskets, so it is read again for its ids; a comparison of it alone need not.
    const second = new Comparison({ ...options, entities, resume: state as CompareState })
    const whole = new Comparison({ ...options, entities })
    const results = await Promise.all([second, whole].map(async (one) => (await one.run().next()).value))
    expect(results[0]).toEqual(results[1])
    expect(results[0]).toMatchObject({ summary: { equal: 4_495, different: 5 } })
    await expect(
      async () => new Comparison({ ...options, resume: { mappingVersion: -1, done: [], current: null } }),
    ).rejects.toMatchObject({ code: 'compare.stale' })
  })
})

describe('verify', () => {
  test('applications in step are equal, renditions too', async () => {
    const { left, options, start } = bench()
    await using hub = await start()
    for (let i = 0; i < 30; i++) left.create('people', person(`P${i}`, i))
    left.create('people', { ...person('Ada', 1), full_name: '  Ada ' })
    await hub.settle()
    const { entities, differences } = await verified(options)
    expect(differences).toEqual([])
    expect(entities.person).toMatchObject({ summary: { equal: 30, different: 1 }, pending: 0 })
  })

  test('an edit that was never told of, a record that vanished and one that nobody knows are found, and repaired by ordinary deliveries', async () => {
    const { left, right, options, start } = bench()
    await using hub = await start()
    for (let i = 0; i < 10; i++) left.create('people', person(`P${i}`, i))
    await hub.settle()
    const writesBefore = left.hubWrites + right.hubWrites
    const edited = right.list('persons')[3]?.id as string
    const [unknown] = await Promise.all([
      new Promise<string>((resolve) => {
        silently(right, () => {
          right.edit('persons', edited, { credit: '99.00' })
          resolve(right.create('persons', other('Ghost', '1.00')))
        })
      }),
    ])
    silently(left, () => left.remove('people', 'L6'))
    await new Promise((resolve) => setTimeout(resolve, 20))
    const found = await verified(options)
    expect(found.differences.map(({ kind, app, nativeId }) => [kind, app, nativeId]).sort()).toEqual([
      ['missing', 'left', 'L6'],
      ['unlinked', 'right', unknown],
      ['value', 'right', edited],
    ])
    expect(found.differences.find(({ kind }) => kind === 'value')?.fields).toEqual([
      { path: 'credit', found: '99.00', agreed: '0.03' },
    ])
    expect(left.hubWrites + right.hubWrites).toBe(writesBefore)
    const repair = async ({ key, app, nativeId, entity }: Difference): Promise<void> => {
      const object = options.model.entities.get(entity)?.bindings.get(app)?.object as never
      if (key !== null) await hub.engine.operate({ action: 'reread', key, app })
      else await hub.engine.accept(app, [{ app, object, nativeId: nativeId as never, kind: 'hint' }])
    }
    const { entities } = await verified({ ...options, repair })
    expect(entities.person).toMatchObject({ differences: [], repaired: 3 })
    await hub.settle()
    // One edit, one create and one delete, each carried to the other side once.
    expect(left.hubWrites + right.hubWrites).toBe(writesBefore + 3)
    expect((await verified(options)).differences).toEqual([])
  })

  test('a change under way is not taken for a difference', async () => {
    const { left, right, options, start } = bench()
    await using hub = await start()
    for (let i = 0; i < 5; i++) left.create('people', person(`P${i}`, i))
    await hub.settle()
    right.isDown = true
    left.edit('people', 'L1', { credit_cents: 5_000 })
    setTimeout(() => (right.isDown = false), 400)
    const { entities, differences } = await verified(options)
    expect(differences).toEqual([])
    expect(entities.person).toMatchObject({ pending: 0, inFlight: 1 })
  })

  test('a record that is set aside is told with its reason', async () => {
    const { left, right, options, start } = bench()
    await using hub = await start()
    left.create('people', person('Ada', 1))
    await hub.settle()
    const id = right.list('persons')[0]?.id as string
    right.edit('persons', id, { credit: 'a lot' })
    await hub.settle()
    const { differences } = await verified(options)
    expect(differences).toMatchObject([{ kind: 'unreadable', app: 'right', nativeId: id }])
  })

  test('reading is paced', async () => {
    const { left, options } = bench()
    for (let i = 0; i < 10; i++) left.create('people', person(`P${i}`, i))
    const waits: number[] = []
    let nowMs = 0
    const clock = {
      ...options.clock,
      monotonicMs: () => nowMs,
      timer: (delayMs: number, callback: () => void) => {
        waits.push(delayMs)
        nowMs += delayMs
        return options.clock.timer(0, callback)
      },
    }
    for await (const _ of new Comparison({ ...options, clock, recordsPerSecond: 5 }).run());
    expect(Math.round(waits.reduce((sum, wait) => sum + wait, 0))).toBe(2_000)
  })
})

test('a page position is plain text that an application chose', async () => {
  const { left, connectors } = bench()
  left.create('people', person('Ada', 1))
  const { source } = [...connectors.values()][0] as { source: Source }
  expect(await source.scan?.('people' as never, asFeedPosition('L1'), 5, new AbortController().signal)).toEqual({
    records: [],
    position: null,
  })
})

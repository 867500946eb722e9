import { afterEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { http } from '../connectors/http/config.ts'
import { decimal, defineHub, entity, key, sync } from '../index.ts'
import { systemClock, systemRandom } from '../lib/system-clock.ts'
import { asAppId } from '../model/ids.ts'
import type { RecordState } from '../model/record.ts'
import { MemoryJournal, MemoryStore } from '../stores/memory/index.ts'
import { Engine } from './engine.ts'
import { FakeApp } from './fake-app.ts'
import type { NearMiss } from './findings.ts'

/** What guards applications from each other, through the whole engine: brakes, the oscillation brake, near misses, clocks. */

const left = http({ baseUrl: 'http://left.test' })
const right = http({ baseUrl: 'http://right.test' })
const thing = entity('thing', { schema: z.object({ code: z.string(), size: decimal(3) }), match: key('code') })
const Row = z.object({ id: z.string(), code: z.string(), size: decimal(3), rev: z.int(), ext: z.string().nullable() })
const binding = {
  id: 'id',
  version: 'rev',
  externalId: 'ext',
  conditional: true,
  idempotency: 'all',
  fields: { code: 'code', size: 'size' },
} as const
const { model } = defineHub({
  apps: { left, right },
  sync: [sync(thing, { left: left.resource('/a', Row, binding), right: right.resource('/b', Row, binding) })],
})

const running: Engine[] = []
afterEach(async () => {
  for (const engine of running.splice(0)) await engine.stop()
})

async function pair(options: { readonly trim?: boolean } = {}) {
  const store = new MemoryStore({ instanceId: 'test' })
  const journal = new MemoryJournal()
  const said: string[] = []
  const apps = { left: new FakeApp('left', 'L'), right: new FakeApp('right', 'R', options) }
  const start = async (): Promise<Engine> => {
    const engine = new Engine({
      model,
      connectors: new Map(Object.values(apps).map((app) => [asAppId(app.name), app.connector(model)])),
      store,
      journal,
      clock: systemClock,
      random: systemRandom,
      log: { log: (_, message) => void said.push(message) },
    })
    running.push(engine)
    await engine.start()
    for (const app of Object.values(apps)) app.notify = (changes) => engine.accept(asAppId(app.name), changes)
    return engine
  }
  const settle = async (engine: Engine): Promise<void> => {
    for (let quiet = 0; quiet < 3; ) {
      await new Promise((resolve) => setImmediate(resolve))
      quiet = engine.isIdle() && Object.values(apps).every((app) => app.isQuiet) ? quiet + 1 : 0
    }
  }
  return { ...apps, store, said, start, settle, engine: await start() }
}

describe('the mass-delete brake', () => {
  test('holds after twenty, over a restart too; once released all of it passes', async () => {
    const { left, right, store, said, start, settle, engine } = await pair()
    const ids = Array.from({ length: 60 }, (_, i) => left.create('a', { code: `c${i}`, size: '1.000' }))
    await settle(engine)
    expect(right.list('b').length).toBe(60)
    for (const id of ids) left.remove('a', id)
    await settle(engine)
    expect(right.list('b').length).toBe(40)
    expect(engine.brakes.tripped()).toMatchObject([{ id: 'left>right:deletes', held: 40, limit: 20 }])
    expect((await store.counts()).openLanes).toEqual({ waiting: 40 })
    expect(said.join()).toContain('latchwork brake release left>right:deletes')

    // Everything else goes on.
    left.create('a', { code: 'new', size: '2.000' })
    await settle(engine)
    expect(right.list('b').length).toBe(41)

    await engine.stop()
    const again = await start()
    await settle(again)
    expect(right.list('b').length).toBe(41)
    expect(again.brakes.tripped()).toMatchObject([{ held: 40 }])
    await again.operate({ action: 'release-brake', brake: 'left>right:deletes' })
    await settle(again)
    expect(right.list('b')).toMatchObject([{ code: 'new' }])
    expect(again.brakes.tripped()).toEqual([])
    expect((await store.counts()).openLanes).toEqual({})
  })
})

describe('the oscillation brake', () => {
  test('two robots that put back their own value are not answered for ever; both values are shown', async () => {
    const { left, right, store, settle, engine } = await pair()
    const id = left.create('a', { code: 'x', size: '1.000' })
    await settle(engine)
    const other = right.list('b')[0]?.id as string
    /** Another tool in each application, which knows better. */
    const insist = (app: FakeApp, object: string, record: string, size: string): void => {
      const { notify } = app
      app.notify = async (changes) => {
        await notify(changes)
        if (app.get(object, record)?.size !== size) setImmediate(() => app.edit(object, record, { size }))
      }
    }
    insist(left, 'a', id, '1.000')
    insist(right, 'b', other, '2.000')
    right.edit('b', other, { size: '2.000' })
    await settle(engine)
    expect(left.hubWrites + right.hubWrites).toBeLessThanOrEqual(8)
    const [state] = [...store.records()] as [RecordState]
    expect(state.parkedPaths.size).toMatchObject({ code: 'merge.not-converging' })
    expect([left.get('a', id)?.size, right.get('b', other)?.size]).toEqual(['1.000', '2.000'])
    expect((await store.counts()).openLanes).toEqual({ parked: 1 })
  })
})

describe('near misses', () => {
  test('a form of our own value is diagnosed once per field, and kept over a restart', async () => {
    const { left, store, start, settle, engine } = await pair({ trim: true })
    for (let i = 0; i < 5; i++) left.create('a', { code: ` c${i} `, size: '1.000' })
    await settle(engine)
    const notes = await store.notes('near-miss', 10)
    expect(notes.map(({ body }) => body as unknown as NearMiss)).toMatchObject([
      { app: 'right', entity: 'thing', field: 'code', kind: 'trims', text: 'right trims the space around it' },
    ])
    await engine.stop()
    const again = await start()
    left.create('a', { code: ' more ', size: '1.000' })
    await settle(again)
    expect((await store.notes('near-miss', 10)).length).toBe(1)
  })
})

describe('clocks', () => {
  test('an application that is ahead of us is named once, not at every change', async () => {
    const { said, store, settle, engine } = await pair()
    const inAnHour = systemClock.nowMs() + 3_600_000
    for (let i = 0; i < 3; i++) {
      await engine.accept(asAppId('left'), [
        {
          app: asAppId('left'),
          object: 'a' as never,
          nativeId: `n${i}` as never,
          kind: 'image',
          record: { id: `n${i}`, code: `c${i}`, size: '1.000', rev: 1, ext: null },
          token: '1' as never,
          sourceTimeMs: inAnHour,
        },
      ])
    }
    await settle(engine)
    expect(said.filter((line) => line.includes('the clock of left')).length).toBe(2)
    expect(await store.notes('clock', 10)).toMatchObject([{ id: 'left', body: { count: 2 } }])
  })
})

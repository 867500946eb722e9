import { describe, expect, test } from 'vitest'
import { BRAKES_DEFAULT } from '../model/entity.ts'
import { asAppId, asCanonicalKey } from '../model/ids.ts'
import type { Direction } from './brake-state.ts'
import { Brakes } from './brakes.ts'

const deletes: Direction = { from: asAppId('a'), to: asAppId('b'), kind: 'deletes' }
const writes: Direction = { ...deletes, kind: 'writes' }
const key = (n: number) => asCanonicalKey(`k${n}`)
const MINUTE = 60_000

function passing(brakes: Brakes, direction: Direction, count: number, atMs: number, everyMs = 0): number {
  let passed = 0
  for (let i = 0; i < count; i++) if (brakes.pass(direction, key(i), atMs + i * everyMs)) passed++
  return passed
}

describe('the mass-delete brake', () => {
  test('twenty may go, the rest is held and listed', () => {
    const brakes = new Brakes(BRAKES_DEFAULT)
    expect(passing(brakes, deletes, 50, 0)).toBe(20)
    expect(brakes.tripped()).toMatchObject([{ id: 'a>b:deletes', count: 20, limit: 20, held: 30, state: 'tripped' }])
    expect(brakes.takeChanged()).toMatchObject([{ kind: 'brake', id: 'a>b:deletes', body: { state: 'tripped' } }])
  })

  test('of a large set one percent may go', () => {
    const brakes = new Brakes(BRAKES_DEFAULT)
    brakes.learnRecords(100_000, 0)
    expect(passing(brakes, deletes, 1_500, 0)).toBe(1_000)
  })

  test('what goes slowly is no mass delete', () => {
    const brakes = new Brakes(BRAKES_DEFAULT)
    expect(passing(brakes, deletes, 200, 0, MINUTE)).toBe(200)
  })

  test('directions count apart', () => {
    const brakes = new Brakes(BRAKES_DEFAULT)
    passing(brakes, deletes, 50, 0)
    expect(passing(brakes, { ...deletes, to: asAppId('c') }, 20, 0)).toBe(20)
    expect(passing(brakes, writes, 500, 0)).toBe(500)
  })

  test('a restart does not release it', () => {
    const brakes = new Brakes(BRAKES_DEFAULT)
    passing(brakes, deletes, 21, 0)
    const after = new Brakes(BRAKES_DEFAULT)
    after.restore(brakes.takeChanged())
    expect(after.pass(deletes, key(99), 1_000_000_000)).toBe(false)
  })

  test('released, all that it held passes, and it can trip again later', () => {
    const brakes = new Brakes(BRAKES_DEFAULT)
    passing(brakes, deletes, 500, 0)
    expect(brakes.release('nothing', 0)).toBeUndefined()
    const held = brakes.release('a>b:deletes', MINUTE)
    expect(held?.length).toBe(480)
    expect(held?.[0]).toEqual(['b', 'k20'])
    expect(passing(brakes, deletes, 480, MINUTE)).toBe(480)
    expect(brakes.tripped()).toEqual([])
    expect(passing(brakes, deletes, 50, 30 * MINUTE)).toBe(20)
    expect(brakes.tripped().length).toBe(1)
  })
})

describe('the brake on writes', () => {
  test('trips where the config gives a number', () => {
    const brakes = new Brakes({ deletes: null, writesPerMinute: 100, firstContactCreates: null })
    expect(passing(brakes, writes, 300, 0)).toBe(100)
    expect(passing(brakes, deletes, 300, 0)).toBe(300)
    expect(brakes.tripped()).toMatchObject([{ kind: 'writes', limit: 100, withinMs: MINUTE }])
  })

  test('lets an even flow below it pass', () => {
    const brakes = new Brakes({ deletes: null, writesPerMinute: 100, firstContactCreates: null })
    expect(passing(brakes, writes, 1_000, 0, 700)).toBe(1_000)
  })
})

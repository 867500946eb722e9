import { describe, expect, test } from 'vitest'
import { SyncError } from '../errors/index.ts'
import type { EntityModel, Policy } from '../model/entity.ts'
import type { Value } from '../model/value.ts'
import { addsUp, type Conflicting, decideConflict, isSameSet } from './conflict.ts'
import { crm, entityOf, erp } from './fake-record.ts'

/** One conflict, and what its policy makes of it. */
const entity = entityOf()
const refusing = (...names: string[]): EntityModel => {
  const validate = (): never => {
    throw new SyncError('config.value-invalid', 'too low')
  }
  const fields = Object.fromEntries(names.map((name) => [name, { ...entity.fields[name]!, validate }]))
  return { ...entity, fields: { ...entity.fields, ...fields } }
}
const decide = (policy: Policy, current: Value, incoming: Value, more: Partial<Conflicting> = {}) =>
  decideConflict({
    entity,
    path: 'phone',
    policy,
    base: undefined,
    incoming: { app: crm, timeMs: 2000, value: incoming },
    current: { app: erp, timeMs: 1000, value: current },
    inDoubt: false,
    ...more,
  })
const counter: Policy = { kind: 'counter' }
const addRemove: Policy = { kind: 'addRemove' }
const mergeTo = (value: unknown): Policy => ({ kind: 'merge', merge: () => value as Value })

describe('what is merged', () => {
  test('names the policy that did it', () => {
    expect(decide(counter, 7, 12, { base: 10 })).toMatchObject({ stands: 'merged', value: 9, by: 'counter' })
    expect(decide(addRemove, ['a'], ['b'])).toMatchObject({ stands: 'merged', value: ['a', 'b'], by: 'addRemove' })
    expect(decide(mergeTo('x'), 'l', 'r')).toMatchObject({ stands: 'merged', value: 'x', by: 'merge' })
  })

  test('goes by time where one of the two is nothing that could be merged', () => {
    expect(decide(addRemove, 'text', ['b'])).toEqual({ stands: 'incoming', by: 'addRemove' })
    expect(decide(addRemove, ['a'], 'text')).toEqual({ stands: 'incoming', by: 'addRemove' })
    expect(decide(counter, 'x', 12, { base: 10 })).toEqual({ stands: 'incoming', by: 'counter' })
  })

  test('must fit the schema of its field, in an element too; a reference is none that the schema knows', () => {
    expect(decide(mergeTo('x'), 'l', 'r', { entity: refusing('phone') })).toMatchObject({ code: 'merge.value-invalid' })
    const [owner, elements] = [refusing('owner'), entityOf().parts.lines!]
    expect(decide(mergeTo('a1'), 'a2', 'a3', { entity: owner, path: 'owner' })).toMatchObject({ value: 'a1' })
    const strict = { ...elements.fields.qty!, validate: refusing('qty').fields.qty!.validate }
    const parts = { lines: { ...elements, fields: { ...elements.fields, qty: strict } } }
    const inElement = { entity: { ...entity, parts }, path: 'lines[1].qty' }
    expect(decide(counter, 1, 2, { ...inElement, base: 0 })).toMatchObject({ code: 'merge.value-invalid' })
    expect(decide(mergeTo(true), false, true, { path: 'lines[1]' })).toMatchObject({ stands: 'merged', value: true })
  })

  test('is shown with both sides where it does not fit, cut off where it is long', () => {
    const long = 'x'.repeat(100)
    const decision = decide(mergeTo(undefined), 12n, long, { entity: refusing('phone') })
    expect(decision).toMatchObject({
      stands: 'both',
      message: `phone: merge of 12 (erp) and "${'x'.repeat(59)} (crm) gives undefined, which does not fit: too low`,
    })
  })

  test('is set aside where its function throws, whatever it throws', () => {
    const throwing = (thrown: unknown): Policy => ({
      kind: 'merge',
      merge: () => {
        throw thrown
      },
    })
    for (const thrown of ['boom', new TypeError('boom')])
      expect(decide(throwing(thrown), 'l', 'r')).toEqual({
        stands: 'both',
        code: 'merge.function-failed',
        message: 'phone: its merge function threw: boom',
      })
  })
})

test('two equal numbers are two changes only of a counter, since a base that both have left', () => {
  const latest: Policy = { kind: 'latest', skewMs: 0 }
  expect(addsUp(counter, 5, 4, 4)).toBe(true)
  expect(addsUp(latest, 5, 4, 4)).toBe(false)
  expect(addsUp(counter, undefined, 4, 4)).toBe(false)
  expect(addsUp(counter, 4, 4, 4)).toBe(false)
  expect(addsUp(counter, 'many', 'some', 'some')).toBe(false)
})

test('two lists are the same set only where sets are merged, and both are lists', () => {
  expect(isSameSet(addRemove, ['a', 'b'], ['b', 'a'])).toBe(true)
  expect(isSameSet({ kind: 'latest', skewMs: 0 }, ['a', 'b'], ['b', 'a'])).toBe(false)
  expect([isSameSet(addRemove, ['a'], ['a', 'b']), isSameSet(addRemove, ['a', 'b'], ['a'])]).toEqual([false, false])
  expect([
    isSameSet(addRemove, 'a', ['a']),
    isSameSet(addRemove, ['a'], 'a'),
    isSameSet(addRemove, [], undefined),
  ]).toEqual([false, false, false])
})

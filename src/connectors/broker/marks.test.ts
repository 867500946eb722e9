import { expect, test } from 'vitest'
import { asObjectId, asOpId } from '../../model/ids.ts'
import type { WriteOp } from '../../ports/app.ts'
import { lineageIn, marksOf } from './marks.ts'

const op = (more: Partial<WriteOp>): WriteOp => ({
  op: asOpId('hub-b.1.key.bus.4'),
  object: asObjectId('person'),
  kind: 'update',
  nativeId: null,
  patch: {},
  full: {},
  baseToken: null,
  baseValues: {},
  correlationId: 'key' as WriteOp['correlationId'],
  resend: false,
  ...more,
})
const city = { root: 'hub-a:3', via: ['hub-a', 'hub-b'], atMs: 5, hops: 0 }
const größe = { root: 'hub-b:9', via: ['hub-b'], atMs: 6, hops: 1 }

test('a message says which write it is, which hubs it went through, and where its values come from, in ASCII', () => {
  const marks = marksOf(op({ lineage: { city, größe } }))
  expect([marks['latchwork-op'], marks['latchwork-via']]).toEqual(['hub-b.1.key.bus.4', 'hub-a,hub-b'])
  expect(marks['latchwork-lineage']).toMatch(/^[ -~]+$/)
  expect(lineageIn(marks)).toEqual({ city, größe })
  expect(marksOf(op({}))).toEqual({ 'latchwork-op': 'hub-b.1.key.bus.4', 'latchwork-via': 'hub-b' })
})

test('a message without it, or with something else in its place, is one like any other', () => {
  for (const text of [undefined, '', '{', '7', 'null', '{"city":{"root":1}}'])
    expect(lineageIn(text === undefined ? {} : { 'latchwork-lineage': text })).toBe(null)
})

import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { HeadCell, Lane, RecordState } from '../model/record.ts'
import type { Value } from '../model/value.ts'
import { sampleLane, sampleRecord } from '../testing/suites/samples.ts'
import { decodeRecord, encodeRecordBody } from './record-codec.ts'

const roundTrip = (state: RecordState): RecordState => decodeRecord(state, encodeRecordBody(state))

const text = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.constantFrom('$int64', '7', 'lines[3].qty', ''))
const safe = fc.maxSafeInteger()
const value: fc.Arbitrary<Value> = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 2 },
    fc.constantFrom(null, true, false, 0, 5, 5n, ''),
    safe,
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    text,
    fc.array(tie('value'), { maxLength: 3 }),
  ),
})).value
/** Few names, so that head, sent and image overlap; `__proto__` cannot be a configured name. */
const path = fc
  .oneof(fc.constantFrom('a', 'b', '7', '1', 'lines[3].qty', 'valueOf', 'constructor'), text)
  .filter((name) => name !== '__proto__')
const fields = fc.dictionary(path, value, { maxKeys: 6, noNullPrototype: true })
const origin = fc.record({ seq: safe, app: text, timeMs: safe, root: safe, hops: fc.nat() })
const op = fc.oneof(
  text,
  fc.nat().map((n) => `h1.1.key.orders.${n}`),
  fc.constantFrom('h1.1.key.orders.007', 'h1.1.key.orders.'),
)
const token = fc.option(text)

const intent = fc.record({
  op,
  epoch: safe,
  kind: fc.constantFrom('create', 'update', 'delete'),
  state: fc.constantFrom('open', 'unknown', 'readback'),
  patch: fields,
  native: fields,
  baseImage: fields,
  baseToken: token,
  atMs: safe,
  tries: fc.nat(),
  notBeforeMs: safe,
  root: safe,
  hops: fc.nat(),
  mappingVersion: fc.nat(),
  headSeq: safe,
})
const own = fc.record({
  op,
  token,
  paths: fc.array(path, { maxLength: 3 }),
  renditionSeen: fc.boolean(),
  atMs: safe,
  root: safe,
  hops: fc.nat(),
})
const lane = fc.record({
  object: text,
  nativeId: token,
  incarnation: fc.nat(2),
  exists: fc.constantFrom(true, false, null),
  image: fields,
  token,
  basis: safe,
  byChance: fc.array(path, { maxLength: 2 }),
  unfolded: fc.array(path, { maxLength: 2 }),
  intent: fc.option(intent, { freq: 2 }),
  overlays: fc.array(fc.record({ op, token, patch: fields, native: fields }), { maxLength: 2 }),
  reading: fc.option(
    fc.record({ why: fc.constantFrom('hint', 'unknown'), afterSeq: safe, notBeforeMs: safe, tries: fc.nat() }),
  ),
  park: fc.option(fc.record({ code: text, message: text, atMs: safe, headSeq: safe })),
  retry: fc.option(fc.record({ tries: fc.nat(), notBeforeMs: safe, code: text, message: text })),
  waitsFor: fc.option(fc.record({ entity: text, key: text, sinceMs: safe })),
  detached: fc.boolean(),
  madeAtMs: fc.option(safe),
  withdrawn: fc.boolean(),
  own: fc.array(own, { maxLength: 4 }),
  nextOp: fc.nat(3),
  readSeq: fc.nat(3),
  knownAtMs: safe,
  swings: fc.option(fc.dictionary(path, fc.array(fc.record({ value: text, atMs: safe }), { maxLength: 2 }))),
})

/** States as the engine makes them: origins shared between cells, a lane's `sent` near the head. */
const state = fc
  .record({
    head: fields,
    origins: fc.array(origin, { minLength: 1, maxLength: 3 }),
    lanes: fc.dictionary(path, fc.tuple(lane, fields, fc.boolean()), { maxKeys: 3, noNullPrototype: true }),
    lacks: path,
    rest: fc.record({
      key: text,
      entity: text,
      shard: fc.nat(),
      rev: safe,
      deleted: fc.boolean(),
      mappingVersion: fc.nat(),
      headSeq: safe,
      matchKey: token,
      parkedPaths: fc.dictionary(path, fc.record({ code: text, message: text }), { maxKeys: 2, noNullPrototype: true }),
    }),
  })
  .map(({ head, origins, lanes, lacks, rest }) => {
    const cells = Object.entries(head).map(([at, x], i) => [at, { value: x, origin: origins[i % origins.length] }])
    const sentOf = (differs: object, isNear: boolean) => {
      const sent: Record<string, unknown> = isNear ? { ...head, ...differs } : { ...differs }
      delete sent[lacks]
      return sent
    }
    const built = Object.entries(lanes).map(([app, [rest, differs, isNear]]) => {
      return [app, { app, sent: sentOf(differs, isNear), ...rest }]
    })
    return { ...rest, head: Object.fromEntries(cells), lanes: Object.fromEntries(built) } as unknown as RecordState
  })

describe('the stored body of a record', () => {
  test('gives back exactly the record that was stored', () => {
    fc.assert(
      fc.property(state, (original) => {
        const decoded = roundTrip(original)
        // The runner's own equality takes a field named `constructor` for the type.
        expect(isDeepStrictEqual(decoded, withoutMinusZero(original))).toBe(true)
      }),
      { numRuns: 2_000 },
    )
  })

  test('keeps a number and a bigint of the same size apart, in head and lane', () => {
    const record = sampleRecord('k1')
    const origin = (record.head.name as HeadCell).origin
    const state = {
      ...record,
      head: { a: { value: 5, origin }, b: { value: [5n], origin } },
      lanes: { orders: sampleLane('orders' as never, { sent: { a: 5n, b: [5] } }) },
    }
    expect(roundTrip(state)).toStrictEqual(state)
  })

  test('a lane that did not change is stored against the head of the day', () => {
    const before = sampleRecord('k1')
    const { origin } = before.head.name as HeadCell
    const after = { ...before, head: { ...before.head, name: { value: 'Grace', origin } } }
    for (const state of [before, after, before]) expect(roundTrip(state)).toStrictEqual(state)
  })

  test('stores each origin once, and nothing for a lane in step', () => {
    const record = sampleRecord('k1')
    const sent = Object.fromEntries(Object.entries(record.head).map(([at, cell]) => [at, cell.value]))
    const inStep = { ...record, lanes: { orders: sampleLane('orders' as never, { sent }) } }
    const body = JSON.parse(encodeRecordBody(inStep)) as { o: unknown[]; l: { orders: Partial<Lane> } }
    expect(body.o).toHaveLength(1)
    expect(Object.keys(body.l.orders).sort()).toEqual(['c', 'g', 'n', 'o', 't'])
  })

  test('decoded cells of one change share one origin, and lanes in step share the head', () => {
    const record = sampleRecord('k1')
    const sent = { name: 'Ada', credit: 10n }
    const lanes = { a: sampleLane('a' as never, { sent }), b: sampleLane('b' as never, { sent }) }
    const decoded = roundTrip({ ...record, lanes } as never)
    expect(decoded.head.name?.origin).toBe(decoded.head.credit?.origin)
    expect(decoded.lanes['a' as never]?.sent).toBe(decoded.lanes['b' as never]?.sent)
  })
})

/** -0 equals 0 as a value, and JSON has only 0. */
function withoutMinusZero<T>(data: T): T {
  if (Object.is(data, -0)) return 0 as T
  if (Array.isArray(data)) return data.map(withoutMinusZero) as T
  if (typeof data !== 'object' || data === null) return data
  return Object.fromEntries(Object.entries(data).map(([name, member]) => [name, withoutMinusZero(member)])) as T
}

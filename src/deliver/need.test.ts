import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SyncError } from '../errors/index.ts'
import { changedValues } from '../merge/decode.ts'
import {
  bindingOf,
  canonicals,
  crm,
  entityOf,
  frozen,
  headOf,
  imageOf,
  laneOf,
  origin,
  recordOf,
  references,
  SEED,
  states,
} from '../merge/fake-record.ts'
import { asCanonicalKey, asJournalPosition } from '../model/ids.ts'
import { encodePatch, needOf } from './need.ts'
import { applySent } from './overlay.ts'

fc.configureGlobal({ seed: SEED })

const binding = bindingOf()
const encode = (patch: Parameters<typeof encodePatch>[1], by = binding) =>
  encodePatch(by, frozen(patch), references.nativeOf)

describe('the need of a lane', () => {
  test('is empty right after it was written', () => {
    fc.assert(
      fc.property(states, fc.boolean(), ({ record, lane }, whole) => {
        const need = needOf(binding, frozen(record), frozen(lane), whole)
        const sent = applySent(whole ? {} : lane.sent, frozen(need?.patch ?? {}))
        expect(needOf(binding, record, { ...lane, sent }, false)).toBeNull()
      }),
      { numRuns: 400 },
    )
  })

  test('is empty where the application holds the head, and is the mapped head where it holds nothing', () => {
    fc.assert(
      fc.property(canonicals, (head) => {
        const record = recordOf({ head: headOf(head) })
        expect(needOf(binding, record, laneOf({ sent: head }), false)).toBeNull()
        const { note, fax, ...mapped } = head
        const there = Object.fromEntries(
          Object.entries(mapped).filter(([path, value]) => !(path.endsWith(']') && value === false)),
        )
        expect(needOf(binding, record, laneOf({ sent: head }), true)?.patch ?? {}).toEqual(there)
      }),
    )
  })

  test('looks at states only: the same head and the same lane have the same need, however they came about', () => {
    fc.assert(
      fc.property(states, ({ record, lane }) => {
        const need = needOf(binding, record, lane, false)
        const other = { ...lane, intent: null, retry: null, own: [], token: null, nextOp: 99 }
        expect(needOf(binding, { ...record, rev: 7, headSeq: asJournalPosition(99) }, other, false)).toEqual(need)
      }),
    )
  })

  test('never names what the application only tells, or what is not mapped there', () => {
    const record = recordOf({ head: headOf({ note: 'n', fax: 'f' }) })
    expect(needOf(binding, record, laneOf(), true)).toBeNull()
  })

  test('never names what an application could be told, but only tells, nor what it has no form for', () => {
    const [, email, phone] = binding.fields
    const [lines] = binding.parts
    const [qty, text] = lines!.fields
    const told = bindingOf(crm, {
      fields: [
        { ...email!, direction: 'in' },
        { ...phone!, encode: null },
      ],
      parts: [
        {
          ...lines!,
          fields: [
            { ...qty!, direction: 'in' },
            { ...text!, encode: null },
          ],
        },
      ],
    })
    const head = { email: 'e', phone: 'p', 'lines[1]': true, 'lines[1].qty': 1, 'lines[1].text': 't' }
    expect(needOf(told, recordOf({ head: headOf(head) }), laneOf(), true)?.patch).toEqual({ 'lines[1]': true })
    expect(encode({ email: 'e', phone: 'p' }, told)).toEqual({ native: {} })
  })

  test('leaves out a field that is set aside, except for a new record, which would not be whole without it', () => {
    const record = recordOf({
      head: headOf({ email: 'a', phone: 'p' }),
      parkedPaths: { email: { code: 'merge.not-converging', message: '' } },
    })
    expect(needOf(binding, record, laneOf(), false)?.patch).toEqual({ phone: 'p' })
    expect(needOf(binding, record, laneOf(), true)?.patch).toEqual({ email: 'a', phone: 'p' })
  })

  test('leaves out a field of an element that is set aside, except where the element is put there', () => {
    const record = recordOf({
      head: headOf({ 'lines[1]': true, 'lines[1].qty': 2 }),
      parkedPaths: { 'lines[1].qty': { code: 'merge.not-converging', message: '' } },
    })
    expect(needOf(binding, record, laneOf({ sent: { 'lines[1]': true, 'lines[1].qty': 1 } }), false)).toBeNull()
    expect(needOf(binding, record, laneOf(), false)?.patch).toEqual({ 'lines[1]': true, 'lines[1].qty': 2 })
  })

  test('carries the lineage that is farthest from a person', () => {
    const far = origin({ root: asJournalPosition(3), hops: 4 })
    const record = recordOf({ head: { ...headOf({ email: 'a', score: 's' }), phone: { value: 'p', origin: far } } })
    expect(needOf(binding, record, laneOf(), false)).toMatchObject({ root: 3, hops: 4 })
  })

  test('takes out an element that the application holds, and writes one that it lacks as a whole', () => {
    const record = recordOf({
      head: headOf({ 'lines[1]': false, 'lines[2]': true, 'lines[2].qty': 2, 'lines[3]': false }),
    })
    expect(
      needOf(binding, record, laneOf({ sent: { 'lines[1]': true, 'lines[1].qty': 1, 'lines[2].qty': 2 } }), false)
        ?.patch,
    ).toEqual({ 'lines[1]': false, 'lines[2]': true, 'lines[2].qty': 2 })
  })
})

describe('a patch in native values', () => {
  test('is read back as what was written', () => {
    fc.assert(
      fc.property(canonicals, (fields) => {
        const { note, score, fax, ...patch } = fields
        const encoded = encode(patch)
        const native = 'native' in encoded ? encoded.native : {}
        const present = Object.entries(patch).filter(([, value]) => value !== false)
        const held = Object.fromEntries(Object.entries(native).filter(([, value]) => value !== false))
        const read = changedValues(entityOf(), binding, {}, held, references)
        expect(Object.fromEntries(read.map(({ path, value }) => [path, value]))).toEqual(Object.fromEntries(present))
      }),
    )
  })

  test('holds mapped natives of the patch only', () => {
    fc.assert(
      fc.property(canonicals, (fields) => {
        const encoded = encode(fields)
        const expected = new Set(Object.keys(imageOf(fields)).filter((path) => path !== 'n_note'))
        if ('native' in encoded)
          for (const path of Object.keys(encoded.native))
            expect(expected.has(path) || encoded.native[path] === false, path).toBe(true)
      }),
    )
  })

  test('waits for a referred record that has no native id there yet', () => {
    expect(encode({ email: 'a', owner: 'zz' })).toEqual({ missing: { entity: 'agent', key: asCanonicalKey('zz') } })
    expect(encode({ owner: null })).toEqual({ native: { n_owner: null } })
    expect(encode({ owner: 'a7' })).toEqual({ native: { n_owner: 'n7' } })
  })

  test('names application, entity and field of a value that cannot be written', () => {
    const broken = (encodeOf: () => never) => bindingOf(crm, { fields: [{ ...binding.fields[1]!, encode: encodeOf }] })
    const typeError = broken(() => {
      throw new TypeError('too long')
    })
    expect(() => encode({ email: 'a' }, typeError)).toThrow(
      expect.objectContaining({
        code: 'mapping.encode-failed',
        message: expect.stringContaining('crm: field email of customer cannot be written as n_email: too long'),
      }) as Error,
    )
    const [lines] = binding.parts
    const inElement = bindingOf(crm, {
      parts: [
        {
          ...lines!,
          fields: [
            {
              ...lines!.fields[0]!,
              encode: () => {
                throw 'too many'
              },
            },
          ],
        },
      ],
    })
    expect(() => encode({ 'lines[1].qty': 9 }, inElement)).toThrow(
      expect.objectContaining({
        message: expect.stringContaining('field items[1].qty of customer cannot be written as n_qty: too many'),
        place: { app: 'crm', entity: 'customer', field: 'items[1].qty' },
      }) as Error,
    )
    expect(encode({ 'lines[1].text': 't' }, inElement)).toEqual({ native: { items: true } })
    const own = new SyncError('config.value-invalid', 'no')
    const syncError = broken(() => {
      throw own
    })
    expect(() => encode({ email: 'a' }, syncError)).toThrow(own)
  })
})

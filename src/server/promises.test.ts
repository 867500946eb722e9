import { expect, test } from 'vitest'
import { type Capabilities, classOf } from '../model/capabilities.ts'
import { notPromisedBy } from './promises.ts'

const best: Capabilities = {
  feed: 'F2',
  token: 'T2',
  condition: 'C2',
  create: 'K2',
  mark: 'M0',
  image: 'I2',
  read: 'R2',
  correlation: true,
  idempotency: 'all',
  reply: { token: true, image: true },
  batchMax: 1,
  concurrency: 32,
  atomicGroups: false,
  fenceMs: 60_000,
}

const legacy = {
  token: 'T0',
  condition: 'C0',
  create: 'K0',
  image: 'I0',
  correlation: false,
  idempotency: 'none',
} as const

test.each<[string, Partial<Capabilities>, string, string[]]>([
  ['revisions, conditions and keys', {}, 'A', []],
  ['a log with marks, written blindly', { feed: 'F3', condition: 'C0', mark: 'M2' }, 'B', []],
  ['a log without marks', { feed: 'F3', condition: 'C0' }, 'B-', ['V3 no lost update']],
  ['an older API', legacy, 'C', ['V3 no lost update', 'V6 no duplicate']],
  ['only a poll', { ...legacy, feed: 'F1' }, 'C', ['V3 no lost update', 'V6 no duplicate', 'V8 deletes']],
  ['notifications that may be lost', { feed: 'F0' }, 'A', []],
  [
    'neither version nor read',
    { ...legacy, feed: 'F0', read: 'R0' },
    'D',
    ['V2 convergence', 'V3 no lost update', 'V4 no fabrication', 'V6 no duplicate', 'V7 order'],
  ],
])('%s', (_name, given, letter, missing) => {
  const capabilities = { ...best, ...given }
  expect(classOf(capabilities)).toBe(letter)
  expect(notPromisedBy(capabilities).map((one) => one.promise)).toEqual(missing)
})

import { expect } from 'vitest'
import type { Outcome } from '../../model/change.ts'
import { asNativeId } from '../../model/ids.ts'
import type { NativeRecord } from '../../model/value.ts'
import type { WriteOp } from '../../ports/app.ts'

/** Unique values that move on within one call, tried on each kind of database. */

export const CHAINS_SQL =
  "create table items (id integer primary key, name varchar(20) not null, city varchar(20) unique, zip varchar(10) not null default 'z', count integer not null check (count > 0), unique (name, zip), unique (count))"
export const CHAINS_ROWS =
  "insert into items (id, name, city, count) values (1, 'n1', 'c1', 1), (2, 'n2', 'c2', 2), (3, 'n3', 'c3', 3), (4, 'n4', 'c4', 4), (5, 'n5', 'c5', 5), (6, 'n6', 'c6', 6)"

/** `rows`: name, city and count by id. */
export async function expectChains(
  write: (...ops: readonly Partial<WriteOp>[]) => Promise<readonly Outcome[]>,
  rows: () => Promise<readonly unknown[]> | readonly unknown[],
): Promise<void> {
  const update = (id: number, patch: NativeRecord): Partial<WriteOp> => ({ nativeId: asNativeId(String(id)), patch })
  const codes = async (...ops: readonly Partial<WriteOp>[]): Promise<unknown[]> =>
    (await write(...ops)).map(({ result, code }) => code ?? result)
  const all = async (): Promise<unknown[]> =>
    (await rows()).map((row) => {
      const { name, city, count } = row as Record<string, unknown>
      return `${name} ${city} ${count}`
    })
  const applied = (count: number): string[] => Array(count).fill('applied')

  // A chain, in either direction, which a create goes on with.
  const chain = [1, 2, 3, 4, 5].map((n) => update(n, { city: n === 5 ? 'free' : `c${n + 1}` }))
  expect(await codes(...chain)).toEqual(applied(5))
  const back = [5, 4, 3, 2].map((n) => update(n, { city: `c${n}` }))
  const made = { kind: 'create', patch: { name: 'n7', city: 'c2', count: 7 } } as const
  expect(await codes(...back, update(1, { city: 'free' }))).toEqual(applied(5))
  expect(await codes(made, update(2, { city: 'c7' }))).toEqual(applied(2))
  expect(await all()).toEqual(['n1 free 1', 'n2 c7 2', 'n3 c3 3', 'n4 c4 4', 'n5 c5 5', 'n6 c6 6', 'n7 c2 7'])

  // Rings: by a column that may be null, by text that may not, by numbers; what somebody outside holds is waited for.
  expect(await codes(update(1, { city: 'c3' }), update(3, { city: 'c4' }), update(4, { city: 'free' }))).toEqual(
    applied(3),
  )
  expect(await codes(update(1, { name: 'n2' }), update(2, { name: 'n1' }))).toEqual(applied(2))
  expect(
    await codes(update(5, { count: 6 }), update(4, { count: 1 }), update(3, { name: 'x' }), update(6, { count: 5 })),
  ).toEqual(['applied', 'target.unique', 'applied', 'applied'])
  expect(await all()).toEqual(['n2 c3 1', 'n1 c7 2', 'x c4 3', 'n4 free 4', 'n5 c5 6', 'n6 c6 5', 'n7 c2 7'])
}

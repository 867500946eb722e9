import fc, { type Arbitrary } from 'fast-check'
import { canHold, toldValue } from '../../../check/laws.ts'
import type { FieldEnd, FieldSite } from '../../../check/sites.ts'
import { valuesOf } from '../../../check/values.ts'
import type { AppId } from '../../../model/ids.ts'
import { mayBeRenditionOf, type Value, valuesEqual } from '../../../model/value.ts'

/** One value that users enter, as it stands in each application whose users can enter it: the native value, or the list of them. */
export interface PoolValue {
  readonly value: Value
  readonly cells: ReadonlyMap<AppId, Value>
}

/** Enough that a value that comes back tells who wrote it, most of the time. */
const POOL_MAX = 40
const SAMPLES = 300

/**
 * The values of one field that users of a config's applications enter: what their records hold and tell, no two of which could be taken for the same one (an application's own form of a
 * value passes for it, docs/protocol.md hazard 6). Made from nothing but the config, so that a seed tells the same story each time.
 */
export function poolOf(site: FieldSite): readonly PoolValue[] {
  const pool: PoolValue[] = []
  const add = (value: Value, told: ReadonlyMap<AppId, Value>): void => {
    if (pool.length >= POOL_MAX || pool.some((one) => isAlike(one.value, value))) return
    const cells = new Map(told)
    for (const end of site.ends) {
      const { mapping, app } = end
      if (cells.has(app) || !canHold(site, end, value)) continue
      const natives = mapping.encode === null ? { [mapping.natives[0] ?? '']: value } : mapping.encode(value)
      cells.set(app, cellOf(mapping.natives, natives))
    }
    if (cells.size > 0) pool.push({ value, cells })
  }
  const canonical = samples(valuesOf(site.schema)).filter((value) => isValid(site, value as Value))
  for (const value of canonical.slice(0, SAMPLES / 2)) add(value as Value, new Map())
  for (const end of site.ends) {
    for (const natives of nativeSamples(end)) {
      const value = toldValue(site, end, natives)
      if (value !== undefined) add(value, new Map([[end.app, packed(natives)]]))
    }
  }
  for (const value of canonical.slice(SAMPLES / 2)) add(value as Value, new Map())
  return pool
}

const isAlike = (a: Value, b: Value): boolean => valuesEqual(a, b) || mayBeRenditionOf(a, b) || mayBeRenditionOf(b, a)

function isValid({ model }: FieldSite, value: Value): boolean {
  try {
    return valuesEqual(model.validate(value), value)
  } catch {
    return false
  }
}

const samples = (made: Arbitrary<unknown> | null): readonly unknown[] =>
  made === null ? [] : fc.sample(made, { seed: 7, numRuns: SAMPLES })

function nativeSamples(end: FieldEnd): readonly (readonly Value[])[] {
  const made = end.natives.map((schema) => (schema === undefined ? null : valuesOf(schema)))
  if (end.mapping.decode === null || !made.every((one) => one !== null)) return []
  return samples(fc.tuple(...made)) as readonly (readonly Value[])[]
}

/** The natives of one mapping as one cell. */
export const cellOf = (names: readonly string[], natives: Readonly<Record<string, Value>>): Value =>
  packed(names.map((name) => natives[name] ?? null))

const packed = (natives: readonly Value[]): Value => (natives.length === 1 ? (natives[0] as Value) : natives)

/** The inverse of `cellOf`. */
export const nativesOf = (names: readonly string[], cell: Value): Readonly<Record<string, Value>> =>
  names.length === 1
    ? { [names[0] as string]: cell }
    : Object.fromEntries(names.map((name, i) => [name, (cell as readonly Value[])[i] ?? null]))

import type { AppId, EntityName, NativeId } from '../model/ids.ts'
import type { Path } from '../model/value.ts'
import { type CompareOptions, Comparison, type EntityResult, type Suspect } from './compare.ts'
import { type DayOne, dayOne } from './writes.ts'

/** Things looked at one by one, per entity: beyond it they are counted only. Some hundred MB of records at the most. */
const LISTED_MAX = 20_000

export interface RehearsedThing {
  readonly entity: EntityName
  /** different: in several applications with different values. only: not in all of them. ambiguous: twice in one application, so that a person has to decide. unreadable: a value does not fit. */
  readonly kind: 'different' | 'only' | 'ambiguous' | 'unreadable'
  readonly records: Readonly<Record<AppId, readonly NativeId[]>>
  readonly writes: DayOne['writes']
  readonly conflicts: DayOne['conflicts']
  readonly code: string | null
  readonly message: string | null
}

export interface RehearsedEntity extends EntityResult {
  /** How often each field differs, among the things that were looked at. */
  readonly fields: Readonly<Record<Path, number>>
  /** The writes of day one by application; `exact` unless there were more different things than are looked at one by one. */
  readonly writes: Readonly<Record<AppId, { readonly creates: number; readonly updates: number }>>
  readonly exact: boolean
}

export interface RehearseOptions extends CompareOptions {
  /** Called for each thing that is not simply equal, as long as there are not too many. */
  readonly onThing?: (thing: RehearsedThing) => void
}

/**
 * First contact without a write: which records are the same thing in all applications, which are only in some, which would be ambiguous, and exactly what would be written on
 * day one. Yields an entity at a time.
 */
export async function* rehearse(
  options: RehearseOptions,
  comparison = new Comparison(options),
): AsyncGenerator<RehearsedEntity> {
  for await (const result of comparison.run()) yield await rehearseEntity(options, comparison, result)
}

async function rehearseEntity(
  options: RehearseOptions,
  comparison: Comparison,
  result: EntityResult,
): Promise<RehearsedEntity> {
  const things = new Map<string, Suspect[]>()
  let left = 0
  for await (const suspect of comparison.suspects(result.entity)) {
    const known = things.get(suspect.identity)
    if (known !== undefined) known.push(suspect)
    else if (things.size < LISTED_MAX) things.set(suspect.identity, [suspect])
    else left++
  }
  const fields: Record<Path, number> = {}
  const writes: Record<AppId, { creates: number; updates: number }> = {}
  const entity = options.model.entities.get(result.entity)
  for (const app of entity?.bindings.keys() ?? []) writes[app] = { creates: 0, updates: 0 }
  for (const copies of things.values()) {
    const thing = thingOf(copies, comparison)
    if (thing === null) continue
    for (const write of thing.writes) {
      const count = writes[write.app] as { creates: number; updates: number }
      if (write.kind === 'create') count.creates++
      else {
        count.updates++
        for (const path in write.values) fields[path] = (fields[path] ?? 0) + 1
      }
    }
    options.onThing?.(thing)
  }
  if (left > 0 && entity !== undefined) addCounted(result, things, writes)
  return { ...result, fields, writes, exact: left === 0 }
}

/** Things beyond those looked at: one that stands in some applications only becomes a create in each of the others. */
function addCounted(
  result: EntityResult,
  listed: ReadonlyMap<string, readonly Suspect[]>,
  writes: Record<AppId, { creates: number; updates: number }>,
): void {
  const listedBy = new Map<string, number>()
  for (const copies of listed.values()) {
    const apps = [...new Set(copies.map(({ binding }) => binding.app))].join('+')
    listedBy.set(apps, (listedBy.get(apps) ?? 0) + 1)
  }
  for (const [apps, count] of Object.entries(result.summary.partial)) {
    const more = count - (listedBy.get(apps) ?? 0)
    const holders = new Set(apps.split('+'))
    for (const app in writes)
      if (!holders.has(app) && more > 0) (writes[app as AppId] as { creates: number }).creates += more
  }
}

function thingOf(copies: readonly Suspect[], comparison: Comparison): RehearsedThing | null {
  const [first] = copies
  if (first === undefined) return null
  const records: Record<AppId, NativeId[]> = {}
  for (const { binding, read } of copies) (records[binding.app] ??= []).push(read.nativeId)
  const base = { entity: first.entity.name, records }
  const error = copies.find((copy) => copy.error !== null)?.error
  if (error != null) {
    return { ...base, kind: 'unreadable', writes: [], conflicts: [], code: error.code, message: error.message }
  }
  if (Object.values(records).some((ids) => ids.length > 1)) {
    const twice = Object.entries(records).find(([, ids]) => ids.length > 1)
    const message = `${twice?.[0]} has it ${twice?.[1].length} times: ${twice?.[1].slice(0, 5).join(', ')}. Delete or change all but one there.`
    return { ...base, kind: 'ambiguous', writes: [], conflicts: [], code: 'resolve.ambiguous', message }
  }
  const planned = dayOne(first.entity, copies, comparison.references)
  const kind = copies.length === first.entity.bindings.size ? 'different' : 'only'
  // The spelling of a number, or a value that one application alone maps: different to the sum, the same to the merge.
  if (kind === 'different' && planned.error === null && planned.writes.length + planned.conflicts.length === 0)
    return null
  return {
    ...base,
    kind: planned.error === null ? kind : 'unreadable',
    writes: planned.writes,
    conflicts: planned.conflicts,
    code: planned.error?.code ?? null,
    message: planned.error?.message ?? null,
  }
}

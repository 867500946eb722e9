import type { EntityName } from '../../model/ids.ts'
import type { EntitySpec } from './fields.ts'
import type { Rng } from './rng.ts'
import type { Aspect } from './scenario.ts'

/**
 * What one user does once, in one application. `record` and `field` choose among what is there when the time comes; `id` is the taint of every value that the
 * action writes, and stays the same when other actions are left out.
 */
export interface Action {
  readonly id: number
  readonly atMs: number
  readonly appIndex: number
  readonly entity: EntityName
  readonly kind: 'create' | 'edit' | 'revert' | 'noop' | 'form' | 'delete' | 'copy'
  readonly record: number
  readonly field: number
  /** Between looking and saving. */
  readonly thinkMs: number
  readonly random: Rng
}

interface WorkloadChoices {
  readonly specs: readonly EntitySpec[]
  readonly apps: number
  readonly isOn: (aspect: Aspect, probability: number) => boolean
  /** How many things there are at the least and at the most. */
  readonly records: readonly [number, number]
}

type Draft = Omit<Action, 'id' | 'random'>

/** The number of actions of an ordinary run; some come to nothing, because the record is not there. */
const ACTIONS_MIN = 42
const ACTIONS_MAX = 66

/** About 45 actions: records made in one application or in all at once, then bursts of edits, some by several users on the same field. */
export function drawActions(random: Rng, choices: WorkloadChoices): Action[] {
  const drafts: Draft[] = []
  const records = random.int(...choices.records)
  const count = random.int(ACTIONS_MIN, ACTIONS_MAX)
  const weights = drawWeights(random.fork('weights'), choices)
  for (let record = 1; record <= records; record++)
    drafts.push(...drawCreates(random.fork('create ' + record), record, choices))
  let atMs = random.int(0, 1500)
  for (let burst = 0; drafts.length < count; burst++) {
    const own = random.fork('burst ' + burst)
    const length = own.int(1, 7)
    for (let i = 0; i < length; i++) {
      atMs += own.int(1, 40)
      drafts.push(...drawEdit(own.fork('edit ' + i), atMs, records, weights, choices))
    }
    atMs += own.chance(0.5) ? own.int(50, 600) : own.int(600, 5000)
  }
  drafts.sort((a, b) => a.atMs - b.atMs)
  return drafts.map((draft, i) => ({ ...draft, id: i + 1, random: random.fork('action ' + i) }))
}

/** Pairs at the end of a quiet run, and the numbers of what is made in them: beyond those of ordinary records. */
const PAIRS = 4
const PAIR_BASE = 50
const PAIR_EVERY_MS = 2000

/**
 * After all else: something new, and at once something that refers to such things; then nobody touches either again, so that nothing but what it waits for can bring the second one
 * to the other applications. None where nothing refers to anything.
 */
export function drawTogether(
  random: Rng,
  specs: readonly EntitySpec[],
  apps: number,
  before: readonly Action[],
): Action[] {
  const refers = specs.find(({ fields }) => fields.some(({ refersTo }) => refersTo !== undefined))
  const referred = specs.find((spec) => refers?.fields.some(({ refersTo }) => refersTo === spec.name))
  const last = before.at(-1)
  if (refers === undefined || referred === undefined || last === undefined) return []
  return Array.from({ length: PAIRS }, (_, pair) => {
    const appIndex = random.int(0, apps - 1)
    const atMs = last.atMs + (pair + 1) * PAIR_EVERY_MS
    return [referred, refers].map(({ name }, i): Action => {
      const record = PAIR_BASE + 2 * pair + i
      const laterMs = i * random.int(1, 20)
      const id = last.id + 2 * pair + i + 1
      const own = random.fork('action ' + id)
      return {
        id,
        atMs: atMs + laterMs,
        appIndex,
        entity: name,
        kind: 'create',
        record,
        field: 0,
        thinkMs: 0,
        random: own,
      }
    })
  }).flat()
}

interface Weights {
  readonly delete: number
  readonly revert: number
  readonly noop: number
  readonly form: number
  readonly race: number
  readonly think: number
  readonly recreate: number
  readonly copy: number
}

function drawWeights(random: Rng, { isOn }: WorkloadChoices): Weights {
  return {
    delete: isOn('delete', 0.7) ? 0.04 + 0.03 * random.next() : 0,
    revert: isOn('revert', 0.7) ? 0.1 + 0.1 * random.next() : 0,
    noop: isOn('noop', 0.7) ? 0.05 : 0,
    form: isOn('form', 0.4) ? 0.05 : 0,
    race: isOn('race', 0.8) ? 0.25 : 0,
    think: isOn('think', 0.5) ? 0.3 : 0,
    recreate: isOn('recreate', 0.3) ? 0.4 : 0,
    copy: isOn('copy', 0.2) ? 0.03 : 0,
  }
}

function drawCreates(random: Rng, record: number, { specs, apps, isOn }: WorkloadChoices): Draft[] {
  const entity = specs[(record - 1) % specs.length] as EntitySpec
  const atMs = random.chance(0.7) ? random.int(0, 600) : random.int(600, 8000)
  const draft = (appIndex: number, laterMs: number): Draft => ({
    atMs: atMs + laterMs,
    appIndex,
    entity: entity.name,
    kind: 'create',
    record,
    field: 0,
    thinkMs: 0,
  })
  const first = random.int(0, apps - 1)
  if (!random.chance(0.3) || !isOn('race', 0.8)) return [draft(first, 0)]
  return Array.from({ length: apps }, (_, i) => i)
    .filter((index) => index === first || random.chance(0.8))
    .map((index) => draft(index, random.int(0, 60)))
}

function drawEdit(
  random: Rng,
  atMs: number,
  records: number,
  weights: Weights,
  { specs, apps }: WorkloadChoices,
): Draft[] {
  const record = random.int(1, records)
  const entity = (specs[(record - 1) % specs.length] as EntitySpec).name
  const base: Draft = {
    atMs,
    appIndex: random.int(0, apps - 1),
    entity,
    kind: 'edit',
    record,
    field: random.int(0, 99),
    thinkMs: random.chance(weights.think) ? random.int(5, 400) : 0,
  }
  if (random.fork('copy').chance(weights.copy)) return [{ ...base, kind: 'copy' }]
  const dice = random.next()
  let edge = weights.delete
  if (dice < edge) return withRecreation({ ...base, kind: 'delete' }, weights, apps, random)
  if (dice < (edge += weights.revert)) return [{ ...base, kind: 'revert' }]
  if (dice < (edge += weights.noop)) return [{ ...base, kind: 'noop' }]
  if (dice < (edge += weights.form)) return [{ ...base, kind: 'form' }]
  if (dice < edge + weights.race) return inSeveralApps(base, apps, random)
  return [base]
}

function inSeveralApps(base: Draft, apps: number, random: Rng): Draft[] {
  const indexes = random.shuffled(Array.from({ length: apps }, (_, i) => i)).slice(0, random.int(2, apps))
  return indexes.map((appIndex) => ({ ...base, appIndex, atMs: base.atMs + random.int(0, 30) }))
}

/** Sometimes a record that was deleted is made anew under the same code, in the same application or another. */
function withRecreation(base: Draft, weights: Weights, apps: number, random: Rng): Draft[] {
  if (!random.chance(weights.recreate)) return [base]
  return [
    base,
    { ...base, kind: 'create', appIndex: random.int(0, apps - 1), atMs: base.atMs + random.int(1, 6000), thinkMs: 0 },
  ]
}

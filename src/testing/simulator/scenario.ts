import type { DeletePolicy, Policy } from '../../model/entity.ts'
import { asAppId } from '../../model/ids.ts'
import { drawMapping } from './apps/mapping.ts'
import { type AppProfile, drawProfile, FLAVOURS_BY_CLASS, type Flavour, ownProfile } from './apps/profile.ts'
import { drawFaultRates, type FaultRates } from './faults.ts'
import { customerSpec, type EntitySpec, ORDER_SPEC } from './fields.ts'
import type { ModelChoices } from './model.ts'
import type { OwnWorld } from './own/world.ts'
import { drawFieldPolicies, drawLatching } from './policies.ts'
import { Rng } from './rng.ts'
import { type Action, drawActions, drawTogether } from './workload.ts'

/** Aspects of a run that can be switched off one at a time, beside the classes of faults. */
export const ASPECTS = [
  'delete',
  'revert',
  'noop',
  'race',
  'think',
  'form',
  'recreate',
  'parts',
  'reference',
  'partialOwnership',
  'normalise',
  'clockSkew',
  'policies',
  'merges',
  'latching',
  'lateStart',
  'hasty',
  'copy',
  'validation',
  'sluggish',
  'together',
  'restartAtRest',
  'pairs',
] as const
export type Aspect = (typeof ASPECTS)[number]

/** What of a seed's full run is left out: how a failure is made small. */
export interface Cut {
  readonly off: ReadonlySet<string>
  readonly appsOff: ReadonlySet<number>
  readonly actionsOff: ReadonlySet<number>
}

export const NO_CUT: Cut = { off: new Set(), appsOff: new Set(), actionsOff: new Set() }

/** Nothing of a run is drawn twice: what a config says, it says. */
export const NOT_OF_A_CONFIG: ReadonlySet<string> = new Set([
  'copy',
  'normalise',
  'validation',
  'partialOwnership',
  'policies',
  'merges',
  'latching',
  'sluggish',
  'together',
])

/** One run, drawn whole from its seed before it starts. */
export interface Scenario {
  readonly seed: number
  readonly specs: readonly EntitySpec[]
  readonly profiles: readonly AppProfile[]
  readonly rates: FaultRates
  readonly choices: ModelChoices
  /** The model of a config of its own, in place of the one that is drawn. */
  readonly own?: OwnWorld
  readonly actions: readonly Action[]
  /** When the last user stops, ms. */
  readonly spanMs: number
  /** When the hub is started for the first time: what applications hold by then, it has to find out. */
  readonly startMs: number
  /** The chance that somebody has waited for a record that the hub makes in their application, and changes or deletes it at once. */
  readonly hasty: number
  /** One record that one application takes long to write, each time; only where nothing else goes wrong. */
  readonly sluggish: { readonly appIndex: number; readonly record: number } | null
  /** The hub is killed and started once more when all is over: nothing may come of it. */
  readonly restartsAtRest: boolean
  /** When a person takes two records apart, or says of two that they are one: by chance, or because they were wrong before. */
  readonly pairedAtMs: readonly number[]
}

const APP_NAMES = ['alpha', 'beta', 'gamma', 'delta', 'epsilon', 'zeta', 'eta', 'theta'] as const
/** Among the classes: five to eight applications, where there are two to four otherwise. */
const MANY = 'many'

export type ClassName = keyof typeof FLAVOURS_BY_CLASS

export function drawScenario(seed: number, classes: readonly string[], cut: Cut, own?: OwnWorld): Scenario {
  return own === undefined ? drawnScenario(seed, classes, cut) : ownScenario(seed, own, cut)
}

function drawnScenario(seed: number, classes: readonly string[], cut: Cut): Scenario {
  const random = new Rng(seed)
  const isOn = (aspect: Aspect, probability: number): boolean =>
    random.fork(aspect).chance(probability) && !cut.off.has(aspect)
  const specs: EntitySpec[] = [customerSpec(isOn('parts', 0.25))]
  if (isOn('reference', 0.2)) specs.push(ORDER_SPEC)
  const flavours = drawFlavours(random.fork('flavours'), classes)
  const leaveOut = isOn('partialOwnership', 0.3) ? 0.4 : 0
  const normalise = isOn('normalise', 0.7)
  const skew = isOn('clockSkew', 0.3)
  const validation = isOn('validation', 0.3)
  const profiles: AppProfile[] = []
  for (const [index, flavour] of flavours.entries()) {
    if (cut.appsOff.has(index)) continue
    const own = random.fork('app ' + index)
    const objects = specs.map((spec) => drawMapping(spec, index, { normalise, leaveOut }, own.fork(spec.name)))
    const app = asAppId(APP_NAMES[index] as string)
    profiles.push(drawProfile(app, index, flavour, objects, { clockSkew: skew, validation }, own.fork('profile')))
  }
  const rates = drawFaultRates(random.fork('faults'), cut.off)
  const isCalm = Object.values(rates).every((rate) => rate === 0)
  const usual = drawActions(random.fork('workload'), { specs, apps: flavours.length, isOn, records: [1, 6] })
  const together =
    isCalm && isOn('together', 1) ? drawTogether(random.fork('together'), specs, flavours.length, usual) : []
  const actions = [...usual, ...together].filter(
    (action) => !cut.actionsOff.has(action.id) && !cut.appsOff.has(action.appIndex),
  )
  const slow = random.fork('sluggish record')
  const spanMs = actions.reduce((last, action) => Math.max(last, action.atMs), 0)
  return {
    seed,
    specs,
    profiles,
    rates,
    choices: {
      ...drawChoices(random.fork('choices'), profiles, isOn('policies', 0.6)),
      ...(isOn('merges', 0.25) ? { policies: drawFieldPolicies(random.fork('field policies')) } : {}),
      ...(isOn('latching', 0.2) ? { latching: drawLatching(random.fork('latching mode')) } : {}),
    },
    actions,
    spanMs,
    startMs: isOn('lateStart', 0.2) ? random.fork('start').int(1, 3000) : 0,
    hasty: isOn('hasty', 0.3) ? 0.5 : 0,
    sluggish:
      isCalm && isOn('sluggish', 0.5) ? { appIndex: slow.int(0, flavours.length - 1), record: slow.int(1, 3) } : null,
    restartsAtRest: isOn('restartAtRest', 0.25),
    pairedAtMs: isOn('pairs', 0.15) ? drawTimes(random.fork('pairs'), spanMs) : [],
  }
}

function drawTimes(random: Rng, spanMs: number): number[] {
  return Array.from({ length: random.int(1, 8) }, () => random.int(0, spanMs + 2_000)).sort((a, b) => a - b)
}

/** How long what refers to others waits before its users enter it, so that there is something to refer to. */
const DEPTH_MS = 1500

/** A run of a config: its entities, its applications with what they offer, its policies. Drawn are users, faults, and what the config leaves open. */
function ownScenario(seed: number, own: OwnWorld, cut: Cut): Scenario {
  const random = new Rng(seed)
  const isOn = (aspect: Aspect, probability: number): boolean =>
    !NOT_OF_A_CONFIG.has(aspect) && random.fork(aspect).chance(probability) && !cut.off.has(aspect)
  const skew = isOn('clockSkew', 0.3)
  const profiles = own.apps.flatMap((app, index) =>
    cut.appsOff.has(index) ? [] : [ownProfile(app, index, skew, random.fork('app ' + index))],
  )
  const records = [1, 3].map((each) => Math.min(own.recordsMax, each * own.specs.length)) as [number, number]
  const drafts = drawActions(random.fork('workload'), { specs: own.specs, apps: own.apps.length, isOn, records })
  const actions = ownActions(drafts, own).filter(
    (action) => !cut.actionsOff.has(action.id) && !cut.appsOff.has(action.appIndex),
  )
  return {
    seed,
    own,
    specs: own.specs,
    profiles,
    rates: drawFaultRates(random.fork('faults'), cut.off),
    choices: {
      policyDefault: { kind: 'latest', skewMs: 0 },
      policies: {},
      deletes: own.updateWins ? 'update-wins' : 'default',
    },
    actions,
    spanMs: actions.reduce((last, action) => Math.max(last, action.atMs), 0),
    startMs: isOn('lateStart', 0.2) ? random.fork('start').int(1, 3000) : 0,
    hasty: isOn('hasty', 0.3) ? 0.5 : 0,
    sluggish: null,
    restartsAtRest: isOn('restartAtRest', 0.25),
    pairedAtMs: [],
  }
}

/** Each thing is entered where it can be and is told of; one that nothing matches is entered once, as it would be another thing elsewhere. */
function ownActions(actions: readonly Action[], own: OwnWorld): Action[] {
  const entered = new Set<number>()
  return actions.flatMap((action) => {
    const able = own.apps.flatMap(({ objects, isTold }, index) => {
      const object = objects.find(({ spec }) => spec.name === action.entity)
      return object === undefined || !isTold ? [] : [{ index, object }]
    })
    const chosen = able.find(({ index }) => index === action.appIndex) ?? able[action.appIndex % able.length]
    if (chosen === undefined) return []
    if (action.kind === 'create' && !chosen.object.isMatched && entered.has(action.record)) return []
    if (action.kind === 'create') entered.add(action.record)
    const laterMs = action.kind === 'create' ? DEPTH_MS * (own.depths.get(action.entity) ?? 0) : 0
    return [{ ...action, appIndex: chosen.index, atMs: action.atMs + laterMs }]
  })
}

/** One flavour throughout, all capable ones mixed, or one weak application among capable ones. */
function drawFlavours(random: Rng, classes: readonly string[]): Flavour[] {
  const count = random.pick(classes.includes(MANY) ? [5, 5, 6, 6, 7, 8] : [2, 2, 2, 3, 3, 4])
  const strong = pool(classes.filter((name) => name !== 'C' && name !== MANY))
  const weak = pool(classes.filter((name) => name === 'C'))
  const style = random.next()
  const first = random.pick(strong.length > 0 ? strong : weak)
  const flavours = Array.from({ length: count }, (): Flavour => {
    if (strong.length === 0) return random.pick(weak)
    return style < 0.25 ? first : random.pick(strong)
  })
  if (weak.length > 0 && strong.length > 0 && style > 0.7) flavours[random.int(0, count - 1)] = random.pick(weak)
  return flavours
}

const ALL_FLAVOURS: readonly string[] = Object.values(FLAVOURS_BY_CLASS).flat()

/** The flavours that class letters or flavour names stand for. */
function pool(classes: readonly string[]): Flavour[] {
  return classes.flatMap((name) => {
    if (name in FLAVOURS_BY_CLASS) return [...FLAVOURS_BY_CLASS[name as ClassName]]
    if (ALL_FLAVOURS.includes(name)) return [name as Flavour]
    throw new RangeError(
      `no class or flavour ${name}; known are ${[...Object.keys(FLAVOURS_BY_CLASS), ...ALL_FLAVOURS].join(', ')}`,
    )
  })
}

function drawChoices(random: Rng, profiles: readonly AppProfile[], variety: boolean): ModelChoices {
  const apps = random.shuffled(profiles.map((profile) => profile.app))
  const latest: Policy = { kind: 'latest', skewMs: random.pick([0, 1000, 5000]) }
  const prefer: Policy = { kind: 'prefer', apps: apps.slice(0, random.int(1, apps.length)) }
  const deletes = random.pick<DeletePolicy>(['default', 'default', 'delete-wins', 'update-wins'])
  if (!variety) return { policyDefault: latest, policies: {}, deletes: 'default' }
  return {
    policyDefault: random.chance(0.6) ? latest : prefer,
    policies: random.chance(0.5) ? { amount: prefer, 'lines.qty': prefer } : {},
    deletes,
  }
}

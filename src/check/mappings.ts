import fc, { type Arbitrary } from 'fast-check'
import type { HubDefinition } from '../config/define-hub.ts'
import { shown } from '../config/schema.ts'
import type { BindingModel } from '../model/entity.ts'
import type { AppId } from '../model/ids.ts'
import { type Image, type Path, partPath, type Value, valuesEqual } from '../model/value.ts'
import { type Breach, canHold, judgeValue, type LawCode, nextStep, toldValue } from './laws.ts'
import { type DeclaredEntity, declaredEntities, type FieldEnd, type FieldSite, sitesOf } from './sites.ts'
import { valuesOf } from './values.ts'

/** A law of the mappings that does not hold, with the smallest value that was found to break it. */
export interface LawFinding {
  readonly code: LawCode
  readonly entity: string
  readonly field: string
  /** Where the value is written. */
  readonly app: AppId
  /** Where it may come from. */
  readonly from: AppId
  readonly value: Value
  readonly written: Readonly<Record<string, Value>> | null
  /** What is read back; null also when nothing is. */
  readonly back: Value | null
  readonly message: string
  readonly next: string
}

/** What is not wrong, and worth knowing. */
export interface LawNote {
  readonly entity: string
  readonly field: string
  readonly app: AppId | null
  readonly text: string
}

export interface CheckedEntity {
  readonly entity: string
  readonly apps: readonly AppId[]
  readonly fields: number
  /** Values that went through a law. */
  readonly values: number
}

export interface MappingReport {
  readonly seed: number
  readonly entities: readonly CheckedEntity[]
  readonly findings: readonly LawFinding[]
  readonly notes: readonly LawNote[]
}

export interface MappingOptions {
  /** Values for each field and way. */
  readonly values: number
  readonly seed: number
}

/** Tries the laws of all mappings of a config with generated values. The same seed tries the same values. */
export function checkMappings(definition: HubDefinition, options: MappingOptions): MappingReport {
  const entities: CheckedEntity[] = []
  const findings: LawFinding[] = []
  const notes: LawNote[] = []
  for (const declared of declaredEntities(definition)) {
    const sites = sitesOf(declared)
    let values = 0
    for (const site of sites) {
      const checked = checkSite(site, options)
      values += checked.values
      findings.push(...checked.findings)
      notes.push(...checked.notes)
    }
    for (const binding of declared.model.bindings.values())
      findings.push(...checkRecords(declared, binding, sites, options))
    entities.push({
      entity: declared.model.name,
      apps: [...declared.model.bindings.keys()],
      fields: sites.filter(({ ends }) => ends.length > 0).length,
      values,
    })
  }
  return { seed: options.seed, entities, findings, notes }
}

interface CheckedSite {
  readonly values: number
  readonly findings: readonly LawFinding[]
  readonly notes: readonly LawNote[]
}

function checkSite(site: FieldSite, options: MappingOptions): CheckedSite {
  const findings: LawFinding[] = []
  const notes: LawNote[] = []
  const note = (app: AppId | null, text: string): void =>
    void notes.push({ entity: site.entity, field: site.path, app, text })
  let values = 0
  for (const end of site.ends) {
    if (end.mapping.encode === null) continue
    const tried = tryEnd(site, end, options)
    values += tried.values
    findings.push(...tried.findings)
    if (tried.values === 0)
      note(end.app, 'nothing could be made up that an application would tell, so nothing was tried')
    else if (end.mapping.lossy === true && !tried.isLost && tried.findings.length === 0)
      note(end.app, 'it is declared lossy(...), and none of the values lost anything')
  }
  if (site.ends.length === 0 && !site.isKey) note(null, 'no application maps it')
  else if (site.ends.length > 0 && site.ends.every(({ mapping }) => mapping.decode === null))
    note(null, 'no application tells it')
  return { values, findings, notes }
}

/** Every source of values for one application: each application that tells, with what its records hold and with what the schema takes. */
function tryEnd(
  site: FieldSite,
  end: FieldEnd,
  options: MappingOptions,
): { readonly values: number; readonly isLost: boolean; readonly findings: readonly LawFinding[] } {
  const found = new Map<LawCode, LawFinding>()
  let values = 0
  let isLost = false
  for (const { from, made } of sourcesOf(site, end)) {
    const property = fc.property(made, (value) => {
      if (value === undefined) return true
      values++
      const judged = judgeValue(site, end, value)
      isLost ||= judged.isLost
      return judged.breach === null
    })
    const { failed, counterexample } = fc.check(property, { seed: options.seed, numRuns: options.values })
    const value = counterexample?.[0]
    if (!failed || value === undefined) continue
    const { breach } = judgeValue(site, end, value)
    if (breach !== null && !found.has(breach.code)) found.set(breach.code, findingOf(site, end, from, value, breach))
  }
  return { values, isLost, findings: [...found.values()] }
}

interface Origin {
  readonly from: AppId
  /** A value that this application may tell; undefined where what was made up is not one. */
  readonly made: Arbitrary<Value | undefined>
}

function sourcesOf(site: FieldSite, end: FieldEnd): Origin[] {
  // The ids of another application mean nothing here: of a reference, only the application's own pass.
  const isReference = end.mapping.reference !== null
  const tellers = site.ends.filter(
    ({ app, mapping }) => mapping.decode !== null && mapping.direction !== 'out' && (!isReference || app === end.app),
  )
  const canonical = isReference ? null : valuesOf(site.schema)
  return tellers.flatMap((teller) => {
    const origins: Origin[] = []
    const natives = teller.natives.map((schema) =>
      schema === undefined ? (isReference ? anyId() : null) : valuesOf(schema),
    )
    if (natives.every((one) => one !== null)) {
      const made = fc.tuple(...(natives as Arbitrary<Value>[])).map((given) => toldValue(site, teller, given))
      origins.push({ from: teller.app, made })
    }
    if (canonical !== null && teller.app !== end.app) {
      const made = (canonical as Arbitrary<Value>).map((value) => (fits(site, teller, value) ? value : undefined))
      origins.push({ from: teller.app, made })
    }
    return origins
  })
}

/** Ids of which nothing is known but that they are ids. */
const anyId = (): Arbitrary<unknown> => fc.integer({ min: 1 }).map(String)

const fits = (site: FieldSite, teller: FieldEnd, value: Value): boolean => {
  try {
    return valuesEqual(site.model.validate(value), value) && canHold(site, teller, value)
  } catch {
    return false
  }
}

function findingOf(site: FieldSite, end: FieldEnd, from: AppId, value: Value, breach: Breach): LawFinding {
  const { code, written, back, reason } = breach
  const origin = from === end.app ? 'from itself' : `from ${from}`
  const how = written === undefined ? '' : ` is written as ${shown(written)}`
  const read = back === undefined ? '' : ` and read back as ${shown(back)}`
  return {
    code,
    entity: site.entity,
    field: site.path,
    app: end.app,
    from,
    value,
    written: written ?? null,
    back: back ?? null,
    message: `${site.entity}.${site.path} in ${end.app}: ${shown(value)} ${origin}${how}${read}${reason === null ? '' : `: ${reason}`}.`,
    next: nextStep(code, end.app, site.path),
  }
}

/** Keys of elements with which a part is tried: those that sort and escape differently. */
const ELEMENT_KEYS = { number: ['1', '10'], text: ['a.b', 'z[1]'] } as const

/** A record that is put together and taken apart again must be the same one. */
function checkRecords(
  { model }: DeclaredEntity,
  binding: BindingModel,
  sites: readonly FieldSite[],
  { seed }: MappingOptions,
): LawFinding[] {
  const image: Record<Path, Value> = {}
  const add = (prefix: string, path: string): void => {
    const site = sites.find((one) => one.path === path)
    const end = site?.ends.find(({ app }) => app === binding.app)
    if (end === undefined) return
    for (const [i, name] of end.mapping.natives.entries()) {
      const made = valuesOf(end.natives[i]) ?? fc.constant('x')
      const value = fc.sample(made as Arbitrary<Value>, { seed, numRuns: 8 }).find((one) => one !== null)
      image[prefix + name] = value ?? null
    }
  }
  for (const name of Object.keys(model.fields)) add('', name)
  for (const part of binding.parts) {
    image[part.container] = true
    for (const key of ELEMENT_KEYS[part.keyType]) {
      const element = partPath(part.container, key)
      image[element] = true
      for (const name of Object.keys(model.parts[part.part]?.fields ?? {})) add(`${element}.`, `${part.part}.${name}`)
    }
  }
  const wrong = wrongPath(binding, image)
  if (wrong === undefined) return []
  const { path, back, reason } = wrong
  return [
    {
      code: 'check.record-shape',
      entity: model.name,
      field: path,
      app: binding.app,
      from: binding.app,
      value: image[path] ?? null,
      written: null,
      back: back ?? null,
      message: `${model.name} in ${binding.app}: ${path} = ${shown(image[path])} is ${reason} when the record is written and read again.`,
      next: nextStep('check.record-shape', binding.app, path),
    },
  ]
}

function wrongPath(
  binding: BindingModel,
  image: Image,
): { readonly path: Path; readonly back: Value | undefined; readonly reason: string } | undefined {
  try {
    const back = binding.flatten(binding.unflatten(image))
    const path = Object.keys(image).find((one) => !valuesEqual(back[one], image[one]))
    return path === undefined ? undefined : { path, back: back[path], reason: `${shown(back[path])}` }
  } catch (error) {
    const reason = error instanceof Error ? `lost (${error.message})` : 'lost'
    return { path: Object.keys(image)[0] ?? '', back: undefined, reason }
  }
}

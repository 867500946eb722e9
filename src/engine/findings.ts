import { type Diagnosis, diagnose, diagnosisText } from '../merge/near-miss.ts'
import type { BindingModel, FieldMapping } from '../model/entity.ts'
import type { AppId, CanonicalKey, EntityName } from '../model/ids.ts'
import type { Lane, Note } from '../model/record.ts'
import { type Image, type Path, splitPartPath, type Value } from '../model/value.ts'
import { Candidates } from './candidates.ts'

/** What the hub has learnt of the applications' habits, for people: how a field comes back from there, and whose clock is ahead. */

export const NEAR_MISS_NOTE = 'near-miss'
export const SKEW_NOTE = 'clock'

/** How an application keeps one field that we write. */
export interface NearMiss {
  readonly app: AppId
  readonly entity: EntityName
  /** `creditLimit`, or `lines.qty` of a part. */
  readonly field: string
  readonly native: string
  readonly kind: Diagnosis['kind']
  readonly size: number | null
  readonly text: string
  readonly count: number
  /** The newest example. */
  readonly written: Value
  readonly found: Value
  readonly key: CanonicalKey
  readonly atMs: number
}

/** A clock ahead of ours: times of its changes lie in the future when we hear of them. */
export interface ClockFinding {
  readonly app: AppId
  readonly aheadMs: number
  readonly count: number
  readonly atMs: number
}

/** An application may have a habit for each of its fields; beyond this many the newest are left out. */
const FINDINGS_MAX = 1_000
/** Times ahead by less than this are the ordinary difference of clocks. */
const SKEW_ALARM_MS = 2_000

export class Findings {
  readonly candidates = new Candidates()
  readonly #nearMisses = new Map<string, NearMiss>()
  readonly #clocks = new Map<AppId, ClockFinding>()
  #changed: Note[] = []

  restore(nearMisses: readonly Note[], clocks: readonly Note[]): void {
    this.#nearMisses.clear()
    this.#clocks.clear()
    this.#changed = []
    for (const { id, body } of nearMisses) this.#nearMisses.set(id, body as unknown as NearMiss)
    for (const { body } of clocks) {
      const clock = body as unknown as ClockFinding
      this.#clocks.set(clock.app, clock)
    }
  }

  /** A field of ours came back in another form. Written down when it is new or its diagnosis is, and then at every doubling, so that it costs next to nothing. */
  nearMiss(
    binding: BindingModel,
    key: CanonicalKey,
    path: Path,
    before: Image,
    now: Image,
    atMs: number,
  ): NearMiss | undefined {
    const found = formOf(binding, path, before, now)
    if (found === undefined) return undefined
    const id = `${binding.app} ${binding.entity} ${found.field}`
    const known = this.#nearMisses.get(id)
    if (known === undefined && this.#nearMisses.size >= FINDINGS_MAX) return undefined
    const same = known?.kind === found.diagnosis.kind
    // A text shorter than the limit is kept whole, and a number may end in zeros: the largest size that was seen is the limit.
    const size =
      found.diagnosis.size === undefined ? null : Math.max(found.diagnosis.size, same ? (known.size ?? 0) : 0)
    const diagnosis: Diagnosis = { kind: found.diagnosis.kind, ...(size === null ? {} : { size }) }
    const finding: NearMiss = {
      app: binding.app,
      entity: binding.entity,
      field: found.field,
      native: found.native,
      kind: diagnosis.kind,
      size,
      text: `${binding.app} ${diagnosisText(diagnosis)}`,
      count: (known?.count ?? 0) + 1,
      written: found.written,
      found: found.found,
      key,
      atMs,
    }
    this.#nearMisses.set(id, finding)
    if (!same || known.size !== size || isPowerOfTwo(finding.count))
      this.#changed.push(note(NEAR_MISS_NOTE, id, finding, atMs))
    return finding
  }

  /** The time that an application gives to a change, against ours of its receipt. Returns the finding when it should be said aloud: the first, and at every doubling. */
  clock(app: AppId, sourceTimeMs: number | undefined, receivedMs: number): ClockFinding | undefined {
    if (sourceTimeMs === undefined || sourceTimeMs - receivedMs <= SKEW_ALARM_MS) return undefined
    const known = this.#clocks.get(app)
    const finding: ClockFinding = {
      app,
      aheadMs: Math.max(known?.aheadMs ?? 0, sourceTimeMs - receivedMs),
      count: (known?.count ?? 0) + 1,
      atMs: receivedMs,
    }
    this.#clocks.set(app, finding)
    if (!isPowerOfTwo(finding.count)) return undefined
    this.#changed.push(note(SKEW_NOTE, app, finding, receivedMs))
    return finding
  }

  takeChanged(): readonly Note[] {
    const changed = this.#changed
    this.#changed = []
    return changed
  }
}

/** How one of our values came back: its native field, both values, and what the application made of it. */
export function formOf(
  binding: BindingModel,
  path: Path,
  before: Image,
  now: Image,
): { field: string; native: string; written: Value; found: Value; diagnosis: Diagnosis } | undefined {
  const inPart = splitPartPath(path)
  const part = inPart === undefined ? undefined : binding.parts.find((one) => one.part === inPart.part)
  const fields: readonly FieldMapping[] = inPart === undefined ? binding.fields : (part?.fields ?? [])
  const mapping = fields.find((one) => one.field === (inPart?.field ?? path))
  if (mapping === undefined) return undefined
  const prefix =
    inPart === undefined || part === undefined ? '' : `${part.container}${inPart.element.slice(inPart.part.length)}.`
  for (const name of mapping.natives) {
    const written = before[prefix + name]
    const found = now[prefix + name]
    if (written === undefined || found === undefined || written === found) continue
    const field = inPart === undefined ? path : `${inPart.part}.${inPart.field}`
    return { field, native: name, written, found, diagnosis: diagnose(written, found) }
  }
  return undefined
}

/** What a fold saw as our own value in another form: the values as the application had them, before and now. */
export interface Rendition {
  readonly binding: BindingModel
  readonly paths: readonly Path[]
  readonly before: Lane['image']
  readonly now: Image
  readonly atMs: number
}

const isPowerOfTwo = (count: number): boolean => (count & (count - 1)) === 0
const note = (kind: string, id: string, body: object, atMs: number): Note => ({
  kind,
  id,
  atMs,
  body: { ...body } as unknown as Note['body'],
})

import { type BrakeKind, type BrakeState, brakeId } from '../engine/brake-state.ts'
import type { BindingModel, EntityModel } from '../model/entity.ts'
import type { AppId } from '../model/ids.ts'
import type { Lane, RecordState, Verdict } from '../model/record.ts'
import { setAsideIn } from '../model/state/lane-state.ts'
import { valuesEqual } from '../model/value.ts'

/** Why an application does not hold what the record says, and what would change that. */
export interface WhyNot {
  readonly app: AppId
  /** What it waits for, as a sentence. */
  readonly because: string
  /** What makes it go on: by itself, or what a person can do. */
  readonly until: string
  readonly code: string | null
  readonly sinceMs: number | null
  /** The newest thing that was heard of or done to the record there. */
  readonly last: { readonly atMs: number; readonly verdict: string; readonly text: string } | null
}

/** What stands beside the record. */
export interface Around {
  readonly entity: EntityModel | null
  readonly brakes: readonly BrakeState[]
  /** Entries of the record that are held, by application. */
  readonly held: readonly {
    readonly app: AppId
    readonly seq: number
    readonly waitsOn: string
    readonly code: string
    readonly message: string
    readonly sinceMs: number
  }[]
  readonly verdicts: readonly Verdict[]
  readonly name: string
}

/** For each application that is not in step: why not. An application in step is not in the list. Pure. */
export function whyNotArrived(record: RecordState, around: Around): WhyNot[] {
  const apps = new Set<AppId>([...(around.entity?.bindings.keys() ?? []), ...(Object.keys(record.lanes) as AppId[])])
  return [...apps].flatMap((app) => {
    const binding = around.entity?.bindings.get(app) ?? null
    const why = reasonFor(record, record.lanes[app], app, binding, around)
    if (why === null) return []
    const last = around.verdicts.find((one) => one.app === app)
    return [
      { app, ...why, last: last === undefined ? null : { atMs: last.atMs, verdict: last.verdict, text: last.text } },
    ]
  })
}

type Reason = Omit<WhyNot, 'app' | 'last'>

const of = (because: string, until: string, sinceMs: number | null = null, code: string | null = null): Reason => ({
  because,
  until,
  sinceMs,
  code,
})

function reasonFor(
  record: RecordState,
  lane: Lane | undefined,
  app: AppId,
  binding: BindingModel | null,
  around: Around,
): Reason | null {
  const held = around.held.find((entry) => entry.app === app)
  if (held !== undefined) return heldReason(held)
  if (lane === undefined) return neverThere(record, app, binding, around)
  const { intent, park, reading, waitsFor, retry } = lane
  if (park !== null && !lane.detached)
    return of(
      park.message,
      `${park.code === 'resolve.separated' ? '' : 'a newer value tries once by itself; or '}\`latchwork release ${around.name}\``,
      park.atMs,
      park.code,
    )
  if (intent !== null) {
    const under = `${intent.kind} ${intent.op} is ${intent.state === 'open' ? 'under way' : intent.state}`
    const until =
      intent.state === 'open'
        ? 'its answer; or a restart, after which it is in doubt'
        : 'evidence: a resend under the same key, a read, or the feed'
    return of(under, until, intent.atMs)
  }
  if (reading !== null)
    return of(`the record is being read there (${reading.why})`, 'what the read finds', reading.notBeforeMs || null)
  if (lane.detached)
    return of(
      'it was deleted there and is no longer followed',
      `\`latchwork undelete ${around.name}\` creates it there again`,
    )
  const aside = setAsideIn(record, lane)
  if (aside !== null)
    return of(
      aside.message,
      `\`latchwork resolve ${around.name} <field> --take <app>\``,
      aside.sinceMs ?? null,
      aside.code,
    )
  if (waitsFor !== null)
    return of(
      `it refers to ${waitsFor.entity} ${waitsFor.key}, which is not there yet`,
      `that one has an id in ${app}; see \`explain\` of it`,
      waitsFor.sinceMs,
    )
  if (retry !== null)
    return of(
      `${retry.code}: ${retry.message}, tried ${retry.tries} times`,
      `the next try at ${new Date(retry.notBeforeMs).toISOString()}`,
      null,
      retry.code,
    )
  if (record.deleted) return deletion(record, lane, app, binding, around)
  if (lane.exists !== true) return neverThere(record, app, binding, around)
  const behind = fieldsBehind(record, lane, binding)
  if (behind.length === 0) return null
  const brake = tripped(record, app, around)
  if (brake !== undefined) return brake
  return of(
    `${behind.join(', ')} is to be written`,
    `a free slot; \`latchwork status\` says whether ${app} can be reached`,
  )
}

function heldReason({ seq, waitsOn, code, message, sinceMs }: Around['held'][number]): Reason {
  if (waitsOn === 'operator')
    return of(
      `notification #${seq} could not be folded: ${message}`,
      `a newer notification of the record; or \`latchwork replay ${seq}\``,
      sinceMs,
      code,
    )
  return of(`notification #${seq} waits: ${message}`, `what it waits for (${waitsOn})`, sinceMs)
}

function deletion(
  record: RecordState,
  lane: Lane,
  app: AppId,
  binding: BindingModel | null,
  around: Around,
): Reason | null {
  if (lane.exists !== true) return null
  const { deletion: told } = record
  if (binding?.deletes === 'ignore') return of('its binding says deletes: ignore', 'nothing; it stays there')
  if (told?.untilMs !== undefined)
    return of(
      `${told.app} deleted it; it is in quarantine`,
      `${new Date(told.untilMs).toISOString()}; or \`latchwork undelete ${around.name}\``,
      told.atMs,
    )
  return tripped(record, app, around) ?? of('it is to be deleted there', 'a free slot', told?.atMs ?? null)
}

function neverThere(record: RecordState, app: AppId, binding: BindingModel | null, around: Around): Reason | null {
  if (record.deleted) return null
  if (binding === null) return of('the application is not in the config', 'a binding of it')
  if (!binding.createHere)
    return of(`its binding says createHere: false, so the hub makes none in ${app}`, `somebody creates it in ${app}`)
  const missing = binding.createNeeds.filter((path) => !(path in record.head))
  if (missing.length > 0)
    return of(
      `a new record there needs ${missing.join(', ')}, which nobody has given`,
      'an application that has it gives a value',
    )
  return (
    tripped(record, app, around) ??
    of('it is to be created there', `a free slot; \`latchwork status\` says whether ${app} can be reached`)
  )
}

function tripped(record: RecordState, to: AppId, { brakes }: Around): Reason | undefined {
  const kind = record.deleted ? 'deletes' : 'writes'
  const from = record.deleted ? record.deletion?.app : newest(record)
  const kinds: readonly BrakeKind[] = [kind, 'first-contact']
  const ids = from === undefined ? [] : kinds.map((one) => brakeId({ from, to, kind: one }))
  const brake = brakes.find(({ id }) => ids.includes(id))
  if (brake === undefined) return undefined
  return of(
    `the brake on ${brake.kind} from ${brake.from} holds it`,
    `\`latchwork brake release '${brake.id}'\``,
    brake.sinceMs,
    'brake.tripped',
  )
}

function newest(record: RecordState): AppId | undefined {
  const cells = Object.values(record.head)
  return cells.find((cell) => cell.origin.seq === record.headSeq)?.origin.app
}

function fieldsBehind(record: RecordState, lane: Lane, binding: BindingModel | null): string[] {
  return Object.keys(record.head).filter((path) => {
    const value = record.head[path]?.value
    if (valuesEqual(value, lane.sent[path]) || (value === false && lane.sent[path] === undefined)) return false
    if (binding === null) return path in lane.sent
    const open = path.indexOf('[')
    if (open < 0) return binding.fields.some((field) => field.field === path && field.direction !== 'in')
    const part = binding.parts.find((one) => one.part === path.slice(0, open))
    const name = path.slice(path.indexOf(']') + 2)
    return (
      part !== undefined &&
      (name === '' || part.fields.some((field) => field.field === name && field.direction !== 'in'))
    )
  })
}

/** One line of the timeline: a verdict with the id of the record there, and how long its write took. */
export interface TimelineEntry extends Verdict {
  readonly nativeId: string | null
  /** Since the write that it answers was decided, where it answers one: how long the latch had been closed. */
  readonly latchedForMs: number | null
  /** Since the entry before it, whatever the application. */
  readonly afterMs: number
}

/** The verdicts of a record over all applications, oldest first, with ids joined and times between. */
export function timelineOf(record: RecordState, verdicts: readonly Verdict[]): TimelineEntry[] {
  const decidedAt = new Map<string, number>()
  let beforeMs: number | null = null
  return verdicts.map((verdict) => {
    if (verdict.op !== undefined && verdict.verdict === 'intent') decidedAt.set(verdict.op, verdict.atMs)
    const since = verdict.op === undefined || verdict.verdict === 'intent' ? undefined : decidedAt.get(verdict.op)
    const entry = {
      ...verdict,
      nativeId: record.lanes[verdict.app]?.nativeId ?? null,
      latchedForMs: since === undefined ? null : Math.max(0, verdict.atMs - since),
      afterMs: beforeMs === null ? 0 : Math.max(0, verdict.atMs - beforeMs),
    }
    beforeMs = verdict.atMs
    return entry
  })
}

import type { BrakeLimits } from '../model/entity.ts'
import type { AppId, CanonicalKey } from '../model/ids.ts'
import type { Note } from '../model/record.ts'
import { BRAKE_NOTE, type BrakeKind, type BrakeState, brakeId, type Direction } from './brake-state.ts'
import { FirstContact } from './first-contact.ts'

/** Slices of a window: enough that the count is at most a twentieth too high or low, few enough to add up for every write. */
const SLICES = 20
const MINUTE_MS = 60_000
/** One percent of a number that is ten minutes old is near enough. */
const COUNT_EVERY_MS = 600_000

interface Slice {
  readonly at: number
  count: number
}

/**
 * The brake on the blast radius: how many deletes and writes went from one application to another lately, and whether more may. What has tripped holds, over restarts too, until a person
 * releases it. The counts are in memory only: a restart forgets at most one window of them.
 */
export class Brakes {
  readonly #limits: BrakeLimits
  readonly #slices = new Map<string, Slice[]>()
  readonly #states = new Map<string, BrakeState>()
  /** Lanes that wait for a brake, by its id. */
  readonly #held = new Map<string, Map<CanonicalKey, AppId>>()
  #records = 0
  #countedAtMs = Number.NEGATIVE_INFINITY
  /** Notes to be written with the commit under way. */
  #changed: Note[] = []
  /** The brake on what a first contact would create. */
  readonly contact: FirstContact

  constructor(limits: BrakeLimits) {
    this.#limits = limits
    this.contact = new FirstContact(limits.firstContactCreates)
  }

  /** After a start: what had tripped is tripped, and what was being read for the first time still is. */
  restore(notes: readonly Note[], contacts: readonly Note[] = []): void {
    this.#states.clear()
    this.#held.clear()
    this.#changed = []
    const states = notes.map(({ body }) => body as unknown as BrakeState)
    for (const state of states) if (state.kind !== 'first-contact') this.#states.set(state.id, state)
    this.contact.restore(
      contacts,
      states.filter(({ kind }) => kind === 'first-contact'),
    )
  }

  /** Percentages are of this many records. Asked of the store only when something is deleted, because counting a million rows takes a while. */
  learnRecords(records: number, nowMs: number): void {
    this.#records = records
    this.#countedAtMs = nowMs
  }

  /** Whether the number of records must be asked for before deletes are planned: it never was, or not for long. */
  wantsRecords(nowMs: number): boolean {
    return this.#limits.deletes !== null && Math.abs(nowMs - this.#countedAtMs) >= COUNT_EVERY_MS
  }

  /** Counts one more in this direction, or refuses it: then the brake has tripped, and the lane is held until it is released. */
  pass(direction: Direction, key: CanonicalKey, nowMs: number): boolean {
    const limit = this.#limitOf(direction.kind)
    if (limit === null) return true
    const id = brakeId(direction)
    const state = this.#states.get(id)
    if (state?.state === 'released') {
      if (nowMs < (state.untilMs ?? 0)) return true
      this.#states.delete(id)
      this.#changed.push({ kind: BRAKE_NOTE, id, atMs: nowMs, body: null })
    }
    if (state?.state === 'tripped') return this.#hold(id, key, direction.to)
    const slices = this.#recent(id, limit.withinMs, nowMs)
    const count = sum(slices)
    if (count >= limit.most) {
      this.#trip(direction, count, limit, nowMs)
      return this.#hold(id, key, direction.to)
    }
    const at = Math.floor(nowMs / (limit.withinMs / SLICES))
    const last = slices.at(-1)
    if (last?.at === at) last.count++
    else slices.push({ at, count: 1 })
    return true
  }

  #limitOf(kind: BrakeKind): { readonly most: number; readonly withinMs: number } | null {
    const { deletes, writesPerMinute } = this.#limits
    if (kind === 'writes') return writesPerMinute === null ? null : { most: writesPerMinute, withinMs: MINUTE_MS }
    if (deletes === null) return null
    return {
      most: Math.max(deletes.least, Math.floor((this.#records * deletes.percent) / 100)),
      withinMs: deletes.withinMs,
    }
  }

  #recent(id: string, withinMs: number, nowMs: number): Slice[] {
    const first = Math.floor(nowMs / (withinMs / SLICES)) - SLICES
    let slices = this.#slices.get(id)
    if (slices === undefined) this.#slices.set(id, (slices = []))
    // A clock that was set back leaves slices of the future: they count like the newest.
    while (slices.length > 0 && (slices[0] as Slice).at <= first) slices.shift()
    return slices
  }

  #trip(direction: Direction, count: number, limit: { most: number; withinMs: number }, nowMs: number): void {
    const state: BrakeState = {
      ...direction,
      id: brakeId(direction),
      state: 'tripped',
      count,
      limit: limit.most,
      withinMs: limit.withinMs,
      sinceMs: nowMs,
      untilMs: null,
    }
    this.#states.set(state.id, state)
    this.#changed.push(noteOf(state, nowMs))
  }

  #hold(id: string, key: CanonicalKey, app: AppId): false {
    let held = this.#held.get(id)
    if (held === undefined) this.#held.set(id, (held = new Map()))
    held.set(key, app)
    return false
  }

  /** Lets a brake go: what it held may leave, and as much again within one window. Returns the lanes; undefined when it is not tripped. */
  release(id: string, nowMs: number): readonly (readonly [AppId, CanonicalKey])[] | undefined {
    const state = this.#states.get(id)
    if (state?.state !== 'tripped') return this.contact.release(id, nowMs)
    const released: BrakeState = {
      ...state,
      state: 'released',
      untilMs: nowMs + Math.max(state.withinMs, RELEASED_MIN_MS),
    }
    this.#states.set(id, released)
    this.#slices.delete(id)
    this.#changed.push(noteOf(released, nowMs))
    const held = this.#held.get(id) ?? new Map<CanonicalKey, AppId>()
    this.#held.delete(id)
    return [...held].map(([key, app]) => [app, key] as const)
  }

  /** Brakes that hold, with how many records wait for each. */
  tripped(): readonly (BrakeState & { readonly held: number })[] {
    const tripped = [...this.#states.values()]
      .filter(({ state }) => state === 'tripped')
      .map((state) => ({ ...state, held: this.#held.get(state.id)?.size ?? 0 }))
    return [...tripped, ...this.contact.tripped()]
  }

  /** What has changed since the last commit that took. */
  takeChanged(): readonly Note[] {
    const changed = [...this.#changed, ...this.contact.takeChanged()]
    this.#changed = []
    return changed
  }
}

/** A mass change that was released takes a while at the pace of the application. */
const RELEASED_MIN_MS = 600_000

const sum = (slices: readonly Slice[]): number => slices.reduce((all, { count }) => all + count, 0)
const noteOf = (state: BrakeState, atMs: number): Note => ({
  kind: BRAKE_NOTE,
  id: state.id,
  atMs,
  body: { ...state } as unknown as Note['body'],
})

import type { AppId, CanonicalKey } from '../model/ids.ts'
import type { Note } from '../model/record.ts'
import { BRAKE_NOTE, type BrakeState, brakeId, type Direction } from './brake-state.ts'

/** Applications whose feeds are being read for the first time, by name; and whether a person has said yes to what it leads to. */
export const CONTACT_NOTE = 'first-contact'
const CONFIRMED = '*'
/** Releases everything that waits for a person because of a first contact, and what is still being read. */
export const FIRST_CONTACT = 'first-contact'

/** Lanes of one direction that want a write, and whether it would be a create. */
interface Held {
  readonly direction: Direction
  readonly lanes: Map<CanonicalKey, boolean>
}

/**
 * A feed that was never read begins with everything that its application holds. What that leads to in others waits until all of such feeds are read and decided on; then it is counted. Where it
 * would create more than a person would make by hand in an afternoon, it goes on waiting, as a tripped brake, until a person says that it is meant.
 */
export class FirstContact {
  /** null: nobody is asked. */
  readonly #createsMax: number | null
  readonly #reading = new Set<AppId>()
  readonly #held = new Map<string, Held>()
  readonly #tripped = new Map<string, BrakeState>()
  #isConfirmed = false
  #changed: Note[] = []

  constructor(createsMax: number | null) {
    this.#createsMax = createsMax
  }

  restore(contacts: readonly Note[], brakes: readonly BrakeState[]): void {
    this.#reading.clear()
    this.#held.clear()
    this.#tripped.clear()
    this.#changed = []
    this.#isConfirmed = contacts.some(({ id }) => id === CONFIRMED)
    for (const { id } of contacts) if (id !== CONFIRMED) this.#reading.add(id as AppId)
    for (const state of brakes) if (state.state === 'tripped') this.#tripped.set(state.id, state)
  }

  /** Nothing is held and nothing read for the first time: the usual case. */
  get isOver(): boolean {
    return this.#reading.size === 0 && this.#tripped.size === 0
  }

  /** Some application is still being read for the first time. */
  get isUnderWay(): boolean {
    return this.#reading.size > 0
  }

  isReading(app: AppId): boolean {
    return this.#reading.has(app)
  }

  /** An application whose feed was never read. What is to be written down must be so before anything is read. */
  begin(app: AppId, nowMs: number): Note {
    this.#reading.add(app)
    return { kind: CONTACT_NOTE, id: app, atMs: nowMs, body: { state: 'reading' } }
  }

  /** A lane that is planned anew may want no write any more: a record that was read later turned out to be the same. */
  forget(key: CanonicalKey, to: AppId): void {
    for (const { direction, lanes } of this.#held.values()) if (direction.to === to) lanes.delete(key)
  }

  /** Whether a write may leave; otherwise its lane is held. */
  passes({ from, to }: Pick<Direction, 'from' | 'to'>, key: CanonicalKey, isCreate: boolean): boolean {
    const direction: Direction = { from, to, kind: FIRST_CONTACT }
    const id = brakeId(direction)
    const isAsked = this.#createsMax !== null && !this.#isConfirmed
    const isRead = isAsked && (this.#reading.has(from) || this.#reading.has(to))
    if (!isRead && !this.#tripped.has(id)) return true
    let held = this.#held.get(id)
    if (held === undefined) this.#held.set(id, (held = { direction, lanes: new Map() }))
    held.lanes.set(key, isCreate)
    return false
  }

  /** All that an application held is read and decided on. Once it is so for all, what may go goes: the lanes that were held for nothing. */
  end(app: AppId, nowMs: number): readonly (readonly [AppId, CanonicalKey])[] {
    if (!this.#reading.delete(app)) return []
    this.#changed.push({ kind: CONTACT_NOTE, id: app, atMs: nowMs, body: null })
    if (this.#reading.size > 0) return []
    this.#isConfirmed = false
    this.#changed.push({ kind: CONTACT_NOTE, id: CONFIRMED, atMs: nowMs, body: null })
    const free: (readonly [AppId, CanonicalKey])[] = []
    for (const [id, held] of this.#held) {
      const creates = [...held.lanes.values()].filter((isCreate) => isCreate).length
      if (this.#tripped.has(id)) continue
      if (this.#createsMax !== null && creates > this.#createsMax) this.#trip(held.direction, creates, nowMs)
      else free.push(...this.#free(id))
    }
    return free
  }

  #trip(direction: Direction, count: number, nowMs: number): void {
    const id = brakeId(direction)
    const limit = this.#createsMax ?? 0
    const state: BrakeState = {
      ...direction,
      id,
      state: 'tripped',
      count,
      limit,
      withinMs: 0,
      sinceMs: nowMs,
      untilMs: null,
    }
    this.#tripped.set(id, state)
    this.#changed.push({ kind: BRAKE_NOTE, id, atMs: nowMs, body: { ...state } as unknown as Note['body'] })
  }

  #free(id: string): (readonly [AppId, CanonicalKey])[] {
    const held = this.#held.get(id)
    this.#held.delete(id)
    return held === undefined ? [] : [...held.lanes.keys()].map((key) => [held.direction.to, key] as const)
  }

  /** A person says that one direction is meant, or with `FIRST_CONTACT` all of it. Undefined when nothing waits under that name. */
  release(id: string, nowMs: number): readonly (readonly [AppId, CanonicalKey])[] | undefined {
    const isAll = id === FIRST_CONTACT
    if (!isAll && !this.#tripped.has(id)) return undefined
    if (isAll && this.#reading.size > 0 && !this.#isConfirmed) {
      this.#isConfirmed = true
      this.#changed.push({ kind: CONTACT_NOTE, id: CONFIRMED, atMs: nowMs, body: { state: 'confirmed' } })
    }
    const ids = isAll ? new Set([...this.#held.keys(), ...this.#tripped.keys()]) : [id]
    const free: (readonly [AppId, CanonicalKey])[] = []
    for (const one of ids) {
      if (this.#tripped.delete(one)) this.#changed.push({ kind: BRAKE_NOTE, id: one, atMs: nowMs, body: null })
      free.push(...this.#free(one))
    }
    return free
  }

  tripped(): readonly (BrakeState & { readonly held: number })[] {
    return [...this.#tripped.values()].map((state) => ({
      ...state,
      held: this.#held.get(state.id)?.lanes.size ?? 0,
    }))
  }

  takeChanged(): readonly Note[] {
    const changed = this.#changed
    this.#changed = []
    return changed
  }
}

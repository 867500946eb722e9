import { SEPARATED } from '../../../deliver/plan.ts'
import type { CanonicalKey } from '../../../model/ids.ts'
import type { HeldEntry, OpenLane, RecordState } from '../../../model/record.ts'
import { REFUSED_TEXT } from '../apps/app.ts'
import type { HubEnd } from '../history.ts'
import type { Oracle } from '../oracle.ts'

/** Codes of held entries on which only a person can decide. */
const FOR_PEOPLE: ReadonlySet<string> = new Set(['resolve.ambiguous'])

/**
 * What may be left waiting when everything has come to rest, and why: that on which only a person can decide, and what refers to it, in that application. Everything
 * else that is left has been delayed by something that does not concern it.
 */
export class Excuses {
  readonly #oracle: Oracle
  readonly #end: HubEnd
  /** `<app> <native id>` of records that are stuck in their application. */
  readonly #natives = new Set<string>()
  /** `<key> <app>` of lanes likewise. */
  readonly #lanes = new Set<string>()

  constructor(oracle: Oracle, end: HubEnd) {
    this.#oracle = oracle
    this.#end = end
    for (const entry of end.held) if (isForPeople(entry)) this.#natives.add(`${entry.app} ${entry.nativeId}`)
    for (const lane of end.openLanes)
      if (lane.code === SEPARATED || this.#isRefused(lane) || this.#isTaken(lane) || this.#isLost(lane))
        this.#stuck(lane)
    for (let before = -1; before !== this.#size; ) {
      before = this.#size
      for (const entry of end.held) if (this.#waitsForStuck(entry)) this.#natives.add(`${entry.app} ${entry.nativeId}`)
      for (const lane of end.openLanes) if (this.#refersToStuck(lane) || this.#lacksStuck(lane)) this.#stuck(lane)
    }
  }

  get #size(): number {
    return this.#natives.size + this.#lanes.size
  }

  /** Whether something that its application told of a record waits for a person. */
  native({ app, nativeId }: Pick<HeldEntry, 'app' | 'nativeId'>): boolean {
    return this.#natives.has(`${app} ${nativeId}`)
  }

  entry(entry: HeldEntry): boolean {
    return this.native(entry)
  }

  lane(lane: OpenLane): boolean {
    return this.#lanes.has(`${lane.key} ${lane.app}`) || this.#natives.has(`${lane.app} ${this.#nativeIn(lane)}`)
  }

  #stuck(lane: OpenLane): void {
    this.#lanes.add(`${lane.key} ${lane.app}`)
    const nativeId = this.#nativeIn(lane)
    if (nativeId !== undefined) this.#natives.add(`${lane.app} ${nativeId}`)
  }

  #state(key: CanonicalKey): RecordState | undefined {
    return this.#end.states.find((state) => state.key === key)
  }

  /** The key of the record that one has become, if a person said so. */
  #nowUnder(key: CanonicalKey): CanonicalKey {
    const mergedInto = this.#state(key)?.mergedInto
    return mergedInto === undefined ? key : this.#nowUnder(mergedInto)
  }

  #nativeIn({ key, app }: OpenLane): string | undefined {
    return this.#state(key)?.lanes[app]?.nativeId ?? undefined
  }

  /** A text that its application does not take: set aside until somebody changes it. */
  #isRefused(lane: OpenLane): boolean {
    if (lane.code !== 'target.rejected' || this.#oracle.history.apps.get(lane.app)?.strict !== true) return false
    const head = this.#state(lane.key)?.head ?? {}
    return Object.values(head).some(({ value }) => typeof value === 'string' && value.includes(REFUSED_TEXT))
  }

  /** A create of unknown outcome, where nothing can tell whether it was done: shown to a person, as docs/protocol.md section 6 says. */
  #isLost(lane: OpenLane): boolean {
    return lane.code === 'target.create-unknown' && this.#oracle.history.apps.get(lane.app)?.tellsCreates === false
  }

  /** It lacks a value that another application told of its record, in what waits for a person there. */
  #lacksStuck({ key, code }: OpenLane): boolean {
    if (code !== 'incomplete') return false
    const lanes = Object.values(this.#state(key)?.lanes ?? {})
    return lanes.some(({ app, nativeId }) => this.#natives.has(`${app} ${nativeId}`))
  }

  #hasLost({ app, object }: HeldEntry): boolean {
    return this.#end.openLanes.some((lane) => lane.app === app && this.#isLost(lane) && this.#objectOf(lane) === object)
  }

  #objectOf({ app, entity }: OpenLane): string | undefined {
    return this.#oracle.history.apps.get(app)?.objects.get(entity)?.object
  }

  /** An application that allows each code once refused a record because it still had an older one of that code, which went only later. */
  #isTaken(lane: OpenLane): boolean {
    if (lane.code !== 'target.duplicate') return false
    const record = this.#oracle.recordOfKey.get(lane.key)
    return this.#oracle.history.versions.some(
      (version) => version.kind === 'delete' && version.app === lane.app && version.record === record,
    )
  }

  /** It refers to a record that is stuck, or stands behind an entry of its own record that does. */
  #waitsForStuck(entry: HeldEntry): boolean {
    // Where nothing tells what became of a create, whatever appears there may be what it made, until a person has looked.
    if (entry.waitsOn === 'creates') return this.#hasLost(entry)
    if (entry.waitsOn !== 'reference') return false
    return entry.waitsFor.some((name) => this.#natives.has(`${entry.app} ${name.slice(name.indexOf(':') + 1)}`))
  }

  #refersToStuck(lane: OpenLane): boolean {
    const waitsFor = this.#state(lane.key)?.lanes[lane.app]?.waitsFor
    return waitsFor != null && this.#lanes.has(`${this.#nowUnder(waitsFor.key)} ${lane.app}`)
  }
}

const isForPeople = (entry: HeldEntry): boolean => entry.code !== null && FOR_PEOPLE.has(entry.code)

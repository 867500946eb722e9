import type { CanonicalKey } from '../../model/ids.ts'
import type { RecordState } from '../../model/record.ts'
import type { AppVersion, History, Violation } from './history.ts'
import type { Trace } from './trace.ts'
import { VirtualClock } from './virtual-clock.ts'

/** What all parts of one run share: time, the history that the checkers will judge, and the first promise seen broken on the way. */
export class World {
  readonly clock = new VirtualClock()
  readonly history: History
  readonly trace: Trace
  /** Found while the run was going on; ends it. */
  violation: Violation | null = null
  /** Requests and notifications under way: the run has not come to rest while there are any. */
  underWay = 0
  /** Records as the hub's store has them: what has been committed, and nothing else. */
  readonly stored = new Map<CanonicalKey, RecordState>()
  /** Which thing in the world a record of an application is, by application, entity and native id. */
  readonly things = new Map<string, number>()
  /** Set when everything has come to rest: from then on the hub has no reason to write. */
  isQuiet = false
  readsAfterQuiet = 0
  #seq = 0

  constructor(history: History, trace: Trace) {
    this.history = history
    this.trace = trace
  }

  nextSeq(): number {
    return ++this.#seq
  }

  get seq(): number {
    return this.#seq
  }

  /** True wall-clock time at a virtual time; what applications stamp, unaffected by jumps of the hub's clock. */
  wallAt(atMs: number): number {
    return VirtualClock.EPOCH_MS + atMs
  }

  fail(checker: string, message: string): void {
    this.violation ??= { checker, message }
  }

  /** The thing that a canonical record stands for, by the records of applications that the hub has joined under its key. */
  thingOfKey(key: CanonicalKey): number | undefined {
    let state = this.stored.get(key)
    while (state?.mergedInto !== undefined) state = this.stored.get(state.mergedInto)
    for (const { app, nativeId } of Object.values(state?.lanes ?? {})) {
      const thing = this.things.get(`${app} ${state?.entity} ${nativeId}`)
      if (thing !== undefined) return thing
    }
    return undefined
  }

  committed(version: AppVersion): void {
    if (version.kind === 'create')
      this.things.set(`${version.app} ${version.entity} ${version.nativeId}`, version.record)
    this.history.versions.push(version)
    this.trace.mix(version.app + version.kind + version.nativeId, version.atMs)
    if (this.trace.isOn) this.trace.say(version.atMs, version.app, describe(version))
  }

  say(who: string, text: string): void {
    this.trace.say(this.clock.monotonicMs(), who, text)
  }
}

/** One version in a line: what became of which record, and through whom. */
export function describe(version: AppVersion): string {
  const by = version.user === null ? `hub ${version.hub?.op}` : `user action ${version.user.action}`
  const values = version.changed.map((path) => `${path}=${JSON.stringify(version.cells[path] ?? null)}`).join(' ')
  return `${version.kind} K${version.record} (${version.nativeId}) by ${by}${version.kind === 'delete' ? '' : ': ' + values}`
}

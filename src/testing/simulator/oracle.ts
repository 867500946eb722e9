import type { AppId, CanonicalKey, EntityName } from '../../model/ids.ts'
import { type Path, type Value, valuesEquivalent } from '../../model/value.ts'
import type { AppObject } from './apps/mapping.ts'
import {
  type EntitySpec,
  fieldAt,
  NULL_TAINT,
  referenceTaint,
  type Taint,
  taintOf,
  UNJUDGED,
  UNREADABLE,
} from './fields.ts'
import type { AppVersion, History, HistoryApp } from './history.ts'

/** One user's write of one field: a node of the tree of what each write was based on. */
export interface WriteNode {
  readonly version: AppVersion
  readonly path: Path
  readonly taint: Taint
  readonly value: Value
  /** What stood in the field when it was written, and so was superseded knowingly. */
  readonly parents: readonly WriteNode[]
  /** The hub's write that took its place in its own application, without any other user's doing. */
  overwrittenBy: AppVersion | null
}

/** A value that the hub wrote and should not have. */
export interface Finding {
  readonly version: AppVersion
  readonly path: Path
  readonly text: string
}

/** Which writes stand behind every value in every application: by record and path, lists that the taint of a value chooses from. */
type Sources = Record<Path, readonly WriteNode[]>

const NOBODY: readonly WriteNode[] = []

/**
 * The ancestor oracle: replays the applications' own logs and finds, for every value, the users' writes that it stands for. A value names its writer by its taint; where several
 * writes share one (a value set back to what it was, null, presences) all of them are candidates, and only what holds for each of them counts against the hub.
 */
export class Oracle {
  readonly history: History
  /** Every user's write, in order. */
  readonly writes: WriteNode[] = []
  /** Last versions of the records that are live at the end, and what stands behind their cells. */
  readonly live = new Map<string, { readonly version: AppVersion; readonly sources: Sources }>()
  /** Writes that a deletion took away with its user's knowledge. */
  readonly deletedKnowingly: { readonly node: WriteNode; readonly deletion: AppVersion }[] = []
  readonly userDeletes: AppVersion[] = []
  readonly fabricated: Finding[] = []
  readonly older: Finding[] = []
  /** Records that an application completed with values of its own when the hub made them: as good as an edit of a user there. */
  readonly completed = new Set<AppVersion>()
  /** Conflicts that an all-knowing hub would not have had. */
  needlessConflicts = 0
  readonly recordOfKey = new Map<CanonicalKey, number>()
  readonly #byTaint = new Map<string, WriteNode[]>()
  /** Every value that an application came to hold by itself: what users wrote, and its own defaults. */
  readonly #nodes: WriteNode[] = []
  readonly #recordOfNative = new Map<string, number>()
  readonly #specs = new Map<number, EntitySpec>()
  readonly #objects = new Map<AppId, HistoryApp>()

  constructor(history: History) {
    this.history = history
    for (const [app, info] of history.apps) this.#objects.set(app, info)
    for (const { app, entity, nativeId, record } of history.versions)
      this.#recordOfNative.set(`${app} ${entity} ${nativeId}`, record)
    for (const link of history.end?.links ?? []) {
      const record = this.#recordOfNative.get(`${link.app} ${link.entity} ${link.nativeId}`)
      if (link.key !== null && record !== undefined) this.recordOfKey.set(link.key, record)
    }
    for (const { key, mergedInto } of history.end?.states ?? []) {
      const record = mergedInto === undefined ? undefined : this.recordOfKey.get(mergedInto)
      if (record !== undefined) this.recordOfKey.set(key, record)
    }
    for (const version of history.versions) this.#take(version)
  }

  object(version: AppVersion): AppObject {
    return this.#objects.get(version.app)?.objects.get(version.entity) as AppObject
  }

  isBlind(app: AppId): boolean {
    return this.#objects.get(app)?.blind === true
  }

  /** Whether a write of the hub may take the place of an edit that it could not know of: for good, or until it is repaired. */
  overwritesUnread(app: AppId): boolean {
    return this.isBlind(app) || this.#objects.get(app)?.repairs === true
  }

  candidates(record: number, path: Path, taint: Taint): readonly WriteNode[] {
    return this.#byTaint.get(`${record} ${path} ${taint}`) ?? NOBODY
  }

  /** The writes that a write of the hub stands for: those of its value, or what the user saw whose deletion it carries out. */
  standingFor(version: AppVersion, path: Path): readonly WriteNode[] {
    if (version.kind === 'delete') {
      const known = this.deletedKnowingly.filter(
        ({ node, deletion }) => node.path === path && deletion.record === version.record && deletion.seq < version.seq,
      )
      return known.map(({ node }) => node)
    }
    const taint = this.#taintOfNative(version, path, version.cells[path])
    return this.candidates(version.record, path, taint).filter((node) => node.version.seq < version.seq)
  }

  /** Whether the hub has made a write of a user part of a head, or decided against it: only then it knows that there was one. */
  isTakenUp(node: WriteNode): boolean {
    const { record, app, seq } = node.version
    return (
      this.stood(node) ||
      this.history.logged.some(
        ({ seq: loggedSeq, conflict: one }) =>
          loggedSeq > seq &&
          one.loserApp === app &&
          one.path === node.path &&
          this.recordOfKey.get(one.key) === record &&
          this.taintOfCanonical(record, one.path, one.loserValue) === node.taint,
      )
    )
  }

  /** Whether the hub has made a write of a user part of a head, at whatever time or by then. */
  stood(node: WriteNode, untilSeq = Number.POSITIVE_INFINITY): boolean {
    const { record, app, seq } = node.version
    return this.history.heads.some(
      (head) =>
        head.app === app &&
        head.path === node.path &&
        head.seq > seq &&
        head.seq < untilSeq &&
        this.recordOfKey.get(head.key) === record &&
        this.taintOfCanonical(record, head.path, head.value) === node.taint,
    )
  }

  /** The taint of a canonical value, as in heads and conflicts. */
  taintOfCanonical(record: number, path: Path, value: Value): Taint {
    const spec = this.#specOf(record)
    const field = spec === undefined ? undefined : fieldAt(spec, path)
    if (field === undefined) return UNREADABLE
    if (field.kind !== 'reference' || value === null) return taintOf(field, value)
    const referred = this.recordOfKey.get(value as CanonicalKey)
    return referred === undefined ? UNREADABLE : referenceTaint(referred)
  }

  /** Whether the hub could not have seen a write when it sent one of its own: committed in the application after the hub's last look. */
  isUnseen(write: WriteNode, overwrite: AppVersion): boolean {
    if (overwrite.hub === null || write.version.app !== overwrite.app) return false
    let seenSeq = 0
    for (const read of this.history.reads) {
      if (read.app !== overwrite.app || read.nativeId !== overwrite.nativeId || read.object !== overwrite.object)
        continue
      if (read.receivedAtMs <= overwrite.hub.sentAtMs) seenSeq = Math.max(seenSeq, read.capturedSeq)
    }
    return write.version.seq > seenSeq
  }

  #specOf(record: number): EntitySpec | undefined {
    return this.#specs.get(record)
  }

  #taintOfNative(version: AppVersion, path: Path, native: Value | undefined): Taint {
    const object = this.object(version)
    const field = fieldAt(object.spec, path)
    if (field === undefined) return UNREADABLE
    if (native === undefined || field.kind === 'presence') return taintOf(field, native)
    const value = object.canonical(path, native)
    if (value === undefined) return this.#taintOfUntold(version, path, native)
    if (field.kind !== 'reference' || value === null) return taintOf(field, value)
    const referred = this.#recordOfNative.get(`${version.app} ${field.refersTo as EntityName} ${value}`)
    return referred === undefined ? UNREADABLE : referenceTaint(referred)
  }

  /** Of an application that is only written to: the newest value of another whose form this is. */
  #taintOfUntold(version: AppVersion, path: Path, native: Value): Taint {
    const object = this.object(version)
    for (let i = this.#nodes.length - 1; i >= 0; i--) {
      const node = this.#nodes[i] as WriteNode
      if (node.version.record !== version.record || node.path !== path) continue
      const value = this.object(node.version).canonical(path, node.value)
      if (value !== undefined && object.isKept(path, value, native)) return node.taint
    }
    return native === null ? NULL_TAINT : UNREADABLE
  }

  #take(version: AppVersion): void {
    const place = `${version.app} ${version.object} ${version.nativeId}`
    if (!this.#specs.has(version.record)) this.#specs.set(version.record, this.object(version).spec)
    if (version.hub !== null) this.recordOfKey.set(version.hub.key, version.record)
    const sources: Sources = this.live.get(place)?.sources ?? {}
    if (version.kind === 'delete') {
      this.#takeDelete(version, sources)
      this.live.delete(place)
      return
    }
    for (const path of version.changed) {
      if (path.startsWith(UNJUDGED)) continue
      const before = sources[path] ?? NOBODY
      if (version.user === null) this.#takeHubValue(version, path, before, sources)
      else this.#takeUserValue(version, path, before, sources)
    }
    this.live.set(place, { version, sources })
  }

  #takeDelete(version: AppVersion, sources: Sources): void {
    if (version.user !== null) this.userDeletes.push(version)
    for (const path in sources) {
      if (version.user === null) this.#overwritten(version, sources[path] as readonly WriteNode[])
      else this.#deletedKnowingly(version, sources[path] as readonly WriteNode[])
    }
  }

  #deletedKnowingly(deletion: AppVersion, nodes: readonly WriteNode[]): void {
    for (const node of nodes) this.deletedKnowingly.push({ node, deletion })
  }

  #takeUserValue(version: AppVersion, path: Path, parents: readonly WriteNode[], sources: Sources): void {
    const value = version.cells[path]
    if (value === undefined && path.includes('].')) {
      // A field of an element that was taken out: gone with the element, knowingly.
      this.#deletedKnowingly(version, parents)
      delete sources[path]
      return
    }
    const node = this.#node(version, path, value ?? null, parents)
    this.writes.push(node)
    sources[path] = [node]
  }

  #takeHubValue(version: AppVersion, path: Path, before: readonly WriteNode[], sources: Sources): void {
    const value = version.cells[path]
    if (value === undefined && path.includes('].')) {
      this.#overwritten(version, before)
      delete sources[path]
      return
    }
    const taint = this.#taintOfNative(version, path, value)
    if (before.some((node) => node.taint === taint)) return
    // A copy: the list goes on growing, and what comes later cannot stand behind this value.
    const candidates = [...this.candidates(version.record, path, taint)]
    this.#overwritten(version, before)
    if (candidates.length > 0) {
      this.#judgeOrder(version, path, before, candidates)
      sources[path] = candidates
    } else if (version.kind === 'create' && !(path in (version.hub?.written ?? {})) && value !== undefined) {
      // The application's own default for a field that was not given: from now on it is a value that an application put there.
      sources[path] = [this.#node(version, path, value, NOBODY)]
      if (value !== null) this.completed.add(version)
    } else if (fieldAt(this.object(version).spec, path)?.blends === true) {
      sources[path] = this.writes.filter((node) => node.version.record === version.record && node.path === path)
    } else {
      sources[path] = NOBODY
      const isDeclared =
        this.overwritesUnread(version.app) && before.length > 0 && before.every((node) => this.isUnseen(node, version))
      if (!isDeclared)
        this.fabricated.push({
          version,
          path,
          text: `${JSON.stringify(value ?? null)}, which no user ever put into ${path} of K${version.record}`,
        })
    }
  }

  #node(version: AppVersion, path: Path, value: Value, parents: readonly WriteNode[]): WriteNode {
    const taint = this.#taintOfNative(version, path, value ?? undefined)
    const node: WriteNode = { version, path, taint, value, parents, overwrittenBy: null }
    const key = `${version.record} ${path} ${taint}`
    const list = this.#byTaint.get(key)
    this.#nodes.push(node)
    if (list === undefined) this.#byTaint.set(key, [node])
    else list.push(node)
    return node
  }

  #overwritten(version: AppVersion, before: readonly WriteNode[]): void {
    for (const node of before) if (node.version.app === version.app) node.overwrittenBy ??= version
  }

  /**
   * A write of unknown outcome under a user's edit, and a value that an application cut down without telling, cannot be told from edits that users made without having seen ours
   * (docs/protocol.md step 15 ii and section 6, case 8): they are decided as conflicts, and what they beat is kept. Then the order is excused, and counted.
   */
  #isLossyRendition(version: AppVersion, path: Path, candidates: readonly WriteNode[]): boolean {
    const written = version.hub?.written[path]
    return candidates.every((node) => !valuesEquivalent(this.object(node.version).canonical(path, node.value), written))
  }

  #isListed(node: WriteNode): boolean {
    const { record } = node.version
    return (this.history.end?.conflicts ?? []).some(
      (conflict) =>
        conflict.path === node.path &&
        this.recordOfKey.get(conflict.key) === record &&
        this.taintOfCanonical(record, node.path, conflict.loserValue) === node.taint,
    )
  }

  /** No value may be replaced by one that it is known to supersede. */
  #judgeOrder(version: AppVersion, path: Path, before: readonly WriteNode[], candidates: readonly WriteNode[]): void {
    const [now] = before
    if (now === undefined || before.length > 1 || !candidates.every((node) => isSureAncestor(node, now))) return
    if (this.overwritesUnread(version.app) && this.isUnseen(now, version)) return
    if (
      this.history.apps.get(version.app)?.contentTokens === true &&
      candidates.some((node) => now.parents.includes(node)) &&
      !this.isTakenUp(now)
    ) {
      // Undone by a user before the hub knew that its write had been done: an application whose versions are made from the content cannot tell.
      this.needlessConflicts++
      return
    }
    if (this.#isListed(now) && (this.history.doubts || this.#isLossyRendition(version, path, candidates))) {
      this.needlessConflicts++
      return
    }
    const text = `${shown(candidates[0])} over ${shown(now)}, which was based on it`
    this.older.push({ version, path, text })
  }
}

/** Whether `old` is what `young` was based on, at however many removes, with no doubt on the way. */
function isSureAncestor(old: WriteNode, young: WriteNode): boolean {
  let node: WriteNode | undefined = young
  while (node !== undefined && node.parents.length === 1) {
    node = node.parents[0]
    if (node === old) return true
  }
  return false
}

export const shown = (node: WriteNode | undefined): string =>
  node === undefined
    ? 'nothing'
    : `${JSON.stringify(node.value)} (action ${node.version.user?.action ?? 'default'} in ${node.version.app})`

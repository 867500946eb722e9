import type { JournalEntry } from '../../../model/change.ts'
import type { RecordState } from '../../../model/record.ts'
import { type NativeRecord, valuesEqual } from '../../../model/value.ts'
import { ABSENT, NULL_TAINT } from '../fields.ts'
import { type Oracle, shown, type WriteNode } from '../oracle.ts'

export interface Losses {
  readonly lost: string | null
  /** Writes that went lost in the one way that a blind application makes unavoidable, and that is therefore declared and counted. */
  readonly declared: number
}

/**
 * V3: every user's write is an ancestor of the final value, equal to it, went with a deletion whose user had seen it, or stands in the conflict log. In an application with blind writes it
 * may also have been committed between the hub's last look and the hub's write; nothing else excuses a loss.
 */
export function judgeLosses(oracle: Oracle): Losses {
  const accounted = new Set<WriteNode>()
  for (const { sources } of oracle.live.values()) {
    for (const path in sources)
      for (const node of sources[path] ?? []) accountEqual(oracle, accounted, node, Number.POSITIVE_INFINITY)
  }
  for (const { node, deletion } of oracle.deletedKnowingly) accountEqual(oracle, accounted, node, deletion.seq)
  accountConflicts(oracle, accounted)
  accountHeads(oracle, accounted)
  accountHeld(oracle, accounted)
  accountUnmapped(oracle, accounted)
  accountLeftOut(oracle, accounted)
  let declared = 0
  let lost: string | null = null
  for (const node of oracle.writes.toReversed()) {
    if (accounted.has(node)) continue
    if (
      isUndone(oracle, node) ||
      isInvisible(oracle, node) ||
      isShared(oracle, accounted, node) ||
      isAgreed(oracle, accounted, node)
    )
      account(accounted, node)
    else if (isDeclared(oracle, node)) {
      declared++
      account(accounted, node)
    } else lost ??= describeLoss(oracle, node)
  }
  return { lost, declared }
}

/** Two users who write the same value agree: what holds for the value of one (up to that time) holds for the other's. */
function accountEqual(oracle: Oracle, accounted: Set<WriteNode>, node: WriteNode, untilSeq: number): void {
  account(accounted, node)
  for (const equal of oracle.candidates(node.version.record, node.path, node.taint)) {
    if (equal.version.seq < untilSeq) account(accounted, equal)
  }
}

/** A write that is accounted for accounts for all that it was based on. */
function account(accounted: Set<WriteNode>, node: WriteNode): void {
  const open = [node]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (accounted.has(next)) continue
    accounted.add(next)
    open.push(...next.parents)
  }
}

function accountConflicts(oracle: Oracle, accounted: Set<WriteNode>): void {
  for (const conflict of oracle.history.end?.conflicts ?? []) {
    const record = oracle.recordOfKey.get(conflict.key)
    if (record === undefined) continue
    const taint = oracle.taintOfCanonical(record, conflict.path, conflict.loserValue)
    for (const node of oracle.candidates(record, conflict.path, taint)) account(accounted, node)
  }
}

/**
 * What a record's applications refuse stands in its head and in the list of parked lanes: kept, shown, and written as soon as it is taken or replaced by something newer. There the head is the final
 * value, and no application has it. Without a parked lane V2 demands the head's value of every application, and this adds nothing.
 */
function accountHeads(oracle: Oracle, accounted: Set<WriteNode>): void {
  const { end } = oracle.history
  for (const { key, app, state } of end?.openLanes ?? []) {
    const record = oracle.recordOfKey.get(key)
    const found = end?.states.find((one) => one.key === key)
    if (state !== 'parked' || record === undefined || found === undefined || found.deleted) continue
    const { sent = {} } = found.lanes[app] ?? {}
    for (const path in found.head) {
      const value = (found.head[path] as RecordState['head'][string]).value
      if (valuesEqual(value, sent[path])) continue
      const taint = oracle.taintOfCanonical(record, path, value)
      for (const node of oracle.candidates(record, path, taint)) account(accounted, node)
    }
  }
}

/** A deletion takes along what its application does not keep, and so could not show: as far as it was written before, or was emptied. */
function accountUnmapped(oracle: Oracle, accounted: Set<WriteNode>): void {
  for (const deletion of oracle.userDeletes) {
    const object = oracle.object(deletion)
    for (const node of oracle.writes) {
      if (node.version.record !== deletion.record || object.maps(node.path)) continue
      if (node.version.seq < deletion.seq || node.taint === NULL_TAINT) account(accounted, node)
    }
  }
}

/** What cannot be taken in yet (it refers to a record on which a person has to decide) is kept and shown among the held entries, and taken in when it can. */
function accountHeld(oracle: Oracle, accounted: Set<WriteNode>): void {
  for (const { app, nativeId, entity, entry } of oracle.history.end?.held ?? []) {
    const record = recordIn(entry)
    const object = oracle.history.apps.get(app)?.objects.get(entity)
    if (record === undefined || object === undefined) continue
    const cells = object.written({}, record)
    for (const node of oracle.writes) {
      const { version, path, value } = node
      if (version.app === app && version.nativeId === nativeId && valuesEqual(cells[path], value))
        account(accounted, node)
    }
  }
}

function recordIn({ input }: JournalEntry): NativeRecord | undefined {
  if (input.type === 'notification') return input.change.record
  return input.type === 'read' ? input.read.record : undefined
}

/** Elements that users had taken out are missing in a record that the hub makes after that: who deletes it, knows of no such elements. */
function accountLeftOut(oracle: Oracle, accounted: Set<WriteNode>): void {
  for (const deletion of oracle.userDeletes) {
    const { app, record, nativeId, cells } = deletion
    const made = oracle.history.versions.find(
      (one) => one.kind === 'create' && one.app === app && one.nativeId === nativeId && one.record === record,
    )
    if (made === undefined || made.hub === null) continue
    const object = oracle.object(deletion)
    for (const node of oracle.writes) {
      const isLeftOut = node.version.record === record && node.taint === ABSENT && cells[node.path] === undefined
      if (isLeftOut && object.maps(node.path) && oracle.stood(node, made.seq)) account(accounted, node)
    }
  }
}

/**
 * What has not changed, or changed to the same on both sides, may be replaced by what was based on it: a field that users set back, between two looks of the hub, to the very value at
 * which its history and the winner's part; and a value that the winner's history came to by itself. Setting back to any older value is a change like others.
 */
function isUndone(oracle: Oracle, node: WriteNode): boolean {
  const { overwrittenBy } = node
  if (overwrittenBy === null) return false
  const own = ancestryOf([node])
  // Where several writes share the value, the hub's stands for somebody else's, if there is one.
  const standing = oracle.standingFor(overwrittenBy, node.path)
  const others = standing.filter((one) => !own.has(one))
  const winners = ancestryOf(others.length > 0 ? others : standing)
  for (const winner of winners) if (winner.taint === node.taint && !own.has(winner)) return true
  const open: WriteNode[] = [node]
  const seen = new Set<WriteNode>()
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (next.parents.length === 0 && node.taint === ABSENT) return true
    for (const parent of next.parents) {
      if (seen.has(parent)) continue
      seen.add(parent)
      if (!winners.has(parent)) open.push(parent)
      else if (parent.taint === node.taint) return true
    }
  }
  return false
}

/** Another user wrote the same value without knowing of this write, and theirs is accounted for: the hub has no way to tell the two apart. */
function isShared(oracle: Oracle, accounted: ReadonlySet<WriteNode>, node: WriteNode): boolean {
  const equals = oracle.candidates(node.version.record, node.path, node.taint)
  if (equals.length < 2) return false
  const own = ancestryOf([node])
  return equals.some((other) => accounted.has(other) && !own.has(other))
}

/**
 * It brought the head back to a value that another application had all the time, and a user there replaced that value afterwards: they had before them what stood by then, whoever
 * had written it last.
 */
function isAgreed(oracle: Oracle, accounted: ReadonlySet<WriteNode>, node: WriteNode): boolean {
  const { record, seq } = node.version
  for (const later of accounted) {
    if (later.path !== node.path || later.version.record !== record || later.version.seq < seq) continue
    const isSame = later.parents.some((parent) => parent.taint === node.taint)
    if (isSame && oracle.stood(node, later.version.seq)) return true
  }
  return false
}

/**
 * Set back by the users of one application to what the hub knew it to hold, before the hub had taken up anything of what lay between: for the hub nothing has changed, and whatever
 * else is newer may take its place.
 */
function isInvisible(oracle: Oracle, node: WriteNode): boolean {
  if (node.overwrittenBy === null) return false
  // A write of ours may lie between, where what undoes it restores the version token too.
  const looksUnchanged = oracle.history.apps.get(node.version.app)?.contentTokens === true
  for (let at: WriteNode | undefined = node.parents[0]; at !== undefined; at = at.parents[0]) {
    if (at.taint === node.taint) return true
    const isOurs = at.version.app !== node.version.app
    if (isOurs ? !looksUnchanged : oracle.isTakenUp(at)) return false
  }
  return false
}

function ancestryOf(nodes: readonly WriteNode[]): Set<WriteNode> {
  const ancestry = new Set<WriteNode>()
  for (const node of nodes) account(ancestry, node)
  return ancestry
}

function isDeclared(oracle: Oracle, node: WriteNode): boolean {
  const { overwrittenBy } = node
  return overwrittenBy !== null && oracle.isBlind(node.version.app) && oracle.isUnseen(node, overwrittenBy)
}

function describeLoss(oracle: Oracle, node: WriteNode): string {
  const { version, path, overwrittenBy } = node
  const where = `${path} of K${version.record} (${version.app} ${version.nativeId})`
  const by = overwrittenBy?.hub
  const how =
    by == null
      ? 'it never came through'
      : `overwritten by ${by.op} at ${overwrittenBy?.atMs} ms (sent at ${by.sentAtMs} ms)`
  const finals = [...oracle.live.values()]
    .filter((one) => one.version.record === version.record)
    .map((one) => `${one.version.app} has ${JSON.stringify(one.version.cells[path] ?? null)}`)
  return `${shown(node)} in ${where}, saved at ${version.atMs} ms, is lost: ${how}; it is in no conflict; in the end ${finals.join(', ') || 'the record is deleted'}`
}

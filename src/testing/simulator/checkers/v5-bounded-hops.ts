import { UNJUDGED } from '../fields.ts'
import type { AppVersion } from '../history.ts'
import type { Oracle } from '../oracle.ts'

interface Tally {
  userEdits: number
  hubWrites: number
  conflicts: number
}

/**
 * V5: a user's change leads to at most one effective write per other application, and one repair per conflict; no value goes round. Under faults, and where an
 * application shows its form of a value only later, an edit may come through in two steps, so the bound is doubled there.
 */
export function checkHops(oracle: Oracle): string | null {
  const { history } = oracle
  const tallies = new Map<number, Tally>()
  const tally = (record: number): Tally => {
    let found = tallies.get(record)
    if (found === undefined) tallies.set(record, (found = { userEdits: 0, hubWrites: 0, conflicts: 0 }))
    return found
  }
  for (const version of history.versions) {
    if (version.kind === 'update' && version.changed.every((path) => path.startsWith(UNJUDGED))) continue
    if (version.user === null) tally(version.record).hubWrites++
    if (version.user === null && oracle.completed.has(version)) tally(version.record).userEdits++
    if (version.user !== null) tally(version.record).userEdits++
  }
  for (const { key } of history.end?.conflicts ?? []) tally(oracle.recordOfKey.get(key) ?? -1).conflicts++
  const others = history.apps.size - 1
  for (const [record, { userEdits, hubWrites, conflicts }] of tallies) {
    const bound = others * userEdits + conflicts
    if (hubWrites > (history.exact ? bound : 2 * bound + 4)) {
      return `K${record} had ${userEdits} edits by users and ${conflicts} conflicts, but ${hubWrites} writes of the hub that changed something in ${history.apps.size} applications`
    }
  }
  return checkNoops(oracle) ?? checkRounds(oracle)
}

/** A write that changes nothing is an echo of the hub to itself; only a write sent again may find its work done. */
function checkNoops(oracle: Oracle): string | null {
  const { history } = oracle
  const noops = history.noopWrites.filter((write) => !write.resend)
  const conflicts = history.end?.conflicts.length ?? 0
  const reverts = history.versions.length
  if (noops.length <= conflicts + (history.exact ? reverts / 4 : reverts)) return null
  return `${noops.length} writes of the hub changed nothing`
}

/** The hub writes a value into a field, then another, then the first again, and so on, while no user does anything. */
const ROUNDS_MAX = 3

function checkRounds(oracle: Oracle): string | null {
  const countsByRecord = new Map<number, Map<string, number>>()
  for (const version of oracle.history.versions) {
    if (version.user !== null) {
      countsByRecord.delete(version.record)
      continue
    }
    const counts = countsByRecord.get(version.record) ?? new Map<string, number>()
    countsByRecord.set(version.record, counts)
    const round = roundOf(version, counts)
    if (round !== null) return round
  }
  return null
}

function roundOf(version: AppVersion, counts: Map<string, number>): string | null {
  for (const path of version.changed) {
    if (path.startsWith(UNJUDGED)) continue
    const key = `${version.app} ${version.nativeId} ${path} ${JSON.stringify(version.cells[path])}`
    const count = (counts.get(key) ?? 0) + 1
    counts.set(key, count)
    if (count > ROUNDS_MAX)
      return `${JSON.stringify(version.cells[path])} was written to ${path} of ${version.app} ${version.nativeId} for the ${count}th time while no user edited the record`
  }
  return null
}

import type { AppVersion } from '../history.ts'
import type { Oracle } from '../oracle.ts'

/**
 * V11: nothing is written that points at a record missing in that application: one that was never there, or that the hub itself had deleted there before. That a user deletes it
 * while the write is on its way, nobody can prevent.
 */
export function checkReferences(oracle: Oracle): string | null {
  const known = new Map<string, AppVersion>()
  for (const version of oracle.history.versions) {
    if (version.hub !== null && version.kind !== 'delete') {
      const dangling = checkVersion(oracle, version, known)
      if (dangling !== null) return dangling
    }
    known.set(`${version.app} ${version.entity} ${version.nativeId}`, version)
  }
  return null
}

function checkVersion(oracle: Oracle, version: AppVersion, known: ReadonlyMap<string, AppVersion>): string | null {
  for (const path of version.changed) {
    const value = version.cells[path]
    const refersTo = oracle.object(version).fieldAt(path)?.refersTo
    if (value == null || refersTo === undefined) continue
    const place = `${version.hub?.op} wrote ${path} = ${JSON.stringify(value)} into ${version.app} ${version.nativeId} at ${version.atMs} ms`
    const referred = known.get(`${version.app} ${refersTo} ${value}`)
    if (referred === undefined) return `${place}, where there is no such record`
    const isGone = referred.kind === 'delete' && referred.hub !== null && referred.seq < (version.hub?.sentSeq ?? 0)
    if (isGone) return `${place}, which the hub had deleted there at ${referred.atMs} ms`
  }
  return null
}

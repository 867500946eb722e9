import type { AppVersion } from '../history.ts'
import type { Oracle } from '../oracle.ts'

/**
 * V8: the hub deletes nothing that no user deleted, and makes nothing again that was deleted, unless a user made it anew after the user's
 * deletion, or the policy lets updates win.
 */
export function checkDeletes(oracle: Oracle): string | null {
  const { versions, deletes } = oracle.history
  const userDeletes = new Map<number, AppVersion>()
  const lastCreates = new Map<number, AppVersion>()
  const deletedIn = new Map<string, Deletion>()
  for (const version of versions) {
    const place = `${version.app} K${version.record}`
    if (version.kind === 'delete') {
      if (version.user !== null) userDeletes.set(version.record, version)
      const cause = userDeletes.get(version.record)
      if (cause === undefined) return `${version.hub?.op} deleted ${version.nativeId} (K${version.record}) in ${version.app}, although no user deleted it anywhere`
      deletedIn.set(place, { version, cause })
    } else if (version.kind === 'create') {
      if (version.user !== null) lastCreates.set(version.record, version)
      const resurrection = version.user === null && deletes !== 'update-wins' ? checkCreate(version, deletedIn.get(place), lastCreates.get(version.record)) : null
      if (resurrection !== null) return resurrection
    }
  }
  return null
}

/** A deletion in an application, and the user's deletion that it carries out (or is). */
interface Deletion {
  readonly version: AppVersion
  readonly cause: AppVersion
}

function checkCreate(version: AppVersion, deletion: Deletion | undefined, created: AppVersion | undefined): string | null {
  if (deletion === undefined || (created !== undefined && created.seq > deletion.cause.seq)) return null
  const by = deletion.version.user === null ? 'the hub' : 'a user'
  return `${version.hub?.op} made K${version.record} again in ${version.app} (${version.nativeId}) at ${version.atMs} ms; ${by} had deleted it there at ${deletion.version.atMs} ms`
}

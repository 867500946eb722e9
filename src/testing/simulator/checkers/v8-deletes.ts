import type { CanonicalKey } from '../../../model/ids.ts'
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
      if (version.user === null && isTakenBack(oracle, version)) continue
      if (cause === undefined)
        return `${version.hub?.op} deleted ${version.nativeId} (K${version.record}) in ${version.app}, although no user deleted it anywhere`
      deletedIn.set(place, { version, cause })
    } else if (version.kind === 'create') {
      if (version.user !== null) lastCreates.set(version.record, version)
      const deletion = version.user === null && deletes !== 'update-wins' ? deletedIn.get(place) : undefined
      const resurrection = checkCreate(version, deletion, lastCreates.get(version.record))
      if (resurrection !== null && !isAnother(oracle, version, deletion)) return resurrection
    }
  }
  return null
}

/** A copy that the hub had made of a record which a person then said to be another: what that one has is there still. */
const isTakenBack = (oracle: Oracle, version: AppVersion): boolean =>
  oracle.history.end?.states.some(({ key, mergedInto }) => key === version.hub?.key && mergedInto !== undefined) ===
  true

/** A deletion in an application, and the user's deletion that it carries out (or is). */
interface Deletion {
  readonly version: AppVersion
  readonly cause: AppVersion
}

function checkCreate(
  version: AppVersion,
  deletion: Deletion | undefined,
  created: AppVersion | undefined,
): string | null {
  if (deletion === undefined || (created !== undefined && created.seq > deletion.cause.seq)) return null
  const by = deletion.version.user === null ? 'the hub' : 'a user'
  return `${version.hub?.op} made K${version.record} again in ${version.app} (${version.nativeId}) at ${version.atMs} ms; ${by} had deleted it there at ${deletion.version.atMs} ms`
}

/** There were two records under one code in an application (each made by a user, or one by the hub meanwhile): the other one is not bound to what became of the first. */
function isAnother(oracle: Oracle, version: AppVersion, deletion: Deletion | undefined): boolean {
  const key = version.hub?.key
  if (key === undefined) return false
  const links = oracle.history.end?.links ?? []
  const family = familyOf(oracle, key)
  const isOfIt = (one: AppVersion | undefined): boolean =>
    links.some(
      (link) =>
        link.app === one?.app &&
        link.object === one.object &&
        link.nativeId === one.nativeId &&
        link.key !== null &&
        family.has(link.key),
    )
  if (isOfIt(deletion?.version)) return false
  return oracle.history.versions.some(
    (one) => one.kind === 'create' && one.user !== null && one.record === version.record && isOfIt(one),
  )
}

/** A canonical record, and those that people have made of it since, or put it together with: the links of the end are theirs, the create was made for one of them. */
function familyOf(oracle: Oracle, key: CanonicalKey): ReadonlySet<CanonicalKey> {
  const family = new Set([key])
  const ties = (oracle.history.end?.states ?? []).flatMap((state) =>
    [state.apart?.from, state.mergedInto].flatMap((other) =>
      other === undefined ? [] : [[state.key, other] as const],
    ),
  )
  for (let before = 0; before < family.size; ) {
    before = family.size
    for (const [one, other] of ties) {
      if (family.has(one)) family.add(other)
      else if (family.has(other)) family.add(one)
    }
  }
  return family
}

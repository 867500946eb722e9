import type { CanonicalKey } from '../../../model/ids.ts'
import type { Path, Value } from '../../../model/value.ts'
import type { AppVersion, HeadVersion } from '../history.ts'
import type { Oracle } from '../oracle.ts'

/** V7: no application is taken from a newer to an older canonical version: the hub's writes of a field follow the order in which its head had the values. */
export function checkOrder(oracle: Oracle): string | null {
  const heads = new Map<string, HeadVersion[]>()
  for (const head of oracle.history.heads) {
    const list = heads.get(head.key + ' ' + head.path)
    if (list === undefined) heads.set(head.key + ' ' + head.path, [head])
    else list.push(head)
  }
  const reached = new Map<string, number>()
  for (const version of oracle.history.versions) {
    if (version.hub === null || version.kind === 'delete') continue
    const isInexact = (path: Path): boolean => oracle.object(version).fieldAt(path)?.isInexact === true
    const step = checkVersion(version, version.hub.key, isInexact, heads, reached)
    if (step !== null) return step
  }
  return null
}

function checkVersion(
  version: AppVersion,
  key: CanonicalKey,
  isInexact: (path: Path) => boolean,
  heads: ReadonlyMap<string, readonly HeadVersion[]>,
  reached: Map<string, number>,
): string | null {
  for (const path of version.changed) {
    const written = version.hub?.written[path]
    const values = heads.get(key + ' ' + path)
    // Several values of the head may stand behind one that an application keeps with a loss.
    if (written === undefined || values === undefined || isInexact(path)) continue
    const at = lastIndex(values, written, version.seq)
    if (at < 0) continue
    const place = `${key} ${version.app} ${version.object} ${version.nativeId} ${path}`
    const before = reached.get(place) ?? -1
    if (at < before) return backwards(version, path, values[before], values[at])
    reached.set(place, at)
  }
  return null
}

/** The newest place at which the head had this value by then. */
function lastIndex(values: readonly HeadVersion[], value: Value, seq: number): number {
  for (let i = values.length - 1; i >= 0; i--) {
    const head = values[i] as HeadVersion
    if (head.seq <= seq && head.value === value) return i
  }
  return -1
}

const backwards = (
  version: AppVersion,
  path: Path,
  newer: HeadVersion | undefined,
  older: HeadVersion | undefined,
): string =>
  `${version.hub?.op} took ${path} of ${version.app} ${version.nativeId} back from ${JSON.stringify(newer?.value)} to the older ${JSON.stringify(older?.value)} at ${version.atMs} ms`

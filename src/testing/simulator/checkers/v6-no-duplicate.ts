import type { AppVersion } from '../history.ts'
import type { Oracle } from '../oracle.ts'
import { Excuses } from './excuses.ts'

/**
 * V6: at most one live native record per thing and application. Where a user made one while the hub's own was on its way, no protocol can help; then
 * all but one must stand among the held entries, as ambiguous. One that refers to such a record waits with it, and is not deleted meanwhile.
 */
export function checkDuplicates(oracle: Oracle): string | null {
  const end = oracle.history.end
  const firsts = new Map<string, AppVersion[]>()
  for (const { version } of oracle.live.values()) {
    const key = `${version.app} ${version.object} K${version.record}`
    firsts.set(key, [...(firsts.get(key) ?? []), version])
  }
  const excuses = end === null ? null : new Excuses(oracle, end)
  for (const [key, versions] of firsts) {
    const open = versions.filter((version) => excuses?.native(version) !== true && !isApart(oracle, version))
    const made = open.filter((version) => madeByHub(oracle, version))
    if (open.length > 1 || made.length > 1) {
      return `${key} exists ${versions.length} times: ${versions.map((version) => `${version.nativeId}${made.includes(version) ? ' (made by the hub)' : ''}`).join(', ')}`
    }
  }
  return checkLinks(oracle)
}

/** A person took it out of the record that it was of, and nobody has put it back: for the hub it is another thing. */
function isApart({ history }: Oracle, { app, object, nativeId }: AppVersion): boolean {
  const link = history.end?.links.find(
    (one) => one.app === app && one.object === object && one.nativeId === nativeId && one.state === 'live',
  )
  return history.end?.states.some(({ key, apart }) => key === link?.key && apart !== undefined) === true
}

function madeByHub(oracle: Oracle, version: AppVersion): boolean {
  const first = oracle.history.versions.find(
    (one) =>
      one.kind === 'create' &&
      one.app === version.app &&
      one.object === version.object &&
      one.nativeId === version.nativeId,
  )
  return first?.hub != null
}

function checkLinks(oracle: Oracle): string | null {
  const seen = new Map<string, string>()
  for (const link of oracle.history.end?.links ?? []) {
    if (link.state !== 'live' || link.key === null) continue
    const lane = `${link.key} ${link.app} ${link.entity}`
    const other = seen.get(lane)
    if (other !== undefined) return `${link.key} is linked to both ${other} and ${link.nativeId} in ${link.app}`
    seen.set(lane, link.nativeId)
  }
  return null
}

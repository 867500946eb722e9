import type { History, HubEnd } from '../history.ts'

/**
 * V12: the state after a crash is one that a run without the crash could reach. All checkers judge runs with crashes; this one adds a crash when nothing is under way, after
 * which nothing may have changed: what a restart takes up again was not finished, or the hub did not know that it was.
 */
export function checkRecovery({ end, recovered }: History): string | null {
  if (end === null || recovered === null) return null
  const before = factsOf(end)
  const after = factsOf(recovered)
  for (const [place, fact] of after) {
    if (before.get(place) !== fact)
      return `the hub was killed at rest and started again; ${place} was ${before.get(place)}, and is ${fact}`
  }
  const gone = [...before.keys()].find((place) => !after.has(place))
  return gone === undefined ? null : `the hub was killed at rest and started again; ${gone} is gone`
}

/** All that a person or an application could notice, each under its name. */
function factsOf({ states, links, held, openLanes, conflicts }: HubEnd): Map<string, string> {
  const facts = new Map<string, string>([['the number of conflicts', String(conflicts.length)]])
  for (const { key, deleted, head, lanes } of states) {
    facts.set(
      `the head of ${key}`,
      JSON.stringify([deleted, Object.entries(head).map(([path, { value }]) => [path, value])]),
    )
    for (const { app, nativeId, exists, sent, image, token, detached, intent, park } of Object.values(lanes)) {
      const lane = [nativeId, exists, sent, image, token, detached, intent?.op, park?.code]
      facts.set(`lane ${key} of ${app}`, JSON.stringify(lane))
    }
  }
  for (const { app, object, nativeId, entity, key, state } of links)
    facts.set(`the link of ${app} ${object} ${nativeId} (${entity})`, `${key} ${state}`)
  // By record, not by position: an entry that is looked at again may come to stand under the read that it led to.
  for (const { app, object, nativeId, entity, code } of held)
    facts.set(`what is held of ${app} ${object} ${nativeId} (${entity})`, String(code))
  for (const { key, app, state } of openLanes) facts.set(`open lane ${key} of ${app}`, state)
  return facts
}

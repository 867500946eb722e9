/**
 * Makes a run of changes to maps all-or-nothing: every change notes what was there before, and `rollBack` puts it back, newest
 * first. Cheaper than validating a batch twice, and it sees the batch's own earlier rows as a transaction would.
 */
export class Undo {
  readonly #steps: Step[] = []

  set<K, V>(map: Map<K, V>, key: K, value: V | undefined): void {
    this.#steps.push({ map, key, before: map.get(key) })
    put(map, key, value)
  }

  rollBack(): void {
    for (const { map, key, before } of this.#steps.reverse()) put(map, key, before)
    this.#steps.length = 0
  }
}

interface Step {
  readonly map: Map<unknown, unknown>
  readonly key: unknown
  readonly before: unknown
}

function put<K, V>(map: Map<K, V>, key: K, value: V | undefined): void {
  if (value === undefined) map.delete(key)
  else map.set(key, value)
}

/**
 * Makes a run of changes to maps all-or-nothing: every change notes what was there before, and `rollBack` puts it back, newest
 * first. Cheaper than validating a batch twice, and it sees the batch's own earlier rows as a transaction would.
 */
export class Undo {
  readonly #steps: (() => void)[] = []

  set<K, V>(map: Map<K, V>, key: K, value: V | undefined): void {
    const before = map.get(key)
    this.#steps.push(() => put(map, key, before))
    put(map, key, value)
  }

  rollBack(): void {
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) step()
  }
}

function put<K, V>(map: Map<K, V>, key: K, value: V | undefined): void {
  if (value === undefined) map.delete(key)
  else map.set(key, value)
}

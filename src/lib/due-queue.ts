/** What is due when, by name: a binary heap with one entry per name, so that thousands of waits need one timer. */
export class DueQueue {
  readonly #heap: { name: string; dueMs: number }[] = []
  readonly #due = new Map<string, number>()
  /** What each name waits for, where that was said. */
  readonly #awaited = new Map<string, number>()

  get size(): number {
    return this.#due.size
  }

  /** Sets when a name is due, replacing what was set before. */
  set(name: string, dueMs: number, awaited?: number): void {
    if (awaited !== undefined) this.#awaited.set(name, awaited)
    if (this.#due.get(name) === dueMs) return
    this.#due.set(name, dueMs)
    this.#push({ name, dueMs })
  }

  /** Whether a name is waiting for just this. */
  awaits(name: string, awaited: number): boolean {
    return this.#awaited.get(name) === awaited
  }

  delete(name: string): void {
    this.#due.delete(name)
    this.#awaited.delete(name)
  }

  clear(): void {
    this.#due.clear()
    this.#awaited.clear()
    this.#heap.length = 0
  }

  /** The earliest time at which something is due; undefined when nothing is. */
  nextMs(): number | undefined {
    this.#dropStale()
    return this.#heap[0]?.dueMs
  }

  /** Takes out what is due at `nowMs`, earliest first, with what each waited for, where that was said. */
  take(nowMs: number): Map<string, number | undefined> {
    const names = new Map<string, number | undefined>()
    for (;;) {
      this.#dropStale()
      const first = this.#heap[0]
      if (first === undefined || first.dueMs > nowMs) return names
      this.#pop()
      names.set(first.name, this.#awaited.get(first.name))
      this.delete(first.name)
    }
  }

  /** An entry that was replaced or deleted stays in the heap until it comes to the top. */
  #dropStale(): void {
    for (
      let first = this.#heap[0];
      first !== undefined && this.#due.get(first.name) !== first.dueMs;
      first = this.#heap[0]
    )
      this.#pop()
  }

  #push(item: { name: string; dueMs: number }): void {
    const heap = this.#heap
    let at = heap.push(item) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if ((heap[parent] as typeof item).dueMs <= item.dueMs) break
      heap[at] = heap[parent] as typeof item
      at = parent
    }
    heap[at] = item
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && (heap[child + 1] as typeof last).dueMs < (heap[child] as typeof last).dueMs)
        child++
      if ((heap[child] as typeof last).dueMs >= last.dueMs) break
      heap[at] = heap[child] as typeof last
      at = child
    }
    heap[at] = last
  }
}

/** How many records an application has, as anyone could know who follows its changes. */

import { getJson } from './collect.ts'

const PAGE = 1_000

interface Collection {
  readonly name: string
  readonly id: string
}

export class AppCounts {
  readonly #url: string
  readonly #collections: readonly (Collection & { readonly ids: Set<unknown>; cursor: number })[]

  constructor(url: string, collections: readonly Collection[]) {
    this.#url = url
    this.#collections = collections.map((collection) => ({ ...collection, ids: new Set(), cursor: 0 }))
  }

  get counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#collections.map(({ name, ids }) => [name, ids.size]))
  }

  /** Reads what has changed since the last time. An application that is down has not changed. */
  async refresh(): Promise<void> {
    for (const collection of this.#collections) {
      for (let isFull = true; isFull; ) {
        const page = await getJson(
          `${this.#url}/${collection.name}?updated_since=${collection.cursor}&limit=${PAGE}`,
        ).catch(() => null)
        if (page === null) return
        const { items, next } = page as { items: readonly Record<string, unknown>[]; next: number }
        for (const item of items) {
          if (item.deleted === true) collection.ids.delete(item[collection.id])
          else collection.ids.add(item[collection.id])
        }
        collection.cursor = next
        isFull = items.length >= PAGE
      }
    }
  }
}

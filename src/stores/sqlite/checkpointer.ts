import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { SqliteDriver } from './driver.ts'

/** Pages in the log, and how many of them are in the file. */
export type CheckpointAnswer =
  | { readonly pages: number; readonly copied: number }
  /** Somebody else is at it, or it failed. */
  | { readonly error: string }

/** Beside this file, with its ending: `.ts` in the sources, `.js` in the package. */
const WORKER = new URL(`./checkpoint-worker${extname(new URL(import.meta.url).pathname)}`, import.meta.url)

/** About so many pages (32 MB) are written to the log before it is copied: pages that are written again meanwhile are copied once. */
const DUE_PAGES = 8_000
/** So few are left after the thread was there that the rest is copied at once, a millisecond or two; then the log is begun again from its start. */
const REST_PAGES = 400
/** Under full load the thread comes back for what was written while it copied, which is less each time. */
const PASSES_MAX = 8
/** Of an estimate of what has been written, this many times too much: then it is copied here, whatever it costs, so that the log stays bounded. */
const OVERDUE_FACTOR = 4
/** What a commit writes beside its rows, and what a row writes: a page of its table and one of an index, at the most. */
const PAGES_PER_COMMIT = 3
const PAGES_PER_ROW = 2

/**
 * Copies the log into the file on a thread, so that a commit never stops for it: with `wal_autocheckpoint` every few hundred commits one took ten milliseconds and more, which was the
 * p99 of a paced stream, and a fifth of the throughput of a full one. The log can be begun again only when all of it is copied and nobody writes meanwhile, so the last pages are copied here,
 * between two commits. When the thread cannot do it, it is all done here.
 */
export class Checkpointer {
  readonly #path: string
  readonly #database: SqliteDriver
  readonly #duePages: number
  #worker: Worker | null = null
  #ended: Promise<void> = Promise.resolve()
  #isClosed = false
  #passes = 0
  /** Estimated, since the last look at the log. */
  #pages = 0

  constructor(path: string, database: SqliteDriver, duePages = DUE_PAGES) {
    this.#path = path
    this.#database = database
    this.#duePages = duePages
  }

  /** To be called after each commit, outside of any transaction. HOT PATH. */
  committed(rows: number): void {
    this.#pages += PAGES_PER_COMMIT + PAGES_PER_ROW * rows
    if (this.#pages < this.#duePages) return
    if (this.#passes === 0) this.#begin()
    else if (this.#pages >= OVERDUE_FACTOR * this.#duePages) this.#here()
  }

  /** Lets a pass under way end. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#worker?.ref()
    this.#worker?.postMessage(null)
    this.#worker = null
    await this.#ended
  }

  #begin(): void {
    if (this.#isClosed) return
    if (this.#worker === null) {
      const worker = new Worker(WORKER)
      this.#ended = new Promise((resolve) => worker.once('exit', () => resolve()))
      worker.on('message', (answer: CheckpointAnswer) => this.#answered(answer))
      worker.on('error', () => this.#failed())
      worker.unref()
      this.#worker = worker
    }
    this.#passes++
    this.#pages = 0
    this.#worker.postMessage(this.#path)
  }

  #answered(answer: CheckpointAnswer): void {
    if (this.#isClosed) return
    if ('error' in answer) return this.#here()
    const left = answer.pages - answer.copied + this.#pages
    if (left > REST_PAGES && this.#passes < PASSES_MAX) this.#begin()
    else this.#here()
  }

  #failed(): void {
    this.#worker = null
    if (!this.#isClosed) this.#here()
  }

  #here(): void {
    this.#passes = 0
    this.#pages = 0
    try {
      checkpoint(this.#database)
    } catch {
      // What could not be copied stays in the log, where it is durable; the next time is soon enough.
    }
  }
}

export function checkpoint(database: SqliteDriver): CheckpointAnswer {
  const [busy, pages, copied] = database.prepare('PRAGMA wal_checkpoint(PASSIVE)').get() ?? []
  return busy === 0 ? { pages: Number(pages), copied: Number(copied) } : { error: 'busy' }
}

import { closeSync, fdatasync, fdatasyncSync, openSync } from 'node:fs'
import { SyncError } from '../../errors/index.ts'

/** How a file is brought onto the disk; a test stands between us and it here. */
export interface FileSync {
  later(file: number, done: (error: Error | null) => void): void
  now(file: number): void
}

export const systemFileSync: FileSync = { later: fdatasync, now: fdatasyncSync }

/**
 * Brings what a connection has committed onto the disk, off the event loop: with `synchronous = NORMAL` a commit in WAL mode has written its frames to the
 * log file, and nothing but the sync of that file is missing to what FULL does (docs/decisions/0013). Once a sync has failed nobody knows what is on the disk, and the
 * next one would not tell: then everything that asks is refused until the process starts again.
 */
export class LogSync {
  readonly #port: 'store' | 'journal'
  readonly #path: string
  readonly #sync: FileSync
  #file: number | null = null
  #failure: SyncError | null = null

  constructor(port: 'store' | 'journal', path: string, sync: FileSync) {
    this.#port = port
    this.#path = path
    this.#sync = sync
  }

  /** Resolves when every commit made before is durable. */
  later(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#sync.later(this.#open(), (error) => {
        if (error === null) resolve()
        else reject(this.#failed(error))
      })
    })
  }

  /** The same without leaving the turn of the event loop: for a single small commit the way to another thread and back is longer than the sync. */
  now(): void {
    try {
      this.#sync.now(this.#open())
    } catch (error) {
      throw this.#failed(error)
    }
  }

  /** To be called before a commit. */
  requireSound(): void {
    if (this.#failure !== null) throw this.#failure
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file)
    this.#file = null
  }

  /** SQLite makes the log with the first write, keeps the file as long as the connection is open, and has no lock on it that closing ours would undo. */
  #open(): number {
    this.#file ??= openSync(this.#path + '-wal', 'r+')
    return this.#file
  }

  #failed(cause: unknown): SyncError {
    const reason = cause instanceof Error ? cause.message : String(cause)
    this.#failure ??= new SyncError(
      `${this.#port}.failed`,
      `${this.#path}: the disk did not take what was written (${reason}), and what it has is not known; look at the disk, then start the hub again`,
      { place: { path: this.#path }, cause },
    )
    return this.#failure
  }
}

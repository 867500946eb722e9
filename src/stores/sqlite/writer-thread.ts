import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { type ErrorCode, type ErrorPlace, SyncError } from '../../errors/index.ts'

/** Which port's rows a thread writes. */
export type WriterKind = 'store' | 'journal'

/** Rows for one file, as plain data. */
export interface WriterJob<Rows> {
  readonly path: string
  readonly rows: Rows
}

/** What became of a job. An error crosses the thread as plain data. */
export type WriterAnswer<Result> =
  | { readonly result: Result }
  | { readonly error: { readonly code: ErrorCode; readonly message: string; readonly place: ErrorPlace } }

/** Beside this file, with its ending: `.ts` in the sources, `.js` in the package. */
const WORKER = new URL(`./writer-worker${extname(new URL(import.meta.url).pathname)}`, import.meta.url)

interface Waiting<Result> {
  readonly path: string
  readonly resolve: (result: Result) => void
  readonly reject: (error: SyncError) => void
}

/**
 * A thread that writes large transactions, so that the event loop goes on while SQLite writes and the disk syncs (docs/decisions/0013). At most one job is on it
 * at a time; the caller sees to that. A thread that ends by itself fails the job that it had: whether that is on the disk is not known then, as after a crash.
 */
export class WriterThread<Rows, Result> {
  readonly #port: WriterKind
  readonly #worker: Worker
  readonly #ended: Promise<void>
  readonly ready: Promise<void>
  #state: 'starting' | 'ready' | 'ended' = 'starting'
  #waiting: Waiting<Result> | null = null

  constructor(port: WriterKind) {
    this.#port = port
    this.#worker = new Worker(WORKER, { workerData: { port } })
    const { promise, resolve } = Promise.withResolvers<void>()
    this.ready = promise
    this.#worker.on('message', (message: 'ready' | WriterAnswer<Result>) => {
      if (message !== 'ready') return this.#answer(message)
      if (this.#state === 'starting') this.#state = 'ready'
      this.#worker.unref()
      resolve()
    })
    this.#worker.on('error', (error) => this.#fail(error instanceof Error ? error.message : String(error)))
    this.#ended = new Promise((done) => {
      this.#worker.once('exit', () => {
        this.#fail('the thread that writes it ended')
        resolve()
        done()
      })
    })
  }

  /** It can take a job. False while it starts, and after it ended. */
  get isReady(): boolean {
    return this.#state === 'ready' && this.#waiting === null
  }

  get hasEnded(): boolean {
    return this.#state === 'ended'
  }

  write(path: string, rows: Rows): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting = { path, resolve, reject }
      // The process must not end while a job is under way, and must be free to when none is.
      this.#worker.ref()
      const job: WriterJob<Rows> = { path, rows }
      this.#worker.postMessage(job)
    })
  }

  /** Lets the job under way finish. Idempotent. */
  async close(): Promise<void> {
    if (this.#state === 'ended') return
    this.#worker.ref()
    this.#worker.postMessage(null)
    await this.#ended
  }

  #answer(answer: WriterAnswer<Result>): void {
    const waiting = this.#waiting
    this.#waiting = null
    this.#worker.unref()
    if ('result' in answer) waiting?.resolve(answer.result)
    else waiting?.reject(new SyncError(answer.error.code, answer.error.message, { place: answer.error.place }))
  }

  #fail(why: string): void {
    this.#state = 'ended'
    const waiting = this.#waiting
    this.#waiting = null
    if (waiting === null) return
    const { path, reject } = waiting
    reject(
      new SyncError(`${this.#port}.failed`, `${path}: ${why}; the hub goes on from what is on the disk`, {
        place: { path },
      }),
    )
  }
}

import type { Hono } from 'hono'
import { hasUnfinishedUndo, Undo, type UndoProgress } from '../contact/index.ts'
import { SyncError } from '../errors/index.ts'
import type { HubContext } from './hub.ts'

export interface UndoStatus {
  /** none: never asked for since this hub started, and none was cut off. */
  readonly state: 'none' | 'taking-back' | 'done' | 'failed'
  readonly progress: readonly UndoProgress[]
  readonly error: { readonly code: string; readonly message: string } | null
}

/** The one undo of a backfill that a hub may have under way. It goes on by itself after a restart. */
export class UndoJob {
  readonly #context: Pick<HubContext, 'engine' | 'stopping' | 'log'>
  #undo: Undo | null = null
  #ended: 'done' | SyncError | null = null

  constructor(context: Pick<HubContext, 'engine' | 'stopping' | 'log'>) {
    this.#context = context
  }

  /** Takes up what was cut off; once the engine runs. */
  async takeUp(): Promise<void> {
    if (await hasUnfinishedUndo(this.#context.engine)) this.#run(this.#make())
  }

  async start(): Promise<UndoStatus> {
    if (this.#undo !== null && this.#ended === null)
      throw new SyncError('query.invalid', 'a backfill is being taken back already')
    const undo = this.#make()
    await undo.begin()
    this.#run(undo)
    return this.status()
  }

  status(): UndoStatus {
    const error = this.#ended instanceof SyncError ? { code: this.#ended.code, message: this.#ended.message } : null
    const running = this.#ended === null ? 'taking-back' : 'done'
    const state = this.#undo === null ? 'none' : error === null ? running : 'failed'
    return { state, progress: this.#undo?.progress ?? [], error }
  }

  #make(): Undo {
    const { engine, stopping } = this.#context
    return new Undo({ engine, signal: stopping })
  }

  #run(undo: Undo): void {
    const { stopping, log } = this.#context
    this.#undo = undo
    this.#ended = null
    undo.run().then(
      () => {
        this.#ended = 'done'
        log.log('info', 'the backfill was taken back', { progress: undo.progress.map(({ left, ...one }) => one) })
      },
      (error: unknown) => {
        this.#ended = SyncError.from(error)
        if (!stopping.aborted) log.log('error', `the undo ended: ${this.#ended.message}`, { code: this.#ended.code })
      },
    )
  }
}

export function addUndoing(app: Hono, job: UndoJob): void {
  app.get('/api/backfill/undo', (c) => c.json(job.status()))
  app.post('/api/backfill/undo', async (c) => c.json(await job.start(), 202))
}

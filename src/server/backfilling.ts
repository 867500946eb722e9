import type { Hono } from 'hono'
import {
  Backfill,
  type BackfillOptions,
  type BackfillProgress,
  forgetBackfill,
  hasUnfinishedBackfill,
  lastRun,
  noteRun,
} from '../contact/index.ts'
import { FIRST_CONTACT } from '../engine/first-contact.ts'
import { SyncError } from '../errors/index.ts'
import { asEntityName } from '../model/ids.ts'
import type { HubContext } from './hub.ts'

export interface BackfillStatus {
  /** none: never asked for since this hub started, and none was cut off. delivering: all is read, and records are still being written. */
  readonly state: 'none' | 'reading' | 'paused' | 'delivering' | 'done' | 'failed'
  readonly progress: readonly BackfillProgress[]
  /** Lanes that are behind, while it delivers. */
  readonly behind: number
  readonly error: { readonly code: string; readonly message: string } | null
}

const DELIVERED_LOOK_MS = 200

export type BackfillDeps = Pick<HubContext, 'engine' | 'stopping' | 'log'> & Pick<BackfillOptions, 'connectors'>

/** The one backfill that a hub may have under way. It goes on by itself after a restart, until it has read everything. */
export class BackfillJob {
  readonly #context: BackfillDeps
  #backfill: Backfill | null = null
  #ended: 'done' | SyncError | null = null

  constructor(context: BackfillDeps) {
    this.#context = context
  }

  /** Takes up what was cut off; to be called before the engine starts, so that nothing is written on half of the knowledge. */
  async takeUp(): Promise<void> {
    if (await hasUnfinishedBackfill(this.#context.engine)) this.#run(Number.POSITIVE_INFINITY, undefined)
  }

  async start(given: unknown): Promise<BackfillStatus> {
    const { entities, recordsPerSecond, again } = readRequest(given)
    if (this.#isRunning)
      throw new SyncError('query.invalid', 'a backfill is under way; `latchwork backfill --status` shows it')
    const known = this.#context.engine.model.entities
    for (const name of entities ?? []) {
      if (!known.has(asEntityName(name)))
        throw new SyncError(
          'query.invalid',
          `${name} is not an entity of the config; it has: ${[...known.keys()].join(', ')}`,
        )
    }
    if (again) await forgetBackfill(this.#context.engine)
    await noteRun(this.#context.engine, { fromMs: this.#context.engine.clock.nowMs(), toMs: null })
    // Whoever asks for a backfill has seen what it writes; so has who asked for the same when a feed was read for the first time.
    await this.#context.engine.operate({ action: 'release-brake', brake: FIRST_CONTACT })
    this.#run(recordsPerSecond, entities)
    return this.status()
  }

  pause(): BackfillStatus {
    this.#backfill?.pause()
    return this.status()
  }

  resume(): BackfillStatus {
    this.#backfill?.resume()
    return this.status()
  }

  status(): BackfillStatus {
    const { engine } = this.#context
    const behind = engine.behindCount() + engine.dispatcher.inFlight
    const error = this.#ended instanceof SyncError ? { code: this.#ended.code, message: this.#ended.message } : null
    return { state: this.#state(behind), progress: this.#backfill?.progress ?? [], behind, error }
  }

  get #isRunning(): boolean {
    return this.#backfill !== null && this.#ended === null
  }

  #state(behind: number): BackfillStatus['state'] {
    if (this.#backfill === null) return 'none'
    if (this.#ended instanceof SyncError) return 'failed'
    if (this.#ended === 'done' && this.#context.engine.brakes.contact.isUnderWay) return 'reading'
    if (this.#ended === 'done') return behind > 0 ? 'delivering' : 'done'
    return this.#backfill.isPaused ? 'paused' : 'reading'
  }

  /** Once all is delivered, so that what is created after that is no part of it. */
  async #noteEnd(): Promise<void> {
    const { engine, stopping } = this.#context
    // Idle, not only nothing behind: what was read, or the word of the person, may not be decided yet.
    while (!engine.isIdle() || engine.brakes.contact.isUnderWay) {
      if (stopping.aborted || engine.killed) return
      await new Promise<void>((resolve) => engine.clock.timer(DELIVERED_LOOK_MS, resolve))
    }
    const run = await lastRun(engine)
    if (run !== null && run.toMs === null) await noteRun(engine, { ...run, toMs: engine.clock.nowMs() })
  }

  #run(recordsPerSecond: number, entities: readonly string[] | undefined): void {
    const { engine, connectors, stopping, log } = this.#context
    const backfill = new Backfill({
      engine,
      connectors,
      recordsPerSecond,
      signal: stopping,
      ...(entities === undefined ? {} : { entities: entities.map(asEntityName) }),
    })
    this.#backfill = backfill
    this.#ended = null
    backfill.run().then(
      () => {
        this.#ended = 'done'
        this.#noteEnd().catch((error: unknown) => {
          if (!stopping.aborted)
            log.log('warn', `the end of the backfill was not noted: ${SyncError.from(error).message}`, {
              code: SyncError.from(error).code,
            })
        })
        log.log('info', 'the backfill has read everything', { progress: backfill.progress })
      },
      (error: unknown) => {
        this.#ended = SyncError.from(error)
        if (!stopping.aborted)
          log.log('error', `the backfill ended: ${this.#ended.message}`, { code: this.#ended.code })
      },
    )
  }
}

export function addBackfilling(app: Hono, job: BackfillJob): void {
  app.get('/api/backfill', (c) => c.json(job.status()))
  app.post('/api/backfill', async (c) => c.json(await job.start(await c.req.json().catch(() => ({}))), 202))
  app.post('/api/backfill/pause', (c) => c.json(job.pause()))
  app.post('/api/backfill/resume', (c) => c.json(job.resume()))
}

function readRequest(given: unknown): { entities: string[] | undefined; recordsPerSecond: number; again: boolean } {
  const { entities, recordsPerSecond, again } = (given ?? {}) as Record<string, unknown>
  if (entities !== undefined && !(Array.isArray(entities) && entities.every((name) => typeof name === 'string')))
    throw new SyncError('query.invalid', 'entities is to be a list of names')
  if (recordsPerSecond !== undefined && !(typeof recordsPerSecond === 'number' && recordsPerSecond > 0))
    throw new SyncError('query.invalid', 'recordsPerSecond is to be a number above 0')
  return {
    entities: entities as string[] | undefined,
    recordsPerSecond: (recordsPerSecond as number | undefined) ?? Number.POSITIVE_INFINITY,
    again: again === true,
  }
}

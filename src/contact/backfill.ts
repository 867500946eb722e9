import type { Engine } from '../engine/engine.ts'
import { SyncError } from '../errors/index.ts'
import type { ReadImage } from '../model/change.ts'
import type { BindingModel, EntityModel } from '../model/entity.ts'
import { type AppId, asFeedPosition, type EntityName, type FeedPosition } from '../model/ids.ts'
import type { Connector } from '../ports/app.ts'
import { Pace, pagesOf } from './pages.ts'

export interface BackfillOptions {
  readonly engine: Engine
  readonly connectors: ReadonlyMap<AppId, Connector>
  readonly recordsPerSecond: number
  readonly entities?: readonly EntityName[]
  readonly signal: AbortSignal
}

/** Where one application's records of one object stand. */
export interface BackfillProgress {
  readonly app: AppId
  readonly object: string
  readonly entity: EntityName
  readonly read: number
  readonly done: boolean
}

/** Where a page ended is durable together with the page, under a feed of this name; so a hub that was killed goes on from there. */
const feedOf = (binding: BindingModel): string => `backfill:${binding.object}`
const DONE = asFeedPosition('done')
/** Begins before the first page: a backfill that was asked for and has read nothing yet. */
const BEGUN = asFeedPosition('begun')

/** Records read ahead of what is decided: some batches' worth, so that memory stays flat and live changes are not kept waiting. */
const UNDECIDED_MAX = 4_000
const WAIT_MS = 5

/**
 * Brings in what applications hold already: every record is read, page by page, and handed to the engine as if its application had told of it, between live changes and by the same rules: a row that was edited while its page was read is
 * never overwritten by the older image, because its version or its place in the log says so. Nothing is written into an application before all that it holds is
 * known, so that nothing is created there twice. Writes into it wait meanwhile; nothing else does.
 */
export class Backfill {
  readonly #options: BackfillOptions
  readonly #progress = new Map<string, BackfillProgress>()
  readonly #pace: Pace
  #isPaused = false

  constructor(options: BackfillOptions) {
    this.#options = options
    this.#pace = new Pace(options.engine.clock, options.recordsPerSecond)
  }

  get progress(): readonly BackfillProgress[] {
    return [...this.#progress.values()]
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
  }

  /** Reads all, or what an earlier run left. Resolves when the last page is journalled; what it leads to is delivered after that. */
  async run(): Promise<void> {
    const bindings = this.#bindings()
    const apps = new Set(bindings.map(({ binding }) => binding.app))
    for (const app of apps) this.#options.engine.dispatcher.hold(app)
    try {
      for (const { binding } of bindings) await this.#begin(binding)
      // One entity after the other, those that others refer to first; the applications of one side by side.
      for (const entity of new Set(bindings.map((one) => one.entity))) {
        const own = bindings.filter((one) => one.entity === entity)
        await Promise.all(own.map(({ binding }) => this.#readAll(entity, binding)))
      }
      await this.#decided(0)
    } finally {
      if (!this.#options.signal.aborted) this.#release(apps)
    }
  }

  #release(apps: Iterable<AppId>): void {
    const { engine } = this.#options
    for (const app of apps) engine.dispatcher.unhold(app)
    engine.wake()
  }

  #bindings(): readonly { readonly entity: EntityModel; readonly binding: BindingModel }[] {
    const { engine, entities } = this.#options
    const ordered: EntityModel[] = []
    const add = (name: EntityName): void => {
      const entity = engine.model.entities.get(name)
      if (entity === undefined || ordered.includes(entity)) return
      for (const { reference } of fieldsOf(entity)) if (reference !== undefined && reference !== name) add(reference)
      if (!ordered.includes(entity)) ordered.push(entity)
    }
    for (const name of entities ?? engine.model.entities.keys()) add(name)
    return ordered.flatMap((entity) => [...entity.bindings.values()].map((binding) => ({ entity, binding })))
  }

  async #begin(binding: BindingModel): Promise<void> {
    const { engine } = this.#options
    const position = await engine.journal.feed(binding.app, feedOf(binding))
    const isKnown = position === DONE || (position === null && this.#comesByItself(binding))
    this.#note(binding, 0, isKnown)
    if (position === null && !isKnown)
      await engine.append([], [{ app: binding.app, feed: feedOf(binding), position: BEGUN }])
  }

  /** A feed that was never read begins with everything that its application holds; only who wants it once more (`forgetBackfill`) has it read here. */
  #comesByItself({ app }: BindingModel): boolean {
    return (this.#options.connectors.get(app)?.source.feeds.length ?? 0) > 0
  }

  async #readAll(entity: EntityModel, binding: BindingModel): Promise<void> {
    const { engine, connectors, signal } = this.#options
    const { source } = connectors.get(binding.app) as Connector
    const position = await engine.journal.feed(binding.app, feedOf(binding))
    if (position === DONE || (position === null && this.#comesByItself(binding))) return
    const from = { number: 0, position: position === BEGUN || position === null ? null : position }
    const pages = pagesOf({ source, object: binding.object, clock: engine.clock, pace: this.#pace, signal, from })
    let read = 0
    for await (const page of pages) {
      await this.#decided(UNDECIDED_MAX)
      signal.throwIfAborted()
      await this.#take(binding, page.records, page.position ?? DONE)
      read += page.records.length
      this.#note(binding, read, page.position === null)
    }
    this.#note({ ...binding, entity: entity.name }, read, true)
  }

  /**
   * As if the application had told of each of them: an image with an ordered version is folded by it; one without is a hint, and its record is read by itself, because the page may be older than what
   * was heard since.
   */
  async #take(binding: BindingModel, records: readonly ReadImage[], position: FeedPosition): Promise<void> {
    const { engine } = this.#options
    const entries = records.map(({ result: _, code: __, message: ___, retryAfterMs: ____, record = {}, ...read }) =>
      engine.newNotification({ ...read, kind: 'image', record }),
    )
    await engine.append(entries, [{ app: binding.app, feed: feedOf(binding), position }])
  }

  #note(binding: BindingModel, read: number, done: boolean): void {
    const { app, object, entity } = binding
    this.#progress.set(`${app}\u0000${object}`, { app, object, entity, read, done })
  }

  /**
   * Waits until the engine has looked at all but so many entries, and while it is paused. Looked at, not decided: an entry may wait for a write in doubt of before a crash, and that for the
   * application, into which nothing is written until the backfill has read it.
   */
  async #decided(max: number): Promise<void> {
    const { engine, signal } = this.#options
    while (this.#isPaused || engine.journal.last() - engine.taken > max) {
      signal.throwIfAborted()
      if (engine.killed)
        throw new SyncError('intake.stopping', 'the hub is shutting down; the backfill goes on when it starts again')
      await new Promise<void>((resolve) => engine.clock.timer(WAIT_MS, resolve))
    }
  }
}

/** Whether a backfill was begun here and has not ended, so that a hub that starts takes it up again. */
export async function hasUnfinishedBackfill(engine: Engine): Promise<boolean> {
  for (const entity of engine.model.entities.values()) {
    for (const binding of entity.bindings.values()) {
      const position = await engine.journal.feed(binding.app, feedOf(binding))
      if (position !== null && position !== DONE) return true
    }
  }
  return false
}

/** Begins again: what was read before counts as not read. */
export async function forgetBackfill(engine: Engine): Promise<void> {
  const feeds = [...engine.model.entities.values()].flatMap((entity) =>
    [...entity.bindings.values()].map((binding) => ({ app: binding.app, feed: feedOf(binding), position: BEGUN })),
  )
  await engine.append([], feeds)
}

const fieldsOf = (entity: EntityModel) => [
  ...Object.values(entity.fields),
  ...Object.values(entity.parts).flatMap((part) => Object.values(part.fields)),
]

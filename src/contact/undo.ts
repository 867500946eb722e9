import { isTheirs } from '../deliver/plan.ts'
import type { Engine } from '../engine/engine.ts'
import { SyncError } from '../errors/index.ts'
import type { Input } from '../model/change.ts'
import type { BindingModel } from '../model/entity.ts'
import { type AppId, asFeedPosition, type EntityName, type FeedPosition, type NativeId } from '../model/ids.ts'
import type { Link } from '../model/record.ts'

/** When a backfill was asked for, and when it had delivered (null: it has not, or the hub ended before). */
export interface BackfillRun {
  readonly fromMs: number
  readonly toMs: number | null
}

/** What one application's objects have come to. */
export interface UndoProgress {
  readonly app: AppId
  readonly object: string
  /** Records that are deleted there again. */
  readonly taken: number
  /** Records that are left, because they were changed there since, or are gone. */
  readonly leftCount: number
  readonly left: readonly NativeId[]
  readonly done: boolean
}

interface Place extends Omit<UndoProgress, 'app' | 'object'> {
  readonly run: { readonly fromMs: number; readonly toMs: number }
  /** The last record looked at. */
  readonly after: NativeId | null
}

/** Records looked at in one step; what is decided of them and where the step ended become durable together. */
const STEP = 500
const LEFT_LISTED_MAX = 1_000
const WAIT_MS = 5
const AHEAD_MAX = 4_000
const WRITTEN_MAX_MS = 60_000
const RUN_FEED = 'backfill-run'
const feedOf = (binding: BindingModel): string => `undo:${binding.object}`
const NONE = asFeedPosition('none')

export interface UndoOptions {
  readonly engine: Engine
  readonly signal: AbortSignal
}

/** Notes where a backfill begins and ends, so that it can be taken back. */
export async function noteRun(engine: Engine, run: BackfillRun): Promise<void> {
  const [app] = appsOf(engine)
  if (app === undefined) return
  await engine.append([], [{ app, feed: RUN_FEED, position: asFeedPosition(JSON.stringify(run)) }])
}

export async function lastRun(engine: Engine): Promise<BackfillRun | null> {
  const [app] = appsOf(engine)
  const position = app === undefined ? null : await engine.journal.feed(app, RUN_FEED)
  return position === null ? null : (JSON.parse(position) as BackfillRun)
}

const appsOf = (engine: Engine): AppId[] =>
  [...new Set([...engine.model.entities.values()].flatMap(({ bindings }) => [...bindings.keys()]))].sort()

/**
 * Takes back what the last backfill created. Every record says whether a create of ours made it in an application, and when; each that is still as we made it is deleted by an ordinary write, on the condition that nobody
 * has changed it, those that refer to others first. A hub that is killed goes on from the last step.
 */
export class Undo {
  readonly #options: UndoOptions
  readonly #progress = new Map<string, UndoProgress>()

  constructor(options: UndoOptions) {
    this.#options = options
  }

  get progress(): readonly UndoProgress[] {
    return [...this.#progress.values()]
  }

  /** To be called before `run` for a new undo. Throws SyncError `backfill.nothing` where no backfill is known. */
  async begin(): Promise<void> {
    const { engine } = this.#options
    const run = await lastRun(engine)
    if (run === null)
      throw new SyncError('backfill.nothing', 'no backfill was ever asked for here, so there is nothing to take back')
    const { fromMs, toMs } = run
    const within = { fromMs, toMs: toMs ?? engine.clock.nowMs() }
    const place: Place = { run: within, after: null, taken: 0, leftCount: 0, left: [], done: false }
    await engine.append(
      [],
      this.#bindings().map((binding) => ({ app: binding.app, feed: feedOf(binding), position: textOf(place) })),
    )
  }

  async run(): Promise<void> {
    for (const binding of this.#bindings()) {
      await this.#takeBack(binding)
      await this.#written()
    }
    const { engine } = this.#options
    const ended = this.#bindings().map((binding) => ({ app: binding.app, feed: feedOf(binding), position: NONE }))
    await engine.append([], ended)
  }

  /** Those that refer to others before those that they refer to. */
  #bindings(): readonly BindingModel[] {
    const { model } = this.#options.engine
    const ordered = new Set<EntityName>()
    const add = (name: EntityName): void => {
      const entity = model.entities.get(name)
      if (entity === undefined || ordered.has(name)) return
      const parts = Object.values(entity.parts).flatMap((part) => Object.values(part.fields))
      for (const { reference } of [...Object.values(entity.fields), ...parts])
        if (reference !== undefined && reference !== name) add(reference)
      ordered.add(name)
    }
    for (const name of model.entities.keys()) add(name)
    return [...ordered].reverse().flatMap((name) => [...(model.entities.get(name)?.bindings.values() ?? [])])
  }

  async #takeBack(binding: BindingModel): Promise<void> {
    const { engine, signal } = this.#options
    let place = placeOf(await engine.journal.feed(binding.app, feedOf(binding)))
    while (place !== null && !place.done) {
      signal.throwIfAborted()
      this.#note(binding, place)
      const links = await engine.store.links({
        app: binding.app,
        object: binding.object,
        entity: binding.entity,
        ...(place.after === null ? {} : { after: { app: binding.app, object: binding.object, nativeId: place.after } }),
        max: STEP,
      })
      place = await this.#step(binding, place, links)
      await this.#room()
    }
    if (place !== null) this.#note(binding, place)
  }

  async #step(binding: BindingModel, place: Place, links: readonly Link[]): Promise<Place> {
    const { engine } = this.#options
    const keys = links.flatMap(({ key, state }) => (key !== null && state === 'live' ? [key] : []))
    const { records } = await engine.store.load({ records: keys, natives: [], canonicals: [], matches: [] })
    const { fromMs, toMs } = place.run
    const taken: Input[] = []
    const left: NativeId[] = []
    for (const record of records) {
      const { nativeId = null, madeAtMs = null, withdrawn, exists } = record.lanes[binding.app] ?? {}
      const isOfRun = madeAtMs !== null && madeAtMs >= fromMs && madeAtMs <= toMs
      if (nativeId === null || !isOfRun || withdrawn === true) continue
      const isAsMade = exists === true && !record.deleted && !isTheirs(record, binding.app)
      if (!isAsMade || binding.deletes !== 'propagate') left.push(nativeId)
      else {
        const operator = { action: 'withdraw' as const, key: record.key, app: binding.app, nativeId }
        taken.push({ type: 'operator', operator })
      }
    }
    const next: Place = {
      ...place,
      after: links.at(-1)?.nativeId ?? place.after,
      taken: place.taken + taken.length,
      leftCount: place.leftCount + left.length,
      left: [...place.left, ...left].slice(0, LEFT_LISTED_MAX),
      done: links.length < STEP,
    }
    await engine.append(
      taken.map((input) => engine.newEntry(input, null)),
      [{ app: binding.app, feed: feedOf(binding), position: textOf(next) }],
    )
    return next
  }

  #note({ app, object }: BindingModel, { taken, leftCount, left, done }: Place): void {
    this.#progress.set(`${app}\u0000${object}`, { app, object, taken, leftCount, left, done })
  }

  /** Until what was asked for is written: what refers to others must be gone before them. On a hub that is never quiet not for ever; what comes too early is refused there, and tried again. */
  #written(): Promise<void> {
    const { engine } = this.#options
    const endMs = engine.clock.monotonicMs() + WRITTEN_MAX_MS
    return this.#until(() => engine.isIdle() || engine.clock.monotonicMs() > endMs)
  }

  /** Some steps' worth may be ahead, so that memory stays flat and live changes are not kept waiting. */
  #room(): Promise<void> {
    const { engine } = this.#options
    return this.#until(() => engine.journal.last() - engine.taken + engine.behindCount() < AHEAD_MAX)
  }

  async #until(isSo: () => boolean): Promise<void> {
    const { engine, signal } = this.#options
    while (!isSo()) {
      signal.throwIfAborted()
      if (engine.killed)
        throw new SyncError('intake.stopping', 'the hub is shutting down; the undo goes on when it starts again')
      await new Promise<void>((resolve) => engine.clock.timer(WAIT_MS, resolve))
    }
  }
}

/** Whether an undo was begun here and has not ended, so that a hub that starts takes it up again. */
export async function hasUnfinishedUndo(engine: Engine): Promise<boolean> {
  for (const entity of engine.model.entities.values())
    for (const binding of entity.bindings.values())
      if (placeOf(await engine.journal.feed(binding.app, feedOf(binding))) !== null) return true
  return false
}

const textOf = (place: Place): FeedPosition => asFeedPosition(JSON.stringify(place))
function placeOf(position: FeedPosition | null): Place | null {
  if (position === null || position === NONE) return null
  return JSON.parse(position) as Place
}

import { isPausing } from '../deliver/backoff.ts'
import { afterPatch } from '../deliver/overlay.ts'
import type { PlanContext } from '../deliver/plan.ts'
import { APPS, bindingOf, entityOf, imageOf, laneOf, recordOf, references } from '../merge/fake-record.ts'
import { mergeImage } from '../merge/images.ts'
import type { BindingModel } from '../model/entity.ts'
import { type AppId, asJournalPosition, asNativeId, asToken, type JournalPosition } from '../model/ids.ts'
import type { RecordState } from '../model/record.ts'
import type { Fields, Image, Path, Value } from '../model/value.ts'
import { observe, plan, takeOutcome } from './decide.ts'
import { takeRead } from './evidence.ts'
import { RecordWork } from './record-work.ts'

/** What one application holds when the play begins, and what its people have made of it since the hub last looked. */
export interface AppSetup {
  /** It has no record yet: the hub has to create it. */
  readonly isAbsent: boolean
  /** What it makes of texts that are written to it. */
  readonly form: 'as it is' | 'upper case' | 'trimmed'
  /** null: nobody has edited it. */
  readonly edit: Image | null
  readonly repliesWithImage: boolean
}

interface Told {
  readonly app: AppId
  readonly image: Image
  readonly token: string
  readonly timeMs: number
}

interface AppState {
  readonly binding: BindingModel
  readonly setup: AppSetup
  exists: boolean
  image: Image
  token: number
}

const contextAt = (nowMs: number): Omit<PlanContext, 'seq'> => ({
  nowMs,
  isPausing: (notBeforeMs) => isPausing(notBeforeMs, nowMs),
  epoch: 1,
  opPrefix: 'i.1',
  takeSlot: () => true,
  nativeOf: references.nativeOf,
  referenceDeadlineMs: 60_000,
  isGone: () => false,
  blocked: false,
  fresh: true,
})

/**
 * The decision and its applications, without an engine around them: notifications are folded, lanes planned, writes applied, in an order that the dice choose, until nothing is left
 * to do. Every write is answered in the same step, so that what is tried is the planner, not the waiting.
 */
export class Play {
  readonly apps: readonly AppState[]
  readonly work: RecordWork
  /** Everything that was ever told, for telling it again. */
  readonly told: Told[] = []
  rounds = 0
  writes = 0
  readonly #pending: Told[] = []
  readonly #dice: (sides: number) => number
  #seq = 100

  /** `base`: what all applications agreed on. `dice(n)`: a number below n. */
  constructor(base: Fields, setups: readonly AppSetup[], dice: (sides: number) => number) {
    this.#dice = dice
    const bindings = setups.map((_, i) => bindingOf(APPS[i] as AppId))
    this.apps = setups.map((setup, i) => {
      const binding = bindings[i] as BindingModel
      return { binding, setup, exists: !setup.isAbsent, image: inForm(setup, imageOf(base)), token: 1 }
    })
    const entity = entityOf({}, bindings)
    const state = this.#initial(base)
    this.work = new RecordWork(entity, state, state, () => {})
    for (const [i, app] of this.apps.entries()) this.#edit(app, 2000 + i * 1000)
  }

  #initial(base: Fields): RecordState {
    const lanes = this.apps.flatMap(({ binding, exists, image }) =>
      exists ? [[binding.app, laneOf({ app: binding.app, image, sent: base, token: asToken('1') })] as const] : [],
    )
    const origin = { seq: asJournalPosition(5), app: APPS[0], timeMs: 1000, root: asJournalPosition(5), hops: 0 }
    const head = Object.fromEntries(Object.entries(base).map(([path, value]) => [path, { value, origin }]))
    return recordOf({ head, lanes: Object.fromEntries(lanes) })
  }

  #edit(app: AppState, timeMs: number): void {
    if (!app.exists) return
    if (this.#dice(2) === 0) this.#tell(app, 1000)
    if (app.setup.edit === null) return
    app.image = mergeImage(app.binding, app.image, app.setup.edit)
    app.token++
    this.#tell(app, timeMs)
    if (this.#dice(3) === 0) this.#tell(app, timeMs)
  }

  #tell({ binding, image, token }: AppState, timeMs: number): void {
    const told = { app: binding.app, image, token: String(token), timeMs }
    this.told.push(told)
    this.#pending.push(told)
  }

  #at(): { readonly seq: JournalPosition; readonly atMs: number } {
    this.#seq++
    return { seq: asJournalPosition(this.#seq), atMs: 10_000 + this.#seq }
  }

  #app(id: AppId): AppState {
    return this.apps.find(({ binding }) => binding.app === id) as AppState
  }

  /** Folds one notification, as it would come in. */
  hear({ app, image, token, timeMs }: Told): void {
    const { binding } = this.#app(app)
    const seen = { ...this.#at(), image, token: asToken(token), sourceTimeMs: timeMs, isRead: false }
    observe(this.work, binding, seen, references)
  }

  /** Plays until there is no need anywhere and nothing is untold; false when that takes more than `roundsMax` rounds. */
  untilInStep(roundsMax: number): boolean {
    for (this.rounds = 0; this.rounds <= roundsMax; this.rounds++) {
      const hadNews = this.#pending.length > 0
      if (!this.#playRound() && !hadNews) return true
    }
    return false
  }

  /** Every application gets its turn, in some order; what is told comes in between or at the end, in some order. True when anything was written or read. */
  #playRound(): boolean {
    const untold = [...this.#pending]
    let isBusy = false
    const order = [...this.apps]
    while (order.length > 0) {
      this.#hearSome()
      const [app] = order.splice(this.#dice(order.length), 1)
      if (this.#turn(app as AppState)) isBusy = true
    }
    while (this.#pending.some((told) => untold.includes(told))) this.#hearOne()
    return isBusy
  }

  #hearSome(): void {
    while (this.#pending.length > 0 && this.#dice(2) === 0) this.#hearOne()
  }

  #hearOne(): void {
    const [told] = this.#pending.splice(this.#dice(this.#pending.length), 1)
    this.hear(told as Told)
  }

  #turn(app: AppState): boolean {
    const { seq, atMs } = this.#at()
    const next = plan(this.work, app.binding, { ...contextAt(atMs), seq })
    if (next === 'intent') this.#write(app)
    if (this.work.lane(app.binding).reading !== null) this.#read(app)
    return next !== 'idle'
  }

  #write(app: AppState): void {
    const intent = this.work.lane(app.binding).intent
    if (intent === null) return
    this.writes++
    const { op, kind, native, baseToken } = intent
    const isFresh = kind === 'create' ? !app.exists : baseToken === String(app.token)
    if (isFresh) {
      app.image = inForm(app.setup, afterPatch(app.binding, kind === 'create' ? { items: true } : app.image, native))
      app.token++
      app.exists = true
      this.#tell(app, 9000)
    }
    const answer = { op, nativeId: asNativeId('1'), token: asToken(String(app.token)) }
    const outcome = isFresh
      ? { ...answer, result: 'applied' as const, ...(app.setup.repliesWithImage && { record: {} }) }
      : { op, result: 'conflict' as const }
    takeOutcome(this.work, app.binding, outcome, this.#at(), 0.5, () => app.image, references)
  }

  #read(app: AppState): void {
    const begunAfter = asJournalPosition(this.#seq)
    const read = {
      app: app.binding.app,
      object: app.binding.object,
      nativeId: asNativeId('1'),
      result: app.exists ? ('found' as const) : ('missing' as const),
      token: asToken(String(app.token)),
      sourceTimeMs: 2000 + APPS.indexOf(app.binding.app as (typeof APPS)[number]) * 1000,
    }
    takeRead(this.work, app.binding, read, begunAfter, this.#at(), 0.5, app.exists ? app.image : null, references)
  }

  /** The head's values; where an element is gone, nothing but that. */
  head(): Fields {
    return Object.fromEntries(Object.entries(this.work.state.head).map(([path, { value }]) => [path, value]))
  }

  /** Whether anything would be written now, anywhere. */
  isInStep(): boolean {
    const { seq, atMs } = this.#at()
    return this.apps.every(({ binding }) => plan(this.work, binding, { ...contextAt(atMs), seq }) === 'idle')
  }

  /** What an application should hold of the fields that go both ways, in its own form. */
  expected({ setup }: AppState): Image {
    const { note: _note, score: _score, ...both } = this.head()
    return inForm(setup, imageOf(both))
  }
}

/** What an application makes of what it is given. */
function inForm({ form }: AppSetup, image: Image): Image {
  const own = (value: Value): Value => {
    if (typeof value !== 'string' || form === 'as it is') return value
    return form === 'upper case' ? value.toUpperCase() : value.trim()
  }
  const kept: Record<Path, Value> = {}
  for (const path in image) {
    const isText = /n_(email|phone|text)$/.test(path)
    kept[path] = isText ? own(image[path] as Value) : (image[path] as Value)
  }
  return kept
}

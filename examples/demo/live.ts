/** What a person sees of a running demo, gathered from the hub's events and looks at all three processes. No drawing here. */

import type { HubEvent, HubStatus } from './hub-api.ts'

export type AppName = 'desk' | 'warehouse'
export const APP_TITLES: Readonly<Record<AppName, string>> = { desk: 'order desk', warehouse: 'warehouse' }

/** One line of a list. */
export interface Line {
  readonly atMs: number
  readonly kind: 'crossed' | 'echo' | 'rendition' | 'stale' | 'conflict' | 'parked' | 'note'
  readonly text: string
}

/** A record by a name that `latchwork explain` takes. */
export interface RecordName {
  readonly entity: string
  readonly app: string
  readonly nativeId: string
}

interface Origin {
  readonly app: string
  readonly nativeId: string | null
  readonly atMs: number
}

const LINES_KEPT = 60
/** Records whose last change is remembered, to say where a write came from. */
const ORIGINS_KEPT = 5_000
const TIMES_KEPT = 1_000

const OURS = ['echo', 'rendition', 'stale'] as const
type Ours = (typeof OURS)[number]

export class Live {
  readonly crossed: Line[] = []
  readonly ours: Line[] = []
  readonly notes: Line[] = []
  status: HubStatus | null = null
  lastRecord: RecordName | null = null
  /** The newest change of a record in each application. */
  readonly #origins = new Map<string, readonly Origin[]>()
  readonly #timesMs: number[] = []

  note(text: string, atMs: number): Line {
    return keep(this.notes, { atMs, kind: 'note', text })
  }

  /** Takes an event in; the line that it makes, or null when it makes none. */
  take(event: HubEvent): Line | null {
    const { verdict, key, app, nativeId, entity, atMs } = event
    if (nativeId !== null) this.lastRecord = { entity, app, nativeId }
    switch (verdict) {
      case 'created':
      case 'accepted':
      case 'conflict-won':
      case 'deleted':
        this.#remember(key, { app, nativeId, atMs })
        return verdict === 'conflict-won'
          ? keep(this.notes, { atMs, kind: 'conflict', text: `${recordText(event)}: ${brief(event.text)}` })
          : null
      case 'conflict-lost':
        return keep(this.notes, { atMs, kind: 'conflict', text: `${recordText(event)}: ${brief(event.text)}` })
      case 'parked':
        return keep(this.notes, { atMs, kind: 'parked', text: `${recordText(event)}: ${brief(event.text)}` })
      case 'applied':
        this.#measure(event)
        return keep(this.crossed, { atMs, kind: 'crossed', text: this.#crossing(event) })
      case 'echo':
      case 'rendition':
      case 'stale':
        return keep(this.ours, { atMs, kind: verdict, text: `${recordText(event)}: ${brief(event.text)}` })
      default:
        return null
    }
  }

  /** From when the hub was told of a change to when the other application had it; of the newest. Null before the first. */
  deliveryTimes(): { readonly p50: number; readonly p99: number } | null {
    if (this.#timesMs.length === 0) return null
    const sorted = this.#timesMs.toSorted((a, b) => a - b)
    const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? 0
    return { p50: at(0.5), p99: at(0.99) }
  }

  /** The first load is no measure of what comes after it. */
  forgetTimes(): void {
    this.#timesMs.length = 0
    this.#origins.clear()
  }

  #remember(key: string, origin: Origin): void {
    const others = (this.#origins.get(key) ?? []).filter((one) => one.app !== origin.app)
    // Taken out and put back, so that the oldest is the first.
    this.#origins.delete(key)
    this.#origins.set(key, [origin, ...others])
    if (this.#origins.size > ORIGINS_KEPT) this.#origins.delete(this.#origins.keys().next().value as string)
  }

  #originElsewhere({ key, app }: HubEvent): Origin | undefined {
    return this.#origins.get(key)?.find((one) => one.app !== app)
  }

  #measure(event: HubEvent): void {
    const { atMs } = event
    const origin = this.#originElsewhere(event)
    if (origin === undefined) return
    this.#timesMs.push(Math.max(0, atMs - origin.atMs))
    if (this.#timesMs.length > TIMES_KEPT) this.#timesMs.shift()
  }

  /** `customer C-7F3A2B ← order desk 1012: phone` */
  #crossing(event: HubEvent): string {
    const origin = this.#originElsewhere(event)
    const from = origin === undefined ? '' : ` ← ${titleOf(origin.app)} ${origin.nativeId ?? ''}`.trimEnd()
    const what = /^(create|delete)d/.exec(event.text)?.[0]
    return `${recordText(event)}${from}: ${what === undefined ? pathsText(event.paths) : `${what}${what === 'created' ? '' : ' there'}`}`
  }

  /** How often each was recognised, and so not answered with a write. */
  counts(): Readonly<Record<Ours, number>> {
    const { echo = 0, rendition = 0, stale = 0 } = this.status?.engine.verdicts ?? {}
    return { echo, rendition, stale }
  }
}

const titleOf = (app: string): string => APP_TITLES[app as AppName] ?? app

const recordText = ({ entity, nativeId }: HubEvent): string => `${entity} ${nativeId ?? '(new)'}`

/** The number of a write says enough beside its record; what an application answered is in its log. */
const brief = (text: string): string =>
  text.replace(/[a-z0-9]+\.\d+\.[0-9a-f-]{36}\.[a-zA-Z]+\.(\d+)/g, '#$1').replace(/\{.*"detail":"([^"]*)".*\}/, '$1')

function pathsText(paths: readonly string[]): string {
  const fields = paths.filter((path) => !path.endsWith(']'))
  const shown = fields.length === 0 ? paths : fields
  return shown.length > 4 ? `${shown.slice(0, 3).join(', ')} and ${shown.length - 3} more` : shown.join(', ')
}

function keep(lines: Line[], line: Line): Line {
  lines.push(line)
  if (lines.length > LINES_KEPT) lines.shift()
  return line
}

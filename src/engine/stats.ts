import type { AppId, EntityName } from '../model/ids.ts'
import type { VerdictName } from '../model/record.ts'
import type { Path } from '../model/value.ts'
import type { Engine } from './engine.ts'

/** Samples kept for a quantile: enough for a p99 of the last minutes, bounded. */
const SAMPLES_MAX = 4096

/** The newest samples of a duration, for quantiles. */
export class Samples {
  readonly #values: number[] = []
  #next = 0
  count = 0

  add(value: number): void {
    this.#values[this.#next] = value
    this.#next = (this.#next + 1) % SAMPLES_MAX
    this.count++
  }

  /** The value below which a share `q` of the samples lies; null when there is none. */
  quantile(q: number): number | null {
    if (this.#values.length === 0) return null
    const sorted = this.#values.toSorted((a, b) => a - b)
    return sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)] ?? null
  }
}

/** How often each of some names came up. */
export class Tally {
  readonly #counts = new Map<string, number>()

  add(name: string): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1)
  }

  counts(): Record<string, number> {
    return Object.fromEntries(this.#counts)
  }
}

export interface EngineStats {
  /** Entries of the journal that were decided on. */
  readonly notifications: number
  readonly reads: number
  readonly duplicates: number
  /** Verdicts by name. */
  readonly verdicts: Readonly<Partial<Record<VerdictName, number>>>
  readonly conflicts: number
  /** Commits of the store: everything decided in one batch shares one. */
  readonly commits: number
  /** Writes that applications confirmed, and those in doubt. */
  readonly writes: {
    readonly sent: number
    readonly applied: number
    readonly unknown: number
    readonly refused: number
  }
  /** From a notification in the journal to the confirmation of the write it led to. */
  readonly latencyMs: { readonly p50: number | null; readonly p99: number | null; readonly count: number }
  /** Blind writes: how many, and how long the application's state was not known before each (docs/protocol.md section 6, case 2). */
  readonly exposure: Readonly<
    Record<AppId, { readonly writes: number; readonly p50Ms: number | null; readonly p99Ms: number | null }>
  >
  readonly backlog: number
  readonly waiting: number
  readonly behind: number
  readonly inFlight: number
  readonly latchesClosed: number
}

/** One line of what happens, for people who watch: emitted after the commit that made it true. */
export interface EngineEvent {
  readonly atMs: number
  readonly seq: number
  readonly entity: EntityName
  readonly key: string
  readonly app: AppId
  readonly nativeId: string | null
  readonly verdict: VerdictName
  readonly text: string
  /** The fields that it is about; empty where it is about the record. */
  readonly paths: readonly Path[]
}

/** The figures of an engine, as `status` and `/metrics` show them. */
export function statsOf(engine: Engine): EngineStats {
  const exposure: Record<string, EngineStats['exposure'][AppId]> = {}
  for (const [app, samples] of engine.exposure)
    exposure[app] = { writes: samples.count, p50Ms: samples.quantile(0.5), p99Ms: samples.quantile(0.99) }
  const { notifications, reads, duplicates, conflicts, sent, applied, unknown, refused, commits } = engine.counters
  return {
    notifications,
    reads,
    duplicates,
    conflicts,
    commits,
    verdicts: engine.verdicts.counts(),
    writes: { sent, applied, unknown, refused },
    latencyMs: { p50: engine.latency.quantile(0.5), p99: engine.latency.quantile(0.99), count: engine.latency.count },
    exposure,
    backlog: engine.journal.last() - engine.cursor,
    waiting: engine.waiting.size,
    behind: engine.behindCount(),
    inFlight: engine.dispatcher.inFlight,
    latchesClosed: engine.latches.size,
  }
}

import type { EngineStats } from '../engine/stats.ts'
import type { StoreCounts } from '../ports/store.ts'
import type { HubContext } from './hub.ts'

interface Metric {
  readonly name: string
  readonly type: 'counter' | 'gauge'
  readonly help: string
  readonly samples: (stats: EngineStats, counts: StoreCounts) => readonly Sample[]
}

/** Labels as they are written between the braces, and the value. */
type Sample = readonly [labels: string, value: number]

const one = (value: number): readonly Sample[] => [['', value]]
const byLabel = (label: string, values: Readonly<Record<string, number | undefined>>): readonly Sample[] =>
  Object.entries(values).map(([name, value]) => [`${label}="${name}"`, value ?? 0])

/** In seconds, as Prometheus has it; nothing before the first. */
const quantiles = (p50: number | null, p99: number | null, labels = ''): readonly Sample[] =>
  p50 === null || p99 === null
    ? []
    : [
        [`${labels}quantile="0.5"`, p50 / 1000],
        [`${labels}quantile="0.99"`, p99 / 1000],
      ]

const METRICS: readonly Metric[] = [
  {
    name: 'notifications_total',
    type: 'counter',
    help: 'Notifications decided on.',
    samples: (stats) => one(stats.notifications),
  },
  {
    name: 'duplicates_total',
    type: 'counter',
    help: 'Notifications acknowledged again and not repeated.',
    samples: (stats) => one(stats.duplicates),
  },
  {
    name: 'verdicts_total',
    type: 'counter',
    help: 'Decisions by verdict.',
    samples: (stats) => byLabel('verdict', stats.verdicts),
  },
  {
    name: 'writes_total',
    type: 'counter',
    help: 'Writes to applications by result.',
    samples: (stats) => byLabel('result', stats.writes),
  },
  {
    name: 'conflicts_total',
    type: 'counter',
    help: 'Values that lost against another and stand in the conflict log.',
    samples: (stats) => one(stats.conflicts),
  },
  {
    name: 'delivery_seconds',
    type: 'gauge',
    help: 'From the notification to the confirmed write, over the last writes.',
    samples: ({ latencyMs }) => quantiles(latencyMs.p50, latencyMs.p99),
  },
  {
    name: 'exposure_seconds',
    type: 'gauge',
    help: 'How long the state of an application was not known before a write without a condition.',
    samples: ({ exposure }) =>
      Object.entries(exposure).flatMap(([app, { p50Ms, p99Ms }]) => quantiles(p50Ms, p99Ms, `app="${app}",`)),
  },
  {
    name: 'backlog',
    type: 'gauge',
    help: 'Journal entries not decided on yet.',
    samples: (stats) => one(stats.backlog),
  },
  { name: 'in_flight', type: 'gauge', help: 'Writes and reads under way.', samples: (stats) => one(stats.inFlight) },
  {
    name: 'latches_closed',
    type: 'gauge',
    help: 'Records with a write of ours outstanding.',
    samples: (stats) => one(stats.latchesClosed),
  },
  { name: 'records', type: 'gauge', help: 'Records known.', samples: (_, counts) => one(counts.records) },
  { name: 'links', type: 'gauge', help: 'Rows of the cross-reference.', samples: (_, counts) => one(counts.links) },
  {
    name: 'held',
    type: 'gauge',
    help: 'Notifications set aside or waiting.',
    samples: (_, counts) => one(counts.held),
  },
  {
    name: 'open_lanes',
    type: 'gauge',
    help: 'Records that are not in step in an application, by why.',
    samples: (_, counts) => byLabel('state', counts.openLanes),
  },
]

/** What `/metrics` gives, in the text format of Prometheus. Counters begin at 0 with the process. */
export async function metricsText({ engine, isReady }: HubContext): Promise<string> {
  const stats = engine.stats()
  const counts = await engine.store.counts()
  const ready = { name: 'ready', type: 'gauge', help: '1 when the hub has recovered and takes notifications.' } as const
  const metrics = [{ ...ready, samples: () => one(isReady() ? 1 : 0) }, ...METRICS]
  return metrics.map((metric) => metricLines(metric, metric.samples(stats, counts))).join('')
}

function metricLines({ name, type, help }: Metric, samples: readonly Sample[]): string {
  const lines = samples.map(([labels, value]) => `latchwork_${name}${labels === '' ? '' : `{${labels}}`} ${value}\n`)
  return `# HELP latchwork_${name} ${help}\n# TYPE latchwork_${name} ${type}\n${lines.join('')}`
}

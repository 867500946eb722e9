import type { HubContext } from './hub.ts'

/** What `/metrics` gives, in the text format of Prometheus. Counters begin at 0 with the process. */
export async function metricsText({ engine, isReady }: HubContext): Promise<string> {
  const stats = engine.stats()
  const counts = await engine.store.counts()
  const lines: string[] = []
  const metric = (name: string, type: 'counter' | 'gauge', help: string, samples: readonly (readonly [labels: string, value: number])[]): void => {
    lines.push(`# HELP latchwork_${name} ${help}`, `# TYPE latchwork_${name} ${type}`)
    for (const [labels, value] of samples) lines.push(`latchwork_${name}${labels === '' ? '' : `{${labels}}`} ${value}`)
  }
  const quantiles = (p50: number | null, p99: number | null, labels = ''): (readonly [string, number])[] =>
    p50 === null || p99 === null ? [] : [[`${labels}quantile="0.5"`, p50 / 1000], [`${labels}quantile="0.99"`, p99 / 1000]]
  metric('ready', 'gauge', '1 when the hub has recovered and takes notifications.', [['', isReady() ? 1 : 0]])
  metric('notifications_total', 'counter', 'Notifications decided on.', [['', stats.notifications]])
  metric('duplicates_total', 'counter', 'Notifications acknowledged again and not repeated.', [['', stats.duplicates]])
  metric('verdicts_total', 'counter', 'Decisions by verdict.', Object.entries(stats.verdicts).map(([name, value]) => [`verdict="${name}"`, value ?? 0]))
  metric('writes_total', 'counter', 'Writes to applications by result.', Object.entries(stats.writes).map(([name, value]) => [`result="${name}"`, value]))
  metric('conflicts_total', 'counter', 'Values that lost against another and stand in the conflict log.', [['', stats.conflicts]])
  metric('delivery_seconds', 'gauge', 'From the notification to the confirmed write, over the last writes.', quantiles(stats.latencyMs.p50, stats.latencyMs.p99))
  metric('exposure_seconds', 'gauge', 'How long the state of an application was not known before a write without a condition.', Object.entries(stats.exposure).flatMap(([app, one]) => quantiles(one.p50Ms, one.p99Ms, `app="${app}",`)))
  metric('backlog', 'gauge', 'Journal entries not decided on yet.', [['', stats.backlog]])
  metric('in_flight', 'gauge', 'Writes and reads under way.', [['', stats.inFlight]])
  metric('latches_closed', 'gauge', 'Records with a write of ours outstanding.', [['', stats.latchesClosed]])
  metric('records', 'gauge', 'Records known.', [['', counts.records]])
  metric('links', 'gauge', 'Rows of the cross-reference.', [['', counts.links]])
  metric('held', 'gauge', 'Notifications set aside or waiting.', [['', counts.held]])
  metric('open_lanes', 'gauge', 'Records that are not in step in an application, by why.', Object.entries(counts.openLanes).map(([state, value]) => [`state="${state}"`, value ?? 0]))
  return `${lines.join('\n')}\n`
}

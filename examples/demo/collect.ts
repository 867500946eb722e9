/** Gathers the evidence: logs and databases from the applications, conflicts and cross-reference from the `latchwork` command. */

import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { AppEvidence, ConflictRow, Evidence, LogItem, Row, XrefRow } from './evaluate/evidence.ts'
import type { Stage } from './stage.ts'

const LOG_PAGE = 1_000
const OUTPUT_BYTES_MAX = 512 * 1024 * 1024

export async function collect(stage: Stage): Promise<Evidence> {
  const [desk, warehouse, xref, conflicts] = await Promise.all([
    appEvidence(stage.url('desk')),
    appEvidence(stage.url('warehouse')),
    listed<XrefRow>(stage, ['xref', 'list']),
    listed<ConflictRow>(stage, ['conflicts']),
  ])
  return { desk, warehouse, xref, conflicts }
}

async function appEvidence(url: string): Promise<AppEvidence> {
  const log: LogItem[] = []
  for (let after = 0; ; ) {
    const page = (await getJson(`${url}/_log?after=${after}&limit=${LOG_PAGE}`)) as { items: LogItem[]; next: number }
    log.push(...page.items)
    if (page.items.length < LOG_PAGE) break
    after = page.next
  }
  const { objects } = (await getJson(`${url}/_export`)) as { objects: Record<string, Row[]> }
  return { log, objects }
}

export async function getJson(url: string): Promise<unknown> {
  const response = await fetch(url, { headers: { 'x-actor': 'demo' } })
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`)
  return response.json()
}

/** Notifications that an application has not got rid of yet; null while it does not answer. */
export async function pendingWebhooks(url: string): Promise<number | null> {
  try {
    return ((await getJson(`${url}/_health`)) as { webhooks_pending: number }).webhooks_pending
  } catch {
    return null
  }
}

/** What a person would see, as JSON: every row. */
async function listed<Line>(stage: Stage, command: readonly string[]): Promise<readonly Line[]> {
  const { stdout } = await runLatchwork([...command, '--limit', '0', '--json', '--data', stage.hubData])
  return (JSON.parse(stdout) as { items: Line[] }).items
}

/** Runs the command line of this repository, as `npm run latchwork --` would. */
export function runLatchwork(args: readonly string[]): Promise<{ stdout: string; stderr: string }> {
  const script = join(import.meta.dirname, '..', '..', 'src', 'cli', 'main.ts')
  return promisify(execFile)(process.execPath, ['--conditions=latchwork-source', script, ...args], {
    maxBuffer: OUTPUT_BYTES_MAX,
  })
}

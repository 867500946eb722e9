import { createInterface } from 'node:readline/promises'
import { SyncError } from '../errors/index.ts'
import { systemClock } from '../lib/system-clock.ts'
import type { BackfillStatus } from '../server/backfilling.ts'
import type { UndoStatus } from '../server/undoing.ts'
import { requireHub } from './access.ts'
import { EXIT } from './exit-codes.ts'
import type { HubClient } from './hub-client.ts'
import type { CommandContext } from './program.ts'
import { barText, Progress } from './progress.ts'

export interface BackfillCommandOptions {
  readonly entity?: string[]
  readonly rate?: number
  readonly createsMax?: number
  readonly yes?: boolean
  readonly again?: boolean
  readonly status?: boolean
  readonly pause?: boolean
  readonly resume?: boolean
  readonly detach?: boolean
  readonly undo?: boolean
}

/** Creates that need no confirmation: what a person would have made by hand in an afternoon. */
const CREATES_UNCONFIRMED = 100
const POLL_MS = 500

/** First contact: brings in what the applications hold already, after it was said what that will write. */
export async function backfill(context: CommandContext, own: BackfillCommandOptions): Promise<number> {
  const hub = requireHub({ ...context.options, env: context.process.env })
  if (own.undo) return undo(context, own, hub)
  if (own.status) return show(context, await hub.get<BackfillStatus>('/api/backfill'))
  if (own.pause) return show(context, (await hub.post('/api/backfill/pause')) as BackfillStatus)
  if (own.resume) return show(context, (await hub.post('/api/backfill/resume')) as BackfillStatus)
  const running = await hub.get<BackfillStatus>('/api/backfill')
  if (running.state === 'none' || running.state === 'done' || running.state === 'failed') {
    const total = await confirmed(context, own)
    await hub.post('/api/backfill', {
      ...(own.entity === undefined ? {} : { entities: own.entity }),
      ...(own.rate === undefined ? {} : { recordsPerSecond: own.rate }),
      again: own.again === true,
    })
    if (own.detach) return show(context, await hub.get<BackfillStatus>('/api/backfill'))
    return follow(context, hub, total)
  }
  if (own.detach) return show(context, running)
  return follow(context, hub, null)
}

/** Rehearses, says what day one writes, and asks where it is much. Returns how many records will be read. */
async function confirmed(context: CommandContext, own: BackfillCommandOptions): Promise<number> {
  const { rehearsedWrites } = await import('./comparing.ts')
  const { creates, updates, records, text } = await rehearsedWrites(context, {
    ...(own.entity === undefined ? {} : { entity: own.entity }),
    limit: 0,
  })
  if (!context.terminal.isJson) context.terminal.note(text)
  if (own.createsMax !== undefined && creates > own.createsMax)
    throw tooMany(creates, `--creates-max is ${own.createsMax}`)
  if (own.yes === true || own.createsMax !== undefined || creates <= CREATES_UNCONFIRMED) return records
  const { stdin } = globalThis.process
  if (stdin.isTTY !== true || context.terminal.isJson)
    throw tooMany(creates, `more than ${CREATES_UNCONFIRMED} need a confirmation`)
  const prompt = createInterface({ input: stdin, output: globalThis.process.stderr })
  const answer = await prompt.question(`Create ${creates} and update ${updates} records? (yes/no) `)
  prompt.close()
  if (answer.trim().toLowerCase() !== 'yes') throw tooMany(creates, 'the answer was not yes')
  return records
}

/** Takes back what the last backfill created, and says what was left because somebody has changed it since. */
async function undo(context: CommandContext, own: BackfillCommandOptions, hub: HubClient): Promise<number> {
  const before = await hub.get<UndoStatus>('/api/backfill/undo')
  if (before.state !== 'taking-back' && own.status !== true) {
    if (own.yes !== true)
      throw new SyncError(
        'backfill.unconfirmed',
        'what the last backfill created would be deleted again, except for what was changed since. Nothing was begun; if it is meant, add --yes',
      )
    await hub.post('/api/backfill/undo')
  }
  const progress = new Progress(context.terminal, context.process.stderr)
  for (;;) {
    const status = await hub.get<UndoStatus>('/api/backfill/undo')
    if (status.state !== 'taking-back' || own.status === true || own.detach === true) {
      progress.clear()
      return showUndo(context, status)
    }
    const taken = status.progress.reduce((sum, one) => sum + one.taken, 0)
    progress.say(() => `${taken} records taken back`)
    await new Promise<void>((resolve) => systemClock.timer(POLL_MS, resolve))
  }
}

function showUndo({ terminal }: CommandContext, status: UndoStatus): number {
  terminal.result(status, () => {
    const lines = status.progress.flatMap(({ app, object, taken, leftCount, left }) => [
      `  ${app} ${object}: ${taken} taken back, ${leftCount} left because they were changed there since`,
      ...left.slice(0, LEFT_SHOWN).map((id) => `    ${app}:${id}`),
    ])
    const why = status.error === null ? '' : ` (${status.error.code}: ${status.error.message})`
    return [`undo: ${status.state}${why}`, ...lines].join('\n')
  })
  return status.state === 'failed' ? EXIT.failure : EXIT.ok
}

const LEFT_SHOWN = 20

const tooMany = (creates: number, why: string): SyncError =>
  new SyncError(
    'backfill.unconfirmed',
    `day one would create ${creates} records, and ${why}. Nothing was begun. \`latchwork rehearse\` lists them; then --yes, or --creates-max ${creates}`,
  )

/** Shows how far it is until it has delivered. Interrupting only ends the showing. */
async function follow(context: CommandContext, hub: HubClient, total: number | null): Promise<number> {
  const progress = new Progress(context.terminal, context.process.stderr)
  const startedMs = systemClock.monotonicMs()
  for (;;) {
    const status = await hub.get<BackfillStatus>('/api/backfill')
    if (status.state === 'done' || status.state === 'failed' || status.state === 'none') {
      progress.clear()
      return show(context, status)
    }
    const read = status.progress.reduce((sum, one) => sum + one.read, 0)
    progress.say(() =>
      status.state === 'delivering'
        ? `all read; ${status.behind} records still to be written`
        : `${status.state}  ${barText(read, total, systemClock.monotonicMs() - startedMs)}`,
    )
    await new Promise<void>((resolve) => systemClock.timer(POLL_MS, resolve))
  }
}

function show({ terminal }: CommandContext, status: BackfillStatus): number {
  terminal.result(status, () => {
    const lines = status.progress.map(
      ({ app, object, read, done }) => `  ${app} ${object}: ${read} read${done ? ', all' : ''}`,
    )
    return [
      `backfill: ${status.state}${status.error === null ? '' : ` (${status.error.code}: ${status.error.message})`}`,
      ...lines,
    ].join('\n')
  })
  return status.state === 'failed' ? EXIT.failure : EXIT.ok
}

import { SyncError } from '../errors/index.ts'
import type { Explanation } from '../server/explain.ts'
import { requireHub } from './access.ts'
import { EXIT } from './exit-codes.ts'
import { type CommandContext, recordOf } from './program.ts'

/** Releases what is set aside of a record: in the application given, or wherever it is. */
export async function release(
  context: CommandContext,
  entity: string,
  record: string,
  onlyIn: string | undefined,
): Promise<number> {
  const { app, nativeId } = recordOf(record)
  const hub = requireHub({ ...context.options, env: context.process.env })
  const found = await hub.get<Explanation>(`/api/explain/${[entity, app, nativeId].map(encodeURIComponent).join('/')}`)
  const released = found.lanes
    .filter((lane) => lane.park !== null && (onlyIn === undefined || lane.app === onlyIn))
    .map((lane) => lane.app)
  if (released.length === 0 || found.key === null) {
    const replayable = found.held
      .filter((entry) => entry.waitsOn === 'operator')
      .map((entry) => `\`latchwork replay ${entry.seq}\``)
    const next =
      replayable.length > 0
        ? `A notification of it is: ${replayable.join(', ')}`
        : '`latchwork status` lists what is set aside'
    throw new SyncError(
      'query.unknown-record',
      `nothing of ${entity} ${record} is set aside${onlyIn === undefined ? '' : ` in ${onlyIn}`}. ${next}`,
    )
  }
  for (const parked of released)
    await hub.post(`/api/lanes/${encodeURIComponent(found.key)}/${encodeURIComponent(parked)}/release`)
  context.terminal.result(
    { key: found.key, released },
    () => `released in ${released.join(', ')}; \`latchwork explain ${entity} ${record}\` shows what comes of it`,
  )
  return EXIT.ok
}

export async function replay(context: CommandContext, seq: string): Promise<number> {
  const hub = requireHub({ ...context.options, env: context.process.env })
  const done = await hub.post(`/api/entries/${encodeURIComponent(seq)}/replay`)
  context.terminal.result(done, () => `taken up again; \`latchwork status\` shows whether it is still set aside`)
  return EXIT.ok
}

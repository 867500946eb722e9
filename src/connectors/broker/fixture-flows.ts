import { defineHub } from '../../config/define-hub.ts'
import type { FlowDefinition } from '../../config/flow.ts'
import { collectingLog } from '../../server/fixture-hub.ts'
import { type RunningHub, startHub } from '../../server/hub.ts'

/** A hub with flows alone, and the lines of its log. */
export type FlowHub = RunningHub & { readonly log: ReturnType<typeof collectingLog> }

export async function flowHub(dataDir: string, ...flows: readonly FlowDefinition[]): Promise<FlowHub> {
  const log = collectingLog()
  const hub = await startHub({ definition: defineHub({ apps: {}, flows }), dataDir, env: {}, log, port: 0 })
  return Object.assign(hub, { log })
}

export async function runsOf(hub: RunningHub, state: string): Promise<readonly Record<string, unknown>[]> {
  const reply = await fetch(`${hub.url}/api/flows/orders/executions?limit=500&state=${state}`)
  return ((await reply.json()) as { items: Record<string, unknown>[] }).items
}

/** Oldest first. */
export async function verdictsOf(hub: RunningHub): Promise<readonly string[]> {
  const reply = await fetch(`${hub.url}/api/messages?limit=500`)
  return ((await reply.json()) as { items: { verdict: string }[] }).items.map(({ verdict }) => verdict).reverse()
}

/** Asks until the answer is as wanted; the test's own time limit ends a wait that never does. */
export async function eventually<T>(ask: () => Promise<T> | T, isWanted: (answer: T) => boolean): Promise<T> {
  for (;;) {
    const answer = await ask()
    if (isWanted(answer)) return answer
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

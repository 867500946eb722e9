import { join } from 'node:path'
import type { HubDefinition } from '../config/define-hub.ts'
import type { Engine } from '../engine/engine.ts'
import { SyncError } from '../errors/index.ts'
import { Fetching } from '../flow/fetching.ts'
import { Flows } from '../flow/flows.ts'
import { systemRandom } from '../lib/system-clock.ts'
import type { Change } from '../model/change.ts'
import { type AppId, asAppId, asEntityName, asNativeId } from '../model/ids.ts'
import type { Connector } from '../ports/app.ts'
import type { Clock, Log } from '../ports/clock.ts'
import type { Journal } from '../ports/journal.ts'
import type { MessageListener } from '../ports/listen.ts'
import type { MessageLog } from '../ports/messages.ts'
import type { RunStore } from '../ports/runs.ts'
import { AppCalls } from './calls.ts'
import { decodeAgain, listenersOf } from './doors.ts'
import { MessageRecorder, RecordedDoor } from './message-recorder.ts'
import type { Environment } from './secrets.ts'

export const messagesPath = (dataDir: string): string => join(dataDir, 'messages.db')

export interface FlowSetup {
  readonly flows: Flows
  /** The flows' door, with a record of what goes through it. */
  readonly door: RecordedDoor
  readonly recorder: MessageRecorder
  readonly listeners: readonly MessageListener[]
}

/** The flows of a hub, with what their runs may do and the doors that lead to them. */
export function createFlows(options: {
  readonly definition: HubDefinition
  readonly engine: Engine
  readonly connectors: ReadonlyMap<AppId, Connector>
  readonly journal: Journal
  readonly runs: RunStore
  readonly messages: MessageLog
  readonly env: Environment
  readonly clock: Clock
  readonly log: Log
}): FlowSetup {
  const { definition, engine, connectors, journal, runs, messages, env, clock, log } = options
  const calls = new AppCalls(connectors)
  const fetching = new Fetching(async ({ app, object }, id, signal) => {
    const image = await calls.read(app, object, id, signal)
    return image.result === 'found' ? (image.record ?? {}) : null
  }, clock)
  const listeners = listenersOf(definition, env, {
    clock,
    random: systemRandom,
    log,
    bodyBytesMax: definition.limits.bodyBytesMax,
  })
  const flows = new Flows({
    models: definition.flows.map((flow) => flow.model),
    runs,
    journal,
    append: (entries) => engine.appendMessages(entries),
    effects: {
      calls: (app, object, nextOp, signal) => calls.of(app, object, nextOp, signal),
      fetch: (fetch, id, signal) => fetching.fetch(fetch, id, signal),
      decode: (flow, message) => decodeAgain(listeners.get(flow) ?? [], flow, message),
      sync: (entity, image, once) => syncImage(engine, entity, image, once),
    },
    clock,
    random: systemRandom,
    log,
    mappingVersion: definition.model.mappingVersion,
    opPrefix: () => `${engine.info?.instanceId}.${engine.info?.generation}`,
  })
  const recorder = new MessageRecorder(messages, clock, log, definition.messages)
  const door = new RecordedDoor(flows, recorder, (flow) => flows.model(flow), clock)
  return { flows, door, recorder, listeners: [...listeners.values()].flat() }
}

/** What is found out about a message after it has come goes into its record: verdicts of the fold, states of runs. */
export function followVerdicts(engine: Engine, { flows, recorder }: FlowSetup): void {
  engine.subscribe((events) => {
    for (const { seq, atMs, verdict, text } of events) recorder.later(seq, { atMs, verdict, text })
  })
  flows.runner.watchers.subscribe((runs) => recorder.runs(runs))
}

/** An image that a flow hands to the fold is a notification like any other. */
async function syncImage(
  engine: Engine,
  entity: string,
  image: { readonly app: string; readonly id: string; readonly record: Change['record'] & {} },
  once: string | null,
): Promise<void> {
  const binding = engine.model.entities.get(asEntityName(entity))?.bindings.get(asAppId(image.app))
  if (binding === undefined)
    throw new SyncError(
      'query.invalid',
      `sync(): ${entity} is not synced in ${image.app}; name an entity and one of its applications`,
    )
  await engine.accept(binding.app, [
    {
      app: binding.app,
      object: binding.object,
      nativeId: asNativeId(image.id),
      kind: 'image',
      record: image.record,
      ...(once === null ? {} : { deliveryId: once }),
    },
  ])
}

import { SyncError } from '../errors/index.ts'
import type { FetchModel, FlowModel, Message, RecordCalls, RunContext, RunLog } from '../model/flow.ts'
import type { AppId, FlowName, ObjectId, RunId } from '../model/ids.ts'
import type { NativeRecord } from '../model/value.ts'
import type { Log } from '../ports/clock.ts'

/** What runs may do besides computing. Whoever composes the hub gives it. */
export interface Effects {
  readonly log: Log
  /** Records of an application's object. `nextOp` names the next write of this run: the same name in every attempt that goes the same way. */
  calls(app: AppId, object: ObjectId, nextOp: () => string, signal: AbortSignal): RecordCalls
  /** Reads the record that a lightweight message names; null when it is not there. */
  fetch(fetch: FetchModel, id: string, signal: AbortSignal): Promise<NativeRecord | null>
  /** Reads what its door could not decode once more, as the config says now. Throws SyncError where it still cannot be. */
  decode(flow: FlowName, message: Message): Message
  /** Journals an application's record for the fold. `once`: the name of this effect; the second time it does nothing. */
  sync(
    entity: string,
    image: { readonly app: string; readonly id: string; readonly record: NativeRecord },
    once: string | null,
  ): Promise<void>
  /** Journals a message for a flow; null when `once` was journalled before. */
  start(flow: string, message: Message, once: string | null): Promise<RunId | null>
}

/** The body and the properties, checked. */
export interface Input {
  readonly body: unknown
  readonly properties: unknown
}

/**
 * What `run` is given. Most runs look at the message alone, so the rest is made when it is asked for; the members are closures, because people take the
 * context apart.
 */
export class Context implements RunContext {
  message: RunContext['message']
  properties: unknown
  readonly id: RunId | null
  readonly attempt: number
  readonly flow: FlowName
  readonly #model: FlowModel
  readonly #effects: Effects
  /** Names the writes of this run: its id, or a number of its own for a caller who waits. */
  readonly #name: string
  #controller: AbortController | null = null
  #aborted: unknown
  #writes = 0
  #apps: Readonly<Record<string, RecordCalls>> | null = null
  /** How often each effect was asked for in this attempt, by what it is for. */
  #effectCounts: Map<string, number> | null = null

  constructor(
    effects: Effects,
    model: FlowModel,
    given: {
      readonly message: Message
      readonly receivedAtMs: number
      readonly id: RunId | null
      readonly name: string
      readonly attempt: number
    },
  ) {
    const { message } = given
    this.#effects = effects
    this.#model = model
    this.#name = given.name
    this.message = {
      body: message.body,
      properties: message.properties,
      origin: message.origin,
      deliveryId: message.deliveryId,
      receivedAtMs: given.receivedAtMs,
    }
    this.properties = message.properties
    this.id = given.id
    this.attempt = given.attempt
    this.flow = model.name
  }

  /** What the schemas made of the message. */
  take(input: Input): void {
    this.message = { ...this.message, body: input.body }
    this.properties = input.properties
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#aborted !== undefined && !this.#controller.signal.aborted) this.#controller.abort(this.#aborted)
    return this.#controller.signal
  }

  abort(reason: SyncError): void {
    this.#aborted ??= reason
    this.#controller?.abort(reason)
  }

  get apps(): Readonly<Record<string, RecordCalls>> {
    this.#apps ??= Object.fromEntries(
      Object.entries(this.#model.apps).map(([name, { app, object }]) => [
        name,
        this.#effects.calls(app, object, () => `${this.#name}.${app}.${this.#writes++}`, this.signal),
      ]),
    )
    return this.#apps
  }

  get log(): RunLog {
    const say =
      (level: 'info' | 'warn'): RunLog['info'] =>
      (text, data) =>
        this.#effects.log.log(level, text, { flow: this.flow, run: this.id ?? undefined, ...data })
    return { info: say('info'), warn: say('warn') }
  }

  get sync(): RunContext['sync'] {
    return (entity, image) =>
      this.#effects.sync(entity.name, image, this.#once(`sync ${entity.name} ${image.app} ${image.id}`))
  }

  get start(): RunContext['start'] {
    return async (flow, { properties = {}, body = null }) => {
      const message: Message = { origin: `flow ${this.flow}`, properties, body: body as Message['body'] }
      return this.#effects.start(flow.name, message, this.#once(`start ${flow.name}`))
    }
  }

  /**
   * Names an effect inside the hub, so that a run that is repeated does not repeat it: by what it is for and how many of that kind came before, not by its number, because another
   * attempt may take another way. null for a run that is never repeated.
   */
  #once(what: string): string | null {
    if (this.id === null) return null
    this.#effectCounts ??= new Map()
    const count = this.#effectCounts.get(what) ?? 0
    this.#effectCounts.set(what, count + 1)
    return `run ${this.flow} ${this.id} ${what} ${count}`
  }
}

/** Any thrown thing as a SyncError: what a flow throws is the flow's, not a defect of ours. */
export function flowError(flow: FlowName, error: unknown): SyncError {
  if (SyncError.is(error)) return error
  const reason = error instanceof Error ? error.message : String(error)
  return new SyncError('flow.failed', `${flow} threw: ${reason}`, { place: { flow }, cause: error })
}

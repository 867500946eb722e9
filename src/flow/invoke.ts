import { SyncError } from '../errors/index.ts'
import type { Check, Checked, FlowModel, Message, SetAside } from '../model/flow.ts'
import type { FlowName, RunId } from '../model/ids.ts'
import type { NativeData } from '../model/value.ts'
import { Context, type Effects, flowError, type Input } from './context.ts'

/** Checks what a message brings against the flow's schemas. Throws SyncError `flow.input-invalid` with every reason. */
export async function checkedInput(model: FlowModel, body: unknown, properties: unknown): Promise<Input> {
  return {
    body: model.input === null ? body : await checked(model.input, body, model.name, 'the body'),
    properties:
      model.properties === null
        ? properties
        : await checked(model.properties, properties, model.name, 'the properties'),
  }
}

async function checked(check: Check, given: unknown, flow: FlowName, what: string): Promise<unknown> {
  const result = check(given)
  const found: Checked = result instanceof Promise ? await result : result
  if ('value' in found) return found.value
  throw new SyncError('flow.input-invalid', `${what} does not fit ${flow}: ${found.issues.join('; ')}.`, {
    place: { flow },
  })
}

export interface Invocation {
  readonly context: Context
  /** Resolves with the encoded result; rejects with SyncError. */
  readonly result: Promise<NativeData>
}

/** One attempt: fetches what a lightweight message names, checks the input unless that is done already, calls the flow, checks what it returned. */
export function invoke(
  effects: Effects,
  model: FlowModel,
  message: Message,
  input: Input | null,
  run: { readonly id: RunId | null; readonly name: string; readonly attempt: number; readonly receivedAtMs: number },
): Invocation {
  const context = new Context(effects, model, { message, ...run })
  if (input !== null) context.take(input)
  return { context, result: call(effects, model, context, input === null ? message : null) }
}

/** The first attempt of a message that its door has set aside: it ends before it begins. */
export function parked(...[effects, model, message, , run]: Parameters<typeof invoke>): Invocation {
  const { code, reason } = message.setAside as SetAside
  const error = new SyncError(code, reason, { place: { flow: model.name } })
  return { context: new Context(effects, model, { message, ...run }), result: Promise.reject(error) }
}

/** The body of the message, or the record that it names. */
export async function bodyOf(
  effects: Effects,
  { name, fetch }: FlowModel,
  message: Message,
  signal: () => AbortSignal,
): Promise<unknown> {
  if (fetch === null) return message.body
  const id = fetch.idOf(message)
  if (id === undefined)
    throw new SyncError('flow.input-invalid', `the message to ${name} names no record to fetch from ${fetch.app}.`, {
      place: { flow: name, app: fetch.app },
    })
  const record = await effects.fetch(fetch, id, signal())
  if (record !== null || fetch.missing === 'null') return record
  throw new SyncError(
    'flow.record-missing',
    `${fetch.app} has no ${fetch.object} ${id}, which the message to ${name} names.`,
    {
      place: { flow: name, app: fetch.app, nativeId: id },
    },
  )
}

async function call(
  effects: Effects,
  model: FlowModel,
  context: Context,
  unchecked: Message | null,
): Promise<NativeData> {
  if (unchecked !== null) {
    const message = (unchecked.setAside?.raw ?? null) === null ? unchecked : effects.decode(model.name, unchecked)
    const body = await bodyOf(effects, model, message, () => context.signal)
    // A record that is gone is told as null, whatever the schema of records says.
    context.take(
      body === null && model.fetch !== null
        ? { body, properties: message.properties }
        : await checkedInput(model, body, message.properties),
    )
  }
  let returned: unknown
  try {
    returned = model.run(context)
    if (returned instanceof Promise || isThenable(returned)) returned = await returned
  } catch (error) {
    throw flowError(model.name, error)
  }
  if (model.output === null) return (returned ?? null) as NativeData
  const result = model.output(returned)
  const found: Checked = result instanceof Promise ? await result : result
  if ('value' in found) return found.value as NativeData
  throw new SyncError(
    'flow.output-invalid',
    `what ${model.name} returned does not fit its output schema: ${found.issues.join('; ')}`,
    { place: { flow: model.name } },
  )
}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'

import type { Hono } from 'hono'
import { streamSSE } from 'hono/streaming'
import { doorName } from '../config/flow.ts'
import { SyncError } from '../errors/index.ts'
import { parseJson } from '../formats/index.ts'
import { isOver, type Message, type Run, type RunState } from '../model/flow.ts'
import { asAppId, asFlowName, asJournalPosition, asRunId, type FlowName, type RunId } from '../model/ids.ts'
import { encodeData, type NativeData } from '../model/value.ts'
import type { FlowExecutor } from '../ports/listen.ts'
import type { MessageRow } from '../ports/messages.ts'
import { deliveriesOf } from './after-delivery.ts'
import { type ApiInfo, openApiOf } from './api-docs.ts'
import { asyncApiOf } from './async-api.ts'
import type { HubContext } from './hub.ts'
import { urlOf } from './url.ts'

/** A caller may wait this long in one request; below the idle time of proxies (60 s). */
const WAIT_MAX_MS = 50_000
const LIMIT_MAX = 500
const HEARTBEAT_MS = 15_000
/** Bodies of executions are read whole. */
const STATES: readonly RunState[] = ['queued', 'running', 'retry', 'doubt', 'parked', 'done', 'cancelled']

const json = (data: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Response =>
  new Response(encodeData(data), {
    status,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers },
  })

/**
 * The Execute API: a flow is started by its name, here or on an agent (`<flow>@<agent>`), and looked at until it is over. And what arrived, for people.
 */
export function addFlowRoutes(app: Hono, context: HubContext): void {
  const { flows } = context

  app.get('/api/flows', async () => {
    const counts = await flows.runs.counts()
    const load = flows.load()
    return json(
      context.definition.flows.map(({ model, listens }) => ({
        name: model.name,
        kind: model.kind,
        doors: listens.map(doorName),
        limits: model.limits,
        load: load[model.name],
        runs: counts[model.name] ?? {},
      })),
    )
  })

  app.post('/api/flows/:name/executions', async (c) => {
    const { executor, flow } = locate(context, c.req.param('name'))
    const message = await messageIn(c.req.raw, context.definition.limits.bodyBytesMax)
    const [atMs, startedMs] = [context.clock.nowMs(), context.clock.monotonicMs()]
    const { run } = await executor.execute(flow, message)
    const tookMs = context.clock.monotonicMs() - startedMs
    context.door.keep(flow, message, run === null ? 'duplicate' : 'accepted', null, { atMs, tookMs, run })
    if (run === null) return json({ duplicate: true })
    const url = `/api/flows/${encodeURIComponent(c.req.param('name'))}/executions/${run}`
    const waited = await waitFor(context, executor, run, waitMsOf(c.req.query('wait')))
    return waited !== null && isOver(waited.state)
      ? json(shown(waited), 200, { location: url })
      : json({ id: run, url }, 202, { location: url })
  })

  app.get('/api/flows/:name/executions', async (c) => {
    const { flow } = locate(context, c.req.param('name'))
    const state = c.req.query('state')
    if (state !== undefined && !STATES.includes(state as RunState))
      throw new SyncError('query.invalid', `${state.slice(0, 40)} is not a state; there are ${STATES.join(', ')}`)
    const before = c.req.query('before')
    const max = limitOf(c.req.query('limit'))
    const items = await flows.runs.list({
      flow,
      max,
      ...(state === undefined ? {} : { state: state as RunState }),
      ...(before === undefined ? {} : { before: runIdOf(before) }),
    })
    return json({ items: items.map(shown), next: items.length < max ? null : (items.at(-1)?.id ?? null) })
  })

  app.get('/api/flows/:name/executions/:id', async (c) => {
    const { executor, flow } = locate(context, c.req.param('name'))
    const id = runIdOf(c.req.param('id'))
    const run = await waitFor(context, executor, id, waitMsOf(c.req.query('wait')))
    return json(shown(ofFlow(run, flow, id)))
  })

  app.get('/api/flows/:name/executions/:id/events', async (c) => {
    const { executor, flow } = locate(context, c.req.param('name'))
    const id = runIdOf(c.req.param('id'))
    const first = ofFlow(await executor.run(id), flow, id)
    return streamSSE(c, async (stream) => {
      await follow(context, executor, first, async (run) => {
        await stream.writeSSE({ event: 'run', id: String(run.timeline.length), data: encodeData(shown(run)) })
      })
    })
  })

  for (const action of ['release', 'cancel'] as const) {
    app.post(`/api/flows/:name/executions/:id/${action}`, async (c) => {
      const { flow } = locate(context, c.req.param('name'))
      const id = runIdOf(c.req.param('id'))
      ofFlow(await flows.run(id), flow, id)
      return json(shown((await flows.runner[action](id, flow)) as Run), 202)
    })
  }

  // A body as its sender would send it, without its proof: who may use this API may do that.
  app.post('/api/flows/:name/messages', async (c) => {
    const { flow } = locate(context, c.req.param('name'))
    const body = new Uint8Array(await c.req.raw.arrayBuffer())
    const properties = Object.fromEntries(new URL(c.req.url).searchParams)
    const message: Message = { origin: 'send', properties, body: body.length === 0 ? null : parseJson(body) }
    return deliver(context, flow, message)
  })

  const info = (): ApiInfo => {
    const url = urlOf(context.listening(), context.definition.listener.tls !== null)
    return { title: 'Latchwork hub', version: VERSION, url }
  }
  // Behind the same guard as the rest: they say how the hub can be reached.
  app.get('/api/openapi.json', () => json(openApiOf(context.definition, info())))
  app.get('/api/asyncapi.json', () => json(asyncApiOf(context.definition, info())))

  addMessageRoutes(app, context)
}

/** Of the documents: of this form of the config, not of the package. */
const VERSION = '1.0.0'

function addMessageRoutes(app: Hono, context: HubContext): void {
  const { recorder } = context
  app.get('/api/messages', async (c) => {
    await recorder.flush()
    const [flow, of, verdict, text, since, before] = ['flow', 'app', 'verdict', 'text', 'since', 'before'].map((name) =>
      c.req.query(name),
    )
    const max = limitOf(c.req.query('limit'))
    const items = await recorder.log.list({
      max,
      ...(flow === undefined ? {} : { flow: asFlowName(flow) }),
      ...(of === undefined ? {} : { app: asAppId(of) }),
      ...(verdict === undefined ? {} : { verdict }),
      ...(text === undefined ? {} : { text }),
      ...(since === undefined ? {} : { sinceMs: numberOf('since', since) }),
      ...(before === undefined ? {} : { before: numberOf('before', before) }),
    })
    return json({ items, next: items.length < max ? null : (items.at(-1)?.id ?? null) })
  })
  app.get('/api/messages/stream', (c) =>
    streamSSE(c, async (stream) => {
      const waiting: MessageRow[] = []
      let wake = (): void => {}
      let isOverNow = context.stopping.aborted
      const end = (): void => {
        isOverNow = true
        wake()
      }
      const unsubscribe = recorder.subscribe((rows) => {
        // A reader that is too slow for what comes loses the oldest.
        waiting.push(...rows)
        if (waiting.length > 2_000) waiting.splice(0, waiting.length - 2_000)
        wake()
      })
      context.stopping.addEventListener('abort', end)
      stream.onAbort(end)
      try {
        await stream.write(': messages from now on\n\n')
        while (!isOverNow) {
          if (waiting.length === 0) {
            const beat = await Promise.race([
              new Promise<false>((resolve) => {
                wake = () => resolve(false)
              }),
              new Promise<true>((resolve) => context.clock.timer(HEARTBEAT_MS, () => resolve(true))),
            ])
            if (beat) await stream.write(': still here\n\n')
            continue
          }
          for (const row of waiting.splice(0))
            await stream.writeSSE({ event: 'message', id: String(row.id), data: encodeData(row) })
        }
      } finally {
        unsubscribe()
        context.stopping.removeEventListener('abort', end)
      }
    }),
  )
  // What a notification that was answered with 202 and a request id has led to since.
  app.get('/api/deliveries/:seq', async (c) => {
    const seq = numberOf('request', c.req.param('seq'))
    const [entry] = await context.engine.journal.read(asJournalPosition(Math.max(0, seq - 1)), 1)
    if (entry?.seq !== seq || entry.input.type !== 'notification')
      throw new SyncError('query.unknown-record', `no notification has the request id ${seq}`)
    return json({ records: await deliveriesOf(context.engine, [entry.input.change], null) })
  })
  app.get('/api/messages/:id', async (c) => {
    await recorder.flush()
    return json(await messageRow(context, c.req.param('id')))
  })
  app.post('/api/messages/:id/resend', async (c) => {
    await recorder.flush()
    return resend(context, await messageRow(context, c.req.param('id')))
  })
}

/** Where a flow runs: here, or on an agent that is named behind an `@`. */
function locate(context: HubContext, name: string): { readonly executor: FlowExecutor; readonly flow: FlowName } {
  const at = name.lastIndexOf('@')
  if (at > 0) {
    const agent = name.slice(at + 1)
    const executor = context.executors.get(agent)
    if (executor !== undefined) return { executor, flow: asFlowName(name.slice(0, at)) }
    throw new SyncError(
      'flow.unknown',
      `no agent ${agent.slice(0, 100)} is connected, so ${name.slice(0, 200)} cannot be started there`,
    )
  }
  const flow = asFlowName(name)
  if (context.flows.model(flow) !== undefined) return { executor: context.flows, flow }
  throw new SyncError(
    'flow.unknown',
    `${name.slice(0, 200)} is not a flow of this hub; it has ${context.flows.names.join(', ') || 'none'}`,
  )
}

/** `{ "properties": { ... }, "body": ..., "id": "..." }`; nothing at all starts it without either. Properties that are not text are written as JSON has them. */
async function messageIn(request: Request, bytesMax: number): Promise<Message> {
  const bytes = new Uint8Array(await request.arrayBuffer())
  if (bytes.length > bytesMax) throw new SyncError('intake.too-large', `the body is larger than ${bytesMax} bytes`)
  const given = bytes.length === 0 ? {} : parseJson(bytes)
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    throw new SyncError('query.invalid', 'an execution is an object: { "properties": { ... }, "body": ... }')
  const { properties = {}, body = null, id, ...rest } = given as Record<string, NativeData>
  const [unknown] = Object.keys(rest)
  if (unknown !== undefined)
    throw new SyncError(
      'query.invalid',
      `${unknown.slice(0, 100)} is not known in an execution; it has properties, body and id`,
    )
  if (typeof properties !== 'object' || properties === null || Array.isArray(properties))
    throw new SyncError('query.invalid', 'properties is not an object of names and values')
  if (id !== undefined && typeof id !== 'string') throw new SyncError('query.invalid', 'id is not text')
  return {
    origin: 'execution',
    properties: Object.fromEntries(
      Object.entries(properties).map(([name, value]) => [name, typeof value === 'string' ? value : encodeData(value)]),
    ),
    body,
    ...(id === undefined ? {} : { deliveryId: id }),
  }
}

async function deliver(context: HubContext, flow: FlowName, message: Message): Promise<Response> {
  const delivered = await context.door.deliver(flow, message, null)
  switch (delivered.kind) {
    case 'replied':
      return json({ reply: delivered.value })
    case 'filtered':
      return json({ filtered: delivered.filter })
    case 'accepted':
      return json(delivered.duplicate ? { duplicate: true } : { id: delivered.run }, 202)
  }
}

/** The message once more, as a new one: what it told of is in the journal as it came, or whole in the list. */
async function resend(context: HubContext, row: MessageRow): Promise<Response> {
  const { engine } = context
  if (row.flow !== null) {
    const body = await bodyAgain(context, row)
    return deliver(context, row.flow, { origin: `resend ${row.id}`, properties: row.properties, body })
  }
  const again = []
  for (const seq of row.seqs) {
    const [entry] = await engine.journal.read((seq - 1) as typeof seq, 1)
    if (entry?.seq === seq && entry.input.type === 'notification') again.push(entry.input.change)
  }
  if (again.length === 0 || row.app === null)
    throw new SyncError('query.unknown-message', `message ${row.id} told of nothing that is still in the journal`)
  // Without its delivery id: it is asked for again on purpose.
  await engine.accept(
    row.app,
    again.map(({ deliveryId: _, ...change }) => change),
  )
  return json({ resent: again.length }, 202)
}

async function bodyAgain(context: HubContext, row: MessageRow): Promise<NativeData> {
  if (row.run !== null) {
    const seq = Number(row.run)
    const [entry] = await context.engine.journal.read((seq - 1) as never, 1)
    if (entry?.seq === seq && entry.input.type === 'message') {
      const { body, setAside } = entry.input.message
      if ((setAside?.raw ?? null) === null) return body
      throw new SyncError(
        'query.unknown-message',
        `message ${row.id} could not be decoded. Correct its door and release run ${row.run}; it is decoded again then.`,
      )
    }
  }
  if (!row.isCut && !row.isRedacted) return row.payload === null ? null : parseJson(Buffer.from(row.payload))
  const why = row.isCut ? 'only its beginning is kept' : 'what is declared secret in it was not kept'
  throw new SyncError(
    'query.unknown-message',
    `message ${row.id} cannot be sent again from here: ${why}. Let its sender send it again.`,
  )
}

async function messageRow({ recorder }: HubContext, id: string): Promise<MessageRow> {
  const row = await recorder.log.get(numberOf('message', id))
  if (row !== null) return row
  throw new SyncError(
    'query.unknown-message',
    `no message has the number ${id.slice(0, 40)}. \`latchwork messages\` lists them`,
  )
}

/** Waits until the run is over, or the time is. */
async function waitFor(context: HubContext, executor: FlowExecutor, id: RunId, waitMs: number): Promise<Run | null> {
  const { promise, resolve } = Promise.withResolvers<Run | null>()
  const unwatch = executor.watch(id, (run) => isOver(run.state) && resolve(run))
  const timer = context.clock.timer(waitMs, () => resolve(null))
  const stopped = (): void => resolve(null)
  context.stopping.addEventListener('abort', stopped)
  try {
    const now = await executor.run(id)
    if (waitMs === 0 || now === null || isOver(now.state)) return now
    return (await promise) ?? (await executor.run(id))
  } finally {
    unwatch()
    timer.cancel()
    context.stopping.removeEventListener('abort', stopped)
  }
}

/** Calls with the run as it is and with every state of it until it is over. */
async function follow(
  context: HubContext,
  executor: FlowExecutor,
  first: Run,
  tell: (run: Run) => Promise<void>,
): Promise<void> {
  const waiting: Run[] = [first]
  let wake = (): void => {}
  let isStopped = context.stopping.aborted
  const stop = (): void => {
    isStopped = true
    wake()
  }
  const unwatch = executor.watch(first.id, (run) => {
    waiting.push(run)
    wake()
  })
  context.stopping.addEventListener('abort', stop)
  try {
    const now = await executor.run(first.id)
    if (now !== null && now.timeline.length > first.timeline.length) waiting.push(now)
    while (!isStopped) {
      const run = waiting.shift()
      if (run === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
        continue
      }
      await tell(run)
      if (isOver(run.state)) return
    }
  } finally {
    unwatch()
    context.stopping.removeEventListener('abort', stop)
  }
}

function ofFlow(run: Run | null, flow: FlowName, id: RunId): Run {
  if (run !== null && run.flow === flow) return run
  throw new SyncError('query.unknown-run', `${flow} has no run ${id}`)
}

/** Without its message, which may hold what nobody may see; `latchwork messages` shows that redacted. */
const shown = ({ message: _, ...run }: Run): Omit<Run, 'message'> => run

function waitMsOf(text: string | undefined): number {
  if (text === undefined) return 0
  return Math.min(WAIT_MAX_MS, numberOf('wait', text) * 1_000)
}

function numberOf(name: string, text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new SyncError('query.invalid', `${name} is ${text.slice(0, 40)}; give a whole number`)
}

const runIdOf = (text: string): RunId => asRunId(String(numberOf('run', text)))

function limitOf(text: string | undefined): number {
  const limit = text === undefined ? 100 : numberOf('limit', text)
  if (limit >= 1 && limit <= LIMIT_MAX) return limit
  throw new SyncError('query.invalid', `limit is ${text}; give a whole number from 1 to ${LIMIT_MAX}`)
}

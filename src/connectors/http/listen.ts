import { SyncError } from '../../errors/index.ts'
import {
  compileFormat,
  type Decoded,
  FORMAT_LIMITS,
  type Format,
  negotiate,
  type Problem,
  parseMediaType,
} from '../../formats/index.ts'
import type { Message } from '../../model/flow.ts'
import type { FlowName } from '../../model/ids.ts'
import type { NativeData } from '../../model/value.ts'
import type { RawReply, RawRequest } from '../../ports/app.ts'
import type { Delivered, FlowDoor, ListenRoute, MessageListener } from '../../ports/listen.ts'
import type { HttpListenOptions } from './options.ts'
import { compilePlace, idText } from './place.ts'
import { createVerifier } from './verify.ts'

/** Query parameters of one message; more are an attack on whoever looks at them. */
const QUERY_PARAMETERS_MAX = 100

/** Writes a refusal in the form of a format, with the headers that every refusal has. */
export type WriteRefusal = (
  error: SyncError,
  path: string,
  write: (problem: Problem) => { readonly status: number; readonly contentType: string; readonly body: string },
) => RawReply

/** Doors of flows on paths of the hub. */
export function createHttpListener(
  flow: FlowName,
  doors: readonly HttpListenOptions[],
  writeRefusal: WriteRefusal,
): MessageListener {
  return {
    routes: doors.map((options) => route(flow, options, writeRefusal)),
    async start() {},
    async close() {},
    async [Symbol.asyncDispose]() {},
  }
}

function route(flow: FlowName, options: HttpListenOptions, writeRefusal: WriteRefusal): ListenRoute {
  const { method, path } = options
  const origin = `http ${method} ${path}`
  const verify = options.verify === null ? onlyThisMachine(path) : createVerifier(options.verify, path)
  const deliveryAt = options.deliveryId === null ? null : compilePlace(options.deliveryId)
  const places = Object.entries(options.properties).map(([name, place]) => [name, compilePlace(place)] as const)
  const formats = options.formats.map(compileFormat)
  const inOf =
    formats.length === 1 ? () => formats[0] as Format : (headers: RawRequest['headers']) => formatOf(headers, formats)

  /** HOT PATH. */
  const messageOf = (
    request: RawRequest,
    params: Readonly<Record<string, string>>,
  ): { readonly message: Message; readonly text?: string | undefined } => {
    const { data: body, text } =
      request.body.length === 0 ? NO_BODY : inOf(request.headers).decode(request.body, request.headers, FORMAT_LIMITS)
    const properties = propertiesOf(request, params)
    for (const [name, read] of places) {
      const text = textOf(read(request, body, body).value)
      if (text !== undefined) properties[name] = text
    }
    const deliveryId = deliveryAt === null ? undefined : idText(deliveryAt(request, body, body).value, 'text')
    const message = deliveryId === undefined ? { origin, properties, body } : { origin, properties, body, deliveryId }
    return { message, text }
  }

  return {
    method,
    path,
    flow,
    refuses: (door: FlowDoor) => door.refusal(flow),
    async answer(request, params, door, nowMs) {
      verify(request, nowMs)
      const { message, text } = messageOf(request, params)
      const delivered = await door.deliver(flow, message, null, 'refusals', text)
      const format = outOf(request.headers, formats, inOf)
      if (delivered.kind === 'replied') return replyOf(200, format.encode(delivered.value, request.headers))
      if (options.ackStatus === 204) return { status: 204, headers: {}, body: '' }
      return replyOf(options.ackStatus, format.encode(saidOf(delivered), request.headers))
    },
    refusal: (error, request) => {
      const format = inOf(request.headers)
      return writeRefusal(error, request.path, (problem) => format.fault(problem, request.headers))
    },
  }
}

const NO_BODY: Pick<Decoded, 'data' | 'text'> = { data: null }

const saidOf = (delivered: Exclude<Delivered, { readonly kind: 'replied' }>): NativeData =>
  delivered.kind === 'filtered'
    ? { filtered: delivered.filter }
    : delivered.duplicate
      ? { duplicate: true }
      : { run: delivered.run }

const replyOf = (
  status: number,
  { contentType, body }: { readonly contentType: string; readonly body: string },
): RawReply => ({
  status,
  headers: { 'content-type': contentType },
  body,
})

/** The format that the content type names; the first, which then says what it wants, for any other. */
function formatOf(headers: RawRequest['headers'], formats: readonly Format[]): Format {
  const name = parseMediaType(headers['content-type'] ?? '')?.name
  return (
    formats.find((format) => parseMediaType(format.contentType)?.name === name) ??
    formats.find((format) => name?.endsWith(`+${format.spec.kind}`)) ??
    (formats[0] as Format)
  )
}

/** What the Accept header prefers; the sender's own format without one. */
function outOf(
  headers: RawRequest['headers'],
  formats: readonly Format[],
  inOf: (headers: RawRequest['headers']) => Format,
): Format {
  if (formats.length === 1 || headers.accept === undefined) return inOf(headers)
  const own = inOf(headers)
  // Where anything will do, the sender's own format is the best guess.
  return negotiate(headers.accept, [own, ...formats.filter((format) => format !== own)]) ?? own
}

/** Path parameters stand over query parameters of the same name: they are what the route was chosen by. */
function propertiesOf(request: RawRequest, params: Readonly<Record<string, string>>): Record<string, string> {
  if (request.query === '') return { ...params }
  const properties: Record<string, string> = Object.create(null)
  let count = 0
  for (const [name, value] of new URLSearchParams(request.query)) {
    if (++count > QUERY_PARAMETERS_MAX)
      throw new SyncError('intake.shape', `the request has more than ${QUERY_PARAMETERS_MAX} query parameters.`)
    properties[name] = value
  }
  return Object.assign(properties, params)
}

const textOf = (value: unknown): string | undefined =>
  typeof value === 'string'
    ? value
    : typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean'
      ? String(value)
      : undefined

const LOCAL: ReadonlySet<string> = new Set(['127.0.0.1', '::1', '::ffff:127.0.0.1'])

/** Without a proof only who is on this machine is answered; a page of another site in its browser is not. */
const onlyThisMachine =
  (path: string) =>
  (request: RawRequest): void => {
    if (LOCAL.has(request.remoteAddress) && request.headers.origin === undefined) return
    throw new SyncError(
      'intake.unauthenticated',
      `${path} says no \`verify\`, so it answers only programs on the hub's own machine. Give it one, or unverified().`,
      { place: { path } },
    )
  }

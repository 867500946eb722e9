import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { SyncError } from '../errors/index.ts'
import type { AppId } from '../model/ids.ts'
import type { Accepted, Listens, RawReply, RawRequest, Source } from '../ports/app.ts'
import type { Clock, Log } from '../ports/clock.ts'
import type { FlowDoor, ListenRoute } from '../ports/listen.ts'
import { declaredTooLong, inflated, readBody } from './body.ts'
import { problemReply, refusalWriters, unknownPath } from './problem.ts'
import { type Handler, NO_PARAMS, type Params, type Route, Routes } from './routes.ts'
import type { TlsTexts } from './secrets.ts'
import { createWebServer, type WebServer } from './web-server.ts'

export interface ListenerLimits {
  readonly bodyBytesMax: number
  /** A sender that has not sent all its headers within this is cut off. */
  readonly headersTimeoutMs: number
  /** The same for the whole request. */
  readonly requestTimeoutMs: number
}

export interface ListenerOptions {
  readonly sources: readonly Source[]
  /** Doors of flows. */
  readonly doors?: readonly ListenRoute[]
  readonly flows?: FlowDoor
  /** Gets every request that is not for a webhook. Without it they are refused as `intake.unknown-path`. */
  readonly admin?: (request: Request) => Response | Promise<Response>
  /** Makes the changes durable and gives what to answer. Rejects with a SyncError (handling retry) when it cannot; then nothing was acknowledged. */
  readonly onAccept: (app: AppId, accepted: Accepted, request: RawRequest) => Promise<RawReply>
  /** A request to a known path that was not taken. */
  readonly onRefused?: (error: SyncError, request: RefusedRequest, owner: string) => void
  readonly limits: ListenerLimits
  /** HTTPS; absent or null: HTTP. */
  readonly tls?: TlsTexts | null
  readonly log: Log
  readonly clock: Clock
}

/** What is known of a request that was refused. */
export interface RefusedRequest {
  readonly method: string
  readonly path: string
}

/** The hub's HTTP front. */
export interface Listener extends AsyncDisposable {
  /** Resolves once it listens; port 0 takes a free one. */
  listen(port: number, host: string): Promise<{ readonly host: string; readonly port: number }>
  /** Takes no new connections, answers what is under way, refuses what comes on old ones, then ends. Idempotent. */
  close(): Promise<void>
}

/** Longer than the idle time of the usual load balancers (60 s), so that it is they who close. */
const KEEP_ALIVE_MS = 65_000
/** Node's default, stated: no signature or token needs more. Beyond it Node answers 431. */
const HEADER_BYTES_MAX = 16_384
/** How long a refused sender may take to notice our early answer before the connection is cut. */
const LINGER_MS = 1_000
/** What is under way when the hub stops has this long; a hub must be gone within 30 s. */
const DRAIN_MS = 10_000
/** Refusals are logged one by one up to this many a second; a flood is counted. */
const REFUSALS_LOGGED_PER_S = 10

export function createListener(options: ListenerOptions): Listener {
  return new HttpListener(options)
}

class HttpListener implements Listener {
  readonly #options: ListenerOptions
  readonly #routes = new Routes()
  readonly #server: Server
  readonly #certificateOf: WebServer['certificateOf']
  readonly #admin: ReturnType<typeof getRequestListener> | null
  readonly #refusals: RefusalLog
  #closing: Promise<void> | null = null

  constructor(options: ListenerOptions) {
    this.#options = options
    this.#refusals = new RefusalLog(options.log, options.clock)
    for (const source of options.sources)
      for (const listens of source.listens)
        this.#routes.declare(listens.method, listens.path, this.#webhook(source, listens))
    for (const door of options.doors ?? []) this.#routes.declare(door.method, door.path, this.#door(door))
    this.#admin =
      options.admin === undefined ? null : getRequestListener(options.admin, { overrideGlobalObjects: false })
    const { headersTimeoutMs, requestTimeoutMs } = options.limits
    const { server, certificateOf } = createWebServer(
      options.tls ?? null,
      {
        headersTimeout: headersTimeoutMs,
        requestTimeout: requestTimeoutMs,
        connectionsCheckingInterval: Math.min(1_000, headersTimeoutMs, requestTimeoutMs),
        keepAliveTimeout: KEEP_ALIVE_MS,
        maxHeaderSize: HEADER_BYTES_MAX,
        // Asked for in `#take`, where the refusal has a code.
        requireHostHeader: false,
      },
      (request, response) => this.#take(request, response),
    )
    this.#server = server
    this.#certificateOf = certificateOf
    this.#server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) =>
      this.#take(request, response, true),
    )
    this.#server.on('connect', (request: IncomingMessage, socket: Socket) =>
      this.#endSocket(
        socket,
        new SyncError('intake.method', `the hub is no proxy: CONNECT ${(request.url ?? '').slice(0, 100)} is refused.`),
      ),
    )
    this.#server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => this.#refuseSocket(error, socket))
  }

  listen(port: number, host: string): Promise<{ readonly host: string; readonly port: number }> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(port, host, () => {
        this.#server.off('error', reject)
        this.#server.on('error', (error) =>
          this.#options.log.log('error', 'the listener failed', { error: error.message }),
        )
        resolve({ host, port: (this.#server.address() as AddressInfo).port })
      })
    })
  }

  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      const cut = this.#options.clock.timer(DRAIN_MS, () => this.#server.closeAllConnections())
      this.#server.close(() => {
        cut.cancel()
        resolve()
      })
      this.#server.closeIdleConnections()
    })
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #webhook(source: Source, { path, refusals }: Listens): Handler {
    return {
      owner: source.app,
      refuses: () => null,
      answer: async (asked, params) => {
        const request = params === NO_PARAMS ? asked : { ...asked, path: path, params }
        const accepted = source.accept(request, this.#options.clock.nowMs())
        return this.#options.onAccept(source.app, accepted, request)
      },
      refusal: (error, { path: at, headers }) =>
        problemReply(error, at, undefined, refusalWriters[refusals ?? 'problem+json'], headers),
    }
  }

  #door(door: ListenRoute): Handler {
    const { flows } = this.#options
    if (flows === undefined) throw new SyncError('internal.bug', 'a door of a flow was declared without the flows')
    return {
      owner: `flow ${door.flow}`,
      refuses: () => door.refuses(flows),
      answer: (request, params) => door.answer(request, params, flows, this.#options.clock.nowMs()),
      refusal: (error, request) => door.refusal(error, request),
    }
  }

  /** Hot path up to `onAccept`. */
  #take(request: IncomingMessage, response: ServerResponse, wantsContinue = false): void {
    const url = request.url ?? '/'
    const question = url.indexOf('?')
    const path = question < 0 ? url : url.slice(0, question)
    const found = this.#routes.find(path)
    response.on('error', ignore)
    if (this.#closing !== null) this.#refuse(request, response, path, STOPPING)
    else if (request.httpVersionMajor !== 1 || (request.headers.host === undefined && request.httpVersionMinor > 0))
      this.#refuse(request, response, path, NOT_HTTP_1)
    else if (found === undefined) this.#pass(request, response, path, wantsContinue)
    else {
      const handler = found.route.handlers.get(request.method ?? '')
      if (handler === undefined) this.#answerMethod(request, response, path, found.route)
      else {
        const query = question < 0 ? '' : url.slice(question + 1)
        this.#read(request, response, { path, query, params: found.params, handler }, wantsContinue)
      }
    }
  }

  #read(request: IncomingMessage, response: ServerResponse, asked: Asked, wantsContinue: boolean): void {
    const { path, handler } = asked
    const { bodyBytesMax } = this.#options.limits
    const refusal = handler.refuses() ?? declaredTooLong(request, bodyBytesMax)
    if (refusal !== null) {
      this.#refuse(request, response, path, refusal, handler)
      return
    }
    if (wantsContinue) response.writeContinue()
    readBody(request, bodyBytesMax, (body, error) => {
      if (error !== null) this.#refuse(request, response, path, error, handler)
      else if (body !== null) void this.#accept(asked, request, response, body)
    })
  }

  async #accept(asked: Asked, request: IncomingMessage, response: ServerResponse, sent: Buffer): Promise<void> {
    const { path, query, handler, params } = asked
    try {
      const coding = request.headers['content-encoding']
      const body =
        coding === undefined || coding === 'identity'
          ? sent
          : await inflated(sent, coding, this.#options.limits.bodyBytesMax)
      const raw: RawRequest = {
        method: request.method ?? '',
        path,
        query,
        // `set-cookie` alone may be a list there, and no webhook sends it.
        headers: request.headers as Readonly<Record<string, string>>,
        body,
        remoteAddress: request.socket.remoteAddress ?? '',
        ...this.#certificateOf(request.socket),
      }
      this.#send(response, await handler.answer(raw, params))
    } catch (error) {
      this.#refuse(request, response, path, error, handler)
    }
  }

  #pass(request: IncomingMessage, response: ServerResponse, path: string, wantsContinue: boolean): void {
    if (this.#admin === null) {
      this.#refuse(request, response, path, unknownPath(path, this.#routes.paths))
      return
    }
    if (wantsContinue) response.writeContinue()
    // Node keeps a connection open after its last answer, also when the server is closing; webhooks get `connection: close` instead.
    response.once('finish', () => {
      if (this.#closing !== null) request.socket.end()
    })
    void this.#admin(request, response)
  }

  #answerMethod(request: IncomingMessage, response: ServerResponse, path: string, route: Route): void {
    const methods = [...route.handlers.keys()]
    const allow = [...methods, 'OPTIONS'].join(', ')
    response.setHeader('allow', allow)
    if (request.method === 'OPTIONS') {
      response.writeHead(204).end()
      return
    }
    const text = `${path} takes ${methods.join(', ')}, not ${(request.method ?? '').slice(0, 20)}.`
    this.#refuse(request, response, path, new SyncError('intake.method', text), route.handlers.values().next().value)
  }

  #send(response: ServerResponse, reply: RawReply): void {
    if (response.destroyed) return
    if (this.#closing !== null) response.setHeader('connection', 'close')
    const hasBody = reply.status !== 204 && reply.status !== 304
    const length = hasBody ? { 'content-length': Buffer.byteLength(reply.body) } : {}
    response.writeHead(reply.status, { ...reply.headers, ...length })
    response.end(hasBody ? reply.body : undefined)
  }

  #refuse(
    request: IncomingMessage,
    response: ServerResponse,
    path: string,
    error: unknown,
    handler: Handler | null = null,
  ): void {
    const known = SyncError.from(error)
    this.#refusals.add(known, path)
    if (response.destroyed || response.headersSent) return
    if (handler !== null && !isKeptByDoor(known))
      this.#options.onRefused?.(known, { method: request.method ?? '', path }, handler.owner)
    const headers = request.headers as Readonly<Record<string, string>>
    const reply = handler === null ? problemReply(known, path) : handler.refusal(known, { path, headers })
    if (request.complete || isBodyless(request)) this.#send(response, reply)
    else if (isShort(request)) {
      // Cheaper for both sides than a new connection, and a crowd that is told to come back is when that counts.
      request.resume()
      this.#send(response, reply)
    } else this.#sendEarly(request, response, reply)
  }

  /**
   * Answers a request whose body is still coming, without reading it. Closing at once would reset the connection and could take the answer with it, so the sender has
   * a moment to notice.
   */
  #sendEarly(request: IncomingMessage, response: ServerResponse, reply: RawReply): void {
    const { socket } = request
    request.pause()
    response.shouldKeepAlive = false
    const headers = {
      ...reply.headers,
      ...headersOf(response),
      connection: 'close',
      'content-length': String(Buffer.byteLength(reply.body)),
    }
    socket.write(rawResponse(reply.status, headers, reply.body))
    socket.end()
    const cut = this.#options.clock.timer(LINGER_MS, () => socket.destroy())
    socket.once('close', () => cut.cancel())
  }

  /** What Node's parser refused, or what did not arrive in time. The socket has no request object to answer through. */
  #refuseSocket(error: NodeJS.ErrnoException, socket: Socket): void {
    if (!socket.writable || error.code === 'ECONNRESET') {
      socket.destroy()
      return
    }
    const isLate = error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
    const isHuge = error.code === 'HPE_HEADER_OVERFLOW'
    const known = isLate
      ? new SyncError(
          'intake.timeout',
          'the request did not arrive as a whole in time. Nothing was stored; send it again.',
        )
      : new SyncError(
          'intake.not-http',
          isHuge
            ? `the headers are larger than ${HEADER_BYTES_MAX} bytes.`
            : 'the request is not well-formed HTTP/1.1.',
          { cause: error },
        )
    this.#endSocket(socket, known, isHuge ? 431 : undefined)
  }

  #endSocket(socket: Socket, error: SyncError, status?: number): void {
    this.#refusals.add(error, '')
    const reply = problemReply(error, '', status)
    const headers = { ...reply.headers, connection: 'close', 'content-length': String(Buffer.byteLength(reply.body)) }
    socket.end(rawResponse(reply.status, headers, reply.body), () => socket.destroy())
  }
}

/** What a request asks for, once its path is known. */
interface Asked {
  readonly path: string
  readonly query: string
  readonly params: Params
  readonly handler: Handler
}

/** The flows' door keeps a record of its own refusals, with what was sent. */
const isKeptByDoor = ({ code }: SyncError): boolean => code.startsWith('flow.') && code !== 'flow.overloaded'

const ignore = (): void => {}

const NOT_HTTP_1 = new SyncError(
  'intake.not-http',
  'the request is not well-formed HTTP/1.1: its version is another one, or it has no Host.',
)
const STOPPING = new SyncError('intake.stopping', 'the hub is shutting down. Send this again after Retry-After.')

const isBodyless = (request: IncomingMessage): boolean =>
  request.headers['content-length'] === undefined && request.headers['transfer-encoding'] === undefined

/** A body that is read and thrown away rather than the connection closed. */
const SHORT_BODY_BYTES = 65_536

const isShort = ({ headers }: IncomingMessage): boolean =>
  headers['content-length'] !== undefined &&
  Number(headers['content-length']) <= SHORT_BODY_BYTES &&
  headers.expect === undefined

const headersOf = (response: ServerResponse): Record<string, string> =>
  Object.fromEntries(Object.entries(response.getHeaders()).map(([name, value]) => [name, String(value)]))

function rawResponse(status: number, headers: Readonly<Record<string, string>>, body: string): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${status} Refused\r\n${lines.join('')}\r\n${body}`
}

/** Refusals in the log, but not as many as a stranger likes to send. */
class RefusalLog {
  readonly #log: Log
  readonly #clock: Clock
  #secondStartMs = Number.NEGATIVE_INFINITY
  #logged = 0
  #left = 0

  constructor(log: Log, clock: Clock) {
    this.#log = log
    this.#clock = clock
  }

  add(error: SyncError, path: string): void {
    const isBug = error.handling === 'bug'
    const nowMs = this.#clock.monotonicMs()
    if (nowMs - this.#secondStartMs > 1000) {
      if (this.#left > 0) this.#log.log('warn', `${this.#left} more requests were refused`, {})
      this.#secondStartMs = nowMs
      this.#logged = 0
      this.#left = 0
    }
    if (this.#logged++ >= REFUSALS_LOGGED_PER_S) this.#left++
    else
      this.#log.log(isBug ? 'error' : 'warn', `a request was refused: ${error.message}`, {
        path,
        code: error.code,
        ...(isBug ? { cause: error.cause } : {}),
      })
  }
}

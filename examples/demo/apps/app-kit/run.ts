/** Starting and ending an application: from the command line as a process of its own, or inside another one for a test. */

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parseArgs } from 'node:util'
import type { AppDescription, SeedRecord } from './description.ts'
import type { AppStore } from './port.ts'
import { createHandler } from './rest.ts'
import { Store } from './store.ts'
import { WebhookSender } from './webhooks.ts'

/** How long a request may still take once the application has been told to end. */
const drainMs = 5_000

export type AppOptions = {
  /** 0 takes any free port. */
  readonly port: number
  readonly dataFile: string
  readonly token?: string
  readonly webhook?: { readonly url: string; readonly secret: string }
  /** Written only where the data file has never held a record. */
  readonly seed?: readonly SeedRecord[]
  /** The API of an older application: no revisions, no conditions, no idempotency, no external references. */
  readonly legacy?: boolean
}

export type RunningApp = { readonly url: string; readonly port: number; readonly stop: () => Promise<void> }

export async function startApp(app: AppDescription, options: AppOptions): Promise<RunningApp> {
  const { webhook, legacy = false, token = app.token.initial } = options
  const store = new Store(options.dataFile, app, { legacy, hasWebhook: webhook !== undefined })
  if (options.seed && store.rev === 0) store.seed(options.seed)
  const sender = webhook && new WebhookSender({ ...webhook, outbox: store.outbox })
  if (sender) store.onChange((event) => event && sender.offer(event))
  return serveApp(app, store, { port: options.port, token, ...(sender && { sender }) })
}

/** Serves the data of an application, wherever they are. */
export async function serveApp(
  app: AppDescription,
  store: AppStore,
  { port: wanted, token, sender }: { port: number; token: string; sender?: WebhookSender },
): Promise<RunningApp> {
  const handler = createHandler(app, store, token)
  const server = createServer(
    { keepAliveTimeout: 65_000, noDelay: true },
    (request, response) => void handler.handle(request, response),
  )
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(wanted, '127.0.0.1', resolve))
  sender?.start()
  const { port } = server.address() as AddressInfo

  async function end(): Promise<void> {
    handler.close()
    const closed = new Promise((resolve) => server.close(resolve))
    server.closeIdleConnections()
    const timer = setTimeout(() => server.closeAllConnections(), drainMs)
    await closed
    clearTimeout(timer)
    await sender?.stop()
    await store.close()
  }
  let ended: Promise<void> | undefined
  return { url: `http://127.0.0.1:${port}`, port, stop: () => (ended ??= end()) }
}

/** The whole life of an application's process. `seedOf` makes the records of a new data file, by their number. */
export async function runApp(app: AppDescription, seedOf: (count: number) => readonly SeedRecord[]): Promise<void> {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: String(app.portInitial) },
      data: { type: 'string', default: `${app.name}.sqlite` },
      webhook: { type: 'string' },
      'webhook-secret': { type: 'string' },
      seed: { type: 'string', default: '0' },
      legacy: { type: 'boolean', default: false },
    },
  })
  const url = values.webhook ?? process.env.WEBHOOK_URL
  const secret = values['webhook-secret'] ?? process.env.WEBHOOK_SECRET ?? 'webhook-secret'
  const token = process.env[app.token.variable] ?? app.token.initial
  const running = await startApp(app, {
    port: wholeNumber(values.port, '--port'),
    dataFile: values.data,
    token,
    seed: seedOf(wholeNumber(values.seed, '--seed')),
    legacy: values.legacy,
    ...(url ? { webhook: { url, secret } } : {}),
  })
  announce(app, running)
}

/** Says that it is ready, and ends when it is asked to. */
export function announce(app: AppDescription, running: RunningApp): void {
  const stop = () => void running.stop().then(() => process.exit(0))
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)
  console.log(JSON.stringify({ ready: true, port: running.port, app: app.name }))
}

export function wholeNumber(text: string, option: string): number {
  if (/^\d{1,7}$/.test(text)) return Number(text)
  console.error(`${option} takes a whole number, not "${text}"`)
  process.exit(2)
}

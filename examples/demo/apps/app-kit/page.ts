/** The application's own web page: its files, the rows it shows, and a stream that says when to look again. */

import { readFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import type { AppDescription, Id, Row } from './description.ts'
import { sendJson } from './http.ts'
import type { AppStore } from './port.ts'
import { RequestProblem } from './problem.ts'
import { limitOf, parseQuery } from './query.ts'

/** How long changes are gathered before the page is told: quick to the eye, and a bound on what a busy application sends. */
const streamIntervalMs = 80
/** Below the time after which proxies take a silent stream for dead. */
const streamHeartbeatMs = 15_000

export type Page = {
  /** Answers what needs no actor: the page's files and its stream. False where the path is something else. */
  readonly serveOpen: (method: string, path: string, response: ServerResponse) => boolean
  readonly sendRows: (query: string, response: ServerResponse) => Promise<void>
  readonly close: () => void
}

export function createPage(app: AppDescription, store: AppStore): Page {
  const files = pageFiles(app, store)
  const streams = new Set<ServerResponse>()
  let timer: NodeJS.Timeout | undefined

  function tell(): void {
    timer = undefined
    for (const stream of streams) if (!stream.writableNeedDrain) stream.write(`data: ${store.rev}\n\n`)
  }
  store.onChange(() => {
    if (streams.size > 0) timer ??= setTimeout(tell, streamIntervalMs)
  })
  const heartbeat = setInterval(() => {
    for (const stream of streams) stream.write(': still here\n\n')
  }, streamHeartbeatMs).unref()

  function openStream(response: ServerResponse): void {
    response
      .writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
      .write(`data: ${store.rev}\n\n`)
    streams.add(response)
    response.on('close', () => streams.delete(response))
  }

  function serveOpen(method: string, path: string, response: ServerResponse): boolean {
    const file = files.get(path)
    if (method !== 'GET' || (!file && path !== '/_page/stream')) return false
    if (file) response.writeHead(200, { ...fileHeaders, 'content-type': file.type }).end(file.body)
    else openStream(response)
    return true
  }

  async function sendRows(queryText: string, response: ServerResponse): Promise<void> {
    const query = parseQuery(queryText, ['object', 'search', 'limit'])
    const table = store.table(query.get('object') ?? '')
    if (!table) throw new RequestProblem(404, 'not-found', 'There is no such object.')
    const { items, total } = await table.search(query.get('search') ?? '', limitOf(query))
    const counts: Record<string, number> = {}
    for (const { name } of app.objects) counts[name] = await store.table(name)!.count()
    const shown = items.map(({ row, rev, writtenBy }) => ({ row: store.visible(row), version: rev, writtenBy }))
    const titles = await titlesOfReferences(
      app,
      store,
      table.object.name,
      shown.map(({ row }) => row),
    )
    sendJson(response, 200, JSON.stringify({ items: shown, total, counts, titles }))
  }

  function close(): void {
    clearInterval(heartbeat)
    clearTimeout(timer)
    for (const stream of streams) stream.end()
  }

  return { serveOpen, sendRows, close }
}

/** What the records that the shown rows refer to are called, by object and id. */
async function titlesOfReferences(
  app: AppDescription,
  store: AppStore,
  name: string,
  rows: readonly Row[],
): Promise<Record<string, Record<string, string>>> {
  const titles: Record<string, Record<string, string>> = {}
  const object = app.objects.find((candidate) => candidate.name === name)!
  async function add(target: string, id: Id): Promise<void> {
    const byId = (titles[target] ??= {})
    if (id in byId) return
    const table = store.table(target)!
    byId[id] = String((await table.get(id))?.row[table.object.titleField] ?? id)
  }
  for (const row of rows) {
    for (const field of object.fields)
      if (field.refersTo !== undefined) await add(field.refersTo, row[field.name] as Id)
    if (!object.lines) continue
    for (const line of row[object.lines.name] as Record<string, Id>[]) {
      for (const field of object.lines.fields)
        if (field.refersTo !== undefined) await add(field.refersTo, line[field.name]!)
    }
  }
  return titles
}

const fileHeaders = {
  'cache-control': 'no-cache',
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:",
  'x-content-type-options': 'nosniff',
}

function pageFiles(app: AppDescription, store: AppStore): Map<string, { type: string; body: string }> {
  const { name, names, objects } = app
  const read = (file: string) => readFileSync(new URL(`./page/${file}`, import.meta.url), 'utf8')
  const html = read('index.html').replaceAll('{{title}}', app.title).replaceAll('{{tagline}}', app.tagline)
  const accents = `:root { --accent-light: ${app.accent.light}; --accent-dark: ${app.accent.dark}; }\n`
  return new Map([
    ['/', { type: 'text/html; charset=utf-8', body: html }],
    ['/page.css', { type: 'text/css; charset=utf-8', body: accents + read('page.css') }],
    ['/page.js', { type: 'text/javascript; charset=utf-8', body: read('page.js') }],
    ['/rows.js', { type: 'text/javascript; charset=utf-8', body: read('rows.js') }],
    ['/form.js', { type: 'text/javascript; charset=utf-8', body: read('form.js') }],
    ['/values.js', { type: 'text/javascript; charset=utf-8', body: read('values.js') }],
    ['/app.json', { type: 'application/json', body: JSON.stringify({ name, names, objects, legacy: store.legacy }) }],
  ])
}

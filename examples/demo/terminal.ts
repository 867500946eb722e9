/** The demo at a terminal: watches, draws some times a second, and does what the keys say. Where no terminal is, it prints lines. */

import { setTimeout as delay } from 'node:timers/promises'
import { AppCounts } from './app-counts.ts'
import { pendingWebhooks, runLatchwork } from './collect.ts'
import { isQuiet } from './hub-api.ts'
import { APP_TITLES, type AppName, Live } from './live.ts'
import { cut, draw, type ScreenState } from './screen.ts'
import { Stage, type StageOptions } from './stage.ts'

const DRAW_EVERY_MS = 200
const LOOK_EVERY_MS = 500
const RECONNECT_MS = 300
const FIRST_LOAD_MAX_MS = 10_000

const ENTER = '\u001b[?1049h\u001b[?25l'
const LEAVE = '\u001b[?25h\u001b[?1049l'
const HOME = '\u001b[H'
const CLEAR_LINE = '\u001b[K'

/** Runs until `q`, Ctrl-C or the signal; resolves with the exit status. */
export async function runTerminal(options: Omit<StageOptions, 'note'>, signal: AbortSignal): Promise<number> {
  const isScreen = process.stdout.isTTY === true && process.stdin.isTTY === true
  const demo = new TerminalDemo(options, isScreen)
  signal.addEventListener('abort', () => demo.quit())
  return demo.run()
}

class TerminalDemo {
  readonly #stage: Stage
  readonly #live = new Live()
  readonly #isScreen: boolean
  readonly #ended = new AbortController()
  readonly #counts: Record<AppName, AppCounts | null> = { desk: null, warehouse: null }
  readonly #pending: Record<AppName, number | null> = { desk: null, warehouse: null }
  #isPaused = false
  /** What stands over everything until a key is pressed, and from which line on. */
  #page: { readonly lines: readonly string[]; top: number } | null = null

  constructor(options: Omit<StageOptions, 'note'>, isScreen: boolean) {
    this.#isScreen = isScreen
    this.#stage = new Stage({ ...options, note: (text) => this.#note(text) })
  }

  async run(): Promise<number> {
    try {
      process.stderr.write(`starting an order desk, a warehouse and the hub; data in ${this.#stage.dataDir}\n`)
      await this.#stage.start()
      this.#counts.desk = new AppCounts(this.#stage.url('desk'), [
        { name: 'customers', id: 'id' },
        { name: 'products', id: 'id' },
        { name: 'orders', id: 'id' },
      ])
      this.#counts.warehouse = new AppCounts(this.#stage.url('warehouse'), [
        { name: 'clients', id: 'clientId' },
        { name: 'items', id: 'itemId' },
        { name: 'shipments', id: 'shipmentId' },
      ])
      if (this.#isScreen) this.#openScreen()
      else
        this.#say(
          `order desk ${this.#stage.url('desk')}, warehouse ${this.#stage.url('warehouse')}, hub ${this.#stage.url('hub')}; Ctrl-C ends it`,
        )
      await Promise.all([
        this.#work(),
        this.#follow(),
        this.#look(),
        this.#isScreen ? this.#redraw() : this.#summarise(),
      ])
      return 0
    } finally {
      if (this.#isScreen) this.#closeScreen()
      process.stderr.write('stopping\n')
      await this.#stage.stop()
    }
  }

  /** Users come when the first load is through, or when it takes long. */
  async #work(): Promise<void> {
    const endMs = performance.now() + FIRST_LOAD_MAX_MS
    while (
      !this.#ended.signal.aborted &&
      performance.now() < endMs &&
      !(this.#live.status !== null && isQuiet(this.#live.status))
    ) {
      await this.#pause(LOOK_EVERY_MS)
    }
    if (this.#ended.signal.aborted) return
    this.#live.forgetTimes()
    if (!this.#isPaused) this.#stage.startTraffic()
  }

  quit(): void {
    this.#ended.abort()
  }

  #note(text: string): void {
    const line = this.#live.note(text, Date.now())
    if (!this.#isScreen) this.#say(line.text)
  }

  #say(text: string): void {
    process.stdout.write(`${new Date().toISOString().slice(11, 23)} ${text}\n`)
  }

  #pause(ms: number): Promise<void> {
    return delay(ms, undefined, { signal: this.#ended.signal }).catch(() => {})
  }

  /** Everything that the hub decides, from its event stream; over the death of a hub too. */
  async #follow(): Promise<void> {
    while (!this.#ended.signal.aborted) {
      try {
        for await (const event of this.#stage.hubApi().events(this.#ended.signal)) {
          const line = this.#live.take(event)
          if (line !== null && !this.#isScreen) this.#say(`${line.kind.padEnd(9)} ${line.text}`)
        }
      } catch {
        // The hub is gone, or we are told to end: tried again, or not.
      }
      await this.#pause(RECONNECT_MS)
    }
  }

  async #look(): Promise<void> {
    while (!this.#ended.signal.aborted) {
      const [status, desk, warehouse] = await Promise.all([
        this.#stage.hubApi().status(),
        pendingWebhooks(this.#stage.url('desk')),
        pendingWebhooks(this.#stage.url('warehouse')),
        this.#counts.desk?.refresh(),
        this.#counts.warehouse?.refresh(),
      ])
      if (status !== null) this.#live.status = status
      Object.assign(this.#pending, { desk, warehouse })
      await this.#pause(LOOK_EVERY_MS)
    }
  }

  #state(): ScreenState {
    const app = (name: AppName): ScreenState['apps'][AppName] => ({
      isUp: this.#stage.isUp(name),
      url: this.#stage.url(name),
      counts: this.#counts[name]?.counts ?? {},
      pending: this.#pending[name],
    })
    const { hubPid, hubRestarts, options } = this.#stage
    return {
      live: this.#live,
      apps: { desk: app('desk'), warehouse: app('warehouse') },
      hub: { isUp: this.#stage.isUp('hub'), pid: hubPid, url: this.#stage.url('hub'), restarts: hubRestarts },
      isPaused: this.#isPaused,
      isLegacy: options.isLegacy,
      rate: options.rate,
    }
  }

  async #redraw(): Promise<void> {
    while (!this.#ended.signal.aborted) {
      const { columns = 80, rows = 24 } = process.stdout
      const lines = this.#page === null ? draw(this.#state(), columns, rows) : pageLines(this.#page, columns, rows)
      process.stdout.write(HOME + lines.map((line) => line + CLEAR_LINE).join('\r\n'))
      await this.#pause(DRAW_EVERY_MS)
    }
  }

  /** Without a screen: a line of numbers now and then, between the lines of what happens. */
  async #summarise(): Promise<void> {
    while (!this.#ended.signal.aborted) {
      await this.#pause(5_000)
      const { status } = this.#live
      const { echo, rendition, stale } = this.#live.counts()
      if (status !== null && !this.#ended.signal.aborted) {
        this.#say(
          `so far ${status.engine.notifications} notifications, ${status.engine.writes.applied} writes, recognised ${echo} echoes, ${rendition} renditions, ${stale} stale; ${status.counts.conflicts} conflicts`,
        )
      }
    }
  }

  #openScreen(): void {
    process.stdout.write(ENTER)
    process.stdin.setRawMode(true).setEncoding('utf8').resume()
    process.stdin.on('data', (keys: string) => {
      this.#press(keys).catch((error: unknown) => this.#note(error instanceof Error ? error.message : String(error)))
    })
  }

  #closeScreen(): void {
    process.stdout.write(LEAVE)
    if (process.stdin.isRaw) process.stdin.setRawMode(false)
    process.stdin.pause()
  }

  async #press(key: string): Promise<void> {
    if (key === 'q' || key === '\u0003') return this.quit()
    if (this.#page !== null) return this.#turnPage(key)
    switch (key) {
      case 'b':
        return this.#editBothSides()
      case 'w':
        return this.#toggleWarehouse()
      case 'k':
        this.#note('kill -9 for the hub')
        return this.#stage.crashHub()
      case 'e':
        return this.#explain()
      case 'p':
        return this.#togglePause()
    }
  }

  async #editBothSides(): Promise<void> {
    const edit = await this.#stage.traffic?.editBothSides()
    if (edit === null || edit === undefined)
      return this.#note('no record was found that both have, and that both answer for')
    const side = (app: AppName): string => {
      const { id, actor, patch, status } = edit[app]
      const [[field, value] = ['', '']] = Object.entries(patch)
      return `${actor} in the ${APP_TITLES[app]} sets ${field} of ${id} to ${JSON.stringify(value)}${status === 200 ? '' : ` (refused, ${status})`}`
    }
    this.#note(`${edit.sameField ? 'the same field' : 'two fields'} of one ${edit.kind}, at once:`)
    this.#note(side('desk'))
    this.#note(side('warehouse'))
  }

  async #toggleWarehouse(): Promise<void> {
    const isUp = this.#stage.isUp('warehouse')
    this.#note(isUp ? 'the warehouse goes down; what it misses waits' : 'the warehouse comes up')
    if (isUp) await this.#stage.stopService('warehouse')
    else await this.#stage.startService('warehouse')
  }

  /** Users who do nothing are still there for `b`. */
  async #togglePause(): Promise<void> {
    this.#isPaused = !this.#isPaused
    await this.#stage.stopTraffic()
    this.#stage.startTraffic(this.#isPaused ? 0 : this.#stage.options.rate)
  }

  async #explain(): Promise<void> {
    const record = this.#live.lastRecord
    if (record === null) return this.#note('nothing has happened yet')
    const name = `${record.app}:${record.nativeId}`
    const { stdout } = await runLatchwork(['explain', record.entity, name, '--data', this.#stage.hubData])
    this.#page = { lines: [`$ latchwork explain ${record.entity} ${name}`, '', ...stdout.split('\n')], top: 0 }
  }

  #turnPage(key: string): void {
    const page = this.#page
    if (page === null) return
    const rows = process.stdout.rows ?? 24
    const step = {
      j: 1,
      '\u001b[B': 1,
      k: -1,
      '\u001b[A': -1,
      ' ': rows - 2,
      '\u001b[6~': rows - 2,
      '\u001b[5~': 2 - rows,
    }[key]
    if (step === undefined) this.#page = null
    else page.top = Math.max(0, Math.min(page.lines.length - rows + 1, page.top + step))
  }
}

function pageLines(
  { lines, top }: { readonly lines: readonly string[]; readonly top: number },
  columns: number,
  rows: number,
): string[] {
  const shown = lines.slice(top, top + rows - 1).map((line) => cut(line, columns))
  while (shown.length < rows - 1) shown.push('')
  return [...shown, cut(' j, k or the arrows scroll; any other key goes back', columns)]
}

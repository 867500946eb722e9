/** The demo's terminal as lines of text: a pure function of what is known, of the width and the height. */

import { styleText } from 'node:util'
import { APP_TITLES, type AppName, type Line, type Live } from './live.ts'

export interface ScreenState {
  readonly live: Live
  readonly apps: Readonly<
    Record<
      AppName,
      {
        readonly isUp: boolean
        readonly url: string
        readonly counts: Readonly<Record<string, number>>
        readonly pending: number | null
      }
    >
  >
  readonly hub: { readonly isUp: boolean; readonly pid: number; readonly url: string; readonly restarts: number }
  readonly isPaused: boolean
  readonly isLegacy: boolean
  readonly rate: number
}

type Style = Parameters<typeof styleText>[0]
const style = (name: Style, text: string): string => styleText(name, text, { validateStream: false })

/** Rows that are always there: title, three processes, blank, numbers, three headings, keys. */
const FIXED_ROWS = 10
const LINE_STYLES: Readonly<Record<Line['kind'], Style>> = {
  crossed: 'cyan',
  echo: 'dim',
  rendition: 'dim',
  stale: 'dim',
  conflict: 'yellow',
  parked: 'red',
  note: 'reset',
}

/** Exactly `rows` lines of at most `columns` characters. */
export function draw(state: ScreenState, columns: number, rows: number): string[] {
  const { live } = state
  const free = Math.max(3, rows - FIXED_ROWS)
  const noteRows = Math.min(4, Math.max(1, Math.floor(free * 0.25)))
  const ourRows = Math.max(1, Math.floor((free - noteRows) * 0.4))
  const crossRows = Math.max(1, free - noteRows - ourRows)
  const counts = live.counts()
  const lines = [
    cut(`${style('bold', ' Latchwork')}  ${stateText(state)}`, columns),
    ...(['desk', 'warehouse'] as const).map((app) => cut(appLine(state, app), columns)),
    cut(hubLine(state), columns),
    '',
    cut(numbersLine(state), columns),
    heading(`crosses`, columns),
    ...list(live.crossed, crossRows, columns),
    heading(
      `recognised as our own, and not answered: ${counts.echo} echoes, ${counts.rendition} renditions, ${counts.stale} stale`,
      columns,
    ),
    ...list(live.ours, ourRows, columns),
    heading(`conflicts ${live.status?.counts.conflicts ?? 0}, set aside ${parkedOf(state)}`, columns),
    ...list(live.notes, noteRows, columns),
  ]
  while (lines.length < rows - 1) lines.push('')
  return [...lines.slice(0, rows - 1), cut(keysLine(state, columns), columns)]
}

function stateText({ live, isPaused, rate, hub }: ScreenState): string {
  if (!hub.isUp) return style('red', 'the hub is down; both applications keep what they have to tell')
  const users = isPaused ? 'users pause' : `users at work, ${rate} actions a second`
  const { status } = live
  if (status === null) return `${style('yellow', 'starting')}, ${users}`
  const left = Object.entries(status.counts.openLanes).reduce(
    (sum, [state, count]) => (state === 'parked' ? sum : sum + count),
    0,
  )
  return `${left === 0 ? style('green', 'in step') : style('yellow', `${left} to write`)}, ${users}`
}

const dot = (isUp: boolean): string => (isUp ? style('green', '●') : style('red', '○'))

function appLine({ apps, isLegacy }: ScreenState, app: AppName): string {
  const { isUp, url, counts, pending } = apps[app]
  const numbers = Object.entries(counts).map(([name, count]) => `${String(count).padStart(5)} ${name}`)
  const waits = isUp && pending !== null && pending > 0 ? style('yellow', `  ${pending} to tell`) : ''
  const legacy = isLegacy && app === 'warehouse' ? style('yellow', '  older API') : ''
  return ` ${dot(isUp)} ${APP_TITLES[app].padEnd(10)} ${style('underline', url)}${isUp ? waits : style('red', '  is down')} ${numbers.join('')}${legacy}`
}

function hubLine({ hub, live }: ScreenState): string {
  const { status } = live
  const restarts = hub.restarts === 0 ? '' : `, restarts: ${hub.restarts}`
  const exposed = (status?.apps ?? []).flatMap(({ exposure }) =>
    exposure === null ? [] : [`${exposure.writes} writes exposed, for ${ms(exposure.p50Ms ?? 0)}`],
  )
  const known = status === null ? '' : `${status.counts.records} records, ${status.counts.links} links`
  const text = exposed.length > 0 ? style('yellow', exposed.join(', ')) : known
  return ` ${dot(hub.isUp)} ${'hub'.padEnd(10)} ${style('underline', hub.url)} process ${hub.pid}${restarts}  ${text}`
}

function numbersLine({ live }: ScreenState): string {
  const { status } = live
  if (status === null) return ''
  const { engine } = status
  const times = live.deliveryTimes()
  const time = times === null ? '' : `; from told to written: p50 ${ms(times.p50)}, p99 ${ms(times.p99)}`
  return ` ${engine.notifications} notifications, ${engine.writes.applied} writes${time}`
}

const ms = (value: number): string => (value < 10_000 ? `${Math.round(value)} ms` : `${Math.round(value / 1000)} s`)

function parkedOf({ live }: ScreenState): number {
  const { status } = live
  return status === null ? 0 : (status.counts.openLanes.parked ?? 0) + status.parkedEntries.length
}

function heading(text: string, columns: number): string {
  const start = `── ${text} `
  return style('dim', cut(start + '─'.repeat(Math.max(0, columns - start.length)), columns))
}

function list(lines: readonly Line[], rows: number, columns: number): string[] {
  const shown = lines
    .slice(-rows)
    .map(({ atMs, kind, text }) =>
      cut(` ${style('dim', timeText(atMs))} ${style(LINE_STYLES[kind], plain(text))}`, columns),
    )
  return [...shown, ...new Array<string>(rows - shown.length).fill('')]
}

/** Local time, as on the watch of whoever looks. */
function timeText(atMs: number): string {
  const time = new Date(atMs)
  const two = (value: number): string => String(value).padStart(2, '0')
  return `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}.${String(time.getMilliseconds()).padStart(3, '0')}`
}

function keysLine({ apps, isPaused }: ScreenState, columns: number): string {
  const keys: readonly (readonly [string, string, string])[] = [
    ['b', 'edit both sides at once', 'both sides'],
    [
      'w',
      apps.warehouse.isUp ? 'take the warehouse down' : 'bring the warehouse up',
      apps.warehouse.isUp ? 'warehouse off' : 'warehouse on',
    ],
    ['k', 'kill the hub', 'kill hub'],
    ['e', 'explain the last record', 'explain'],
    ['p', isPaused ? 'go on' : 'pause', isPaused ? 'go on' : 'pause'],
    ['q', 'quit', 'quit'],
  ]
  const longWidth = keys.reduce((sum, [, long]) => sum + long.length + 6, 1)
  const isWide = longWidth <= columns
  return ` ${keys.map(([letter, long, short]) => `${style('inverse', ` ${letter} `)} ${isWide ? long : short}`).join(isWide ? '  ' : ' ')}`
}

/** What a record says must not steer the terminal. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out.
const plain = (text: string): string => text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ')

/** At most `columns` visible characters; styles are kept whole and closed. */
export function cut(text: string, columns: number): string {
  let visible = 0
  let out = ''
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences of styles begin with one.
  for (const [part] of text.matchAll(/\u001b\[[0-9;]*m|[^\u001b]/gu)) {
    if (part.startsWith('\u001b')) out += part
    else if (visible < columns) {
      out += part
      visible++
    }
  }
  return out
}

import { describe, expect, test } from 'vitest'
import type { HubEvent } from './hub-api.ts'
import { Live } from './live.ts'
import { cut, draw, type ScreenState } from './screen.ts'

// biome-ignore lint/suspicious/noControlCharactersInRegex: what a terminal shows is what is left without styles.
const visible = (text: string): string => text.replace(/\u001b\[[0-9;]*m/g, '')

const event = (verdict: string, app: string, more: Partial<HubEvent> = {}): HubEvent => ({
  atMs: 1_000,
  seq: 1,
  entity: 'customer',
  key: 'k',
  app,
  nativeId: app === 'desk' ? '1012' : 'C-7F3A2B',
  verdict,
  text: '',
  paths: [],
  ...more,
})

function stateOf(live: Live): ScreenState {
  const app = {
    isUp: true,
    url: 'http://127.0.0.1:4101',
    counts: { customers: 40, products: 60, orders: 30 },
    pending: 3,
  }
  return {
    live,
    apps: { desk: app, warehouse: { ...app, isUp: false } },
    hub: { isUp: true, pid: 4711, url: 'http://127.0.0.1:4800', restarts: 1 },
    isPaused: false,
    isLegacy: true,
    rate: 4,
  }
}

describe('what is watched', () => {
  test('a write says where it came from', () => {
    const live = new Live()
    expect(live.take(event('accepted', 'desk', { atMs: 1_000 }))).toBeNull()
    expect(
      live.take(event('applied', 'warehouse', { atMs: 1_007, paths: ['phone'], text: 'updated in warehouse by x' }))
        ?.text,
    ).toBe('customer C-7F3A2B ← order desk 1012: phone')
    expect(live.deliveryTimes()).toEqual({ p50: 7, p99: 7 })
    expect(live.lastRecord).toEqual({ entity: 'customer', app: 'warehouse', nativeId: 'C-7F3A2B' })
  })

  test('the newest change of the other application is the origin, whoever wrote last', () => {
    const live = new Live()
    live.take(event('accepted', 'desk'))
    live.take(event('accepted', 'warehouse'))
    expect(live.take(event('applied', 'warehouse', { paths: ['name', 'city'] }))?.text).toContain(
      '← order desk 1012: name, city',
    )
  })

  test('long lists of fields are cut, lines stand for their fields', () => {
    const live = new Live()
    const paths = ['lines[1]', 'lines[1].quantity', 'lines[1].price', 'a', 'b', 'c']
    expect(live.take(event('applied', 'warehouse', { paths }))?.text).toBe(
      'customer C-7F3A2B: lines[1].quantity, lines[1].price, a and 2 more',
    )
  })

  test('ids of writes and bodies of answers are shortened', () => {
    const live = new Live()
    const text =
      'echo of our write hxkoiwm49x.1.01a20269-ccc3-711f-a0bf-4a43e6a512e5.warehouse.3: it returned version 12'
    expect(live.take(event('echo', 'warehouse', { text }))?.text).toBe(
      'customer C-7F3A2B: echo of our write #3: it returned version 12',
    )
    const refused = 'desk answered 409: {"status":409,"detail":"Another customer has this email.","field":"email"}'
    expect(live.take(event('parked', 'desk', { text: refused }))?.text).toBe(
      'customer 1012: desk answered 409: Another customer has this email.',
    )
  })
})

describe('the screen', () => {
  const live = new Live()
  for (let i = 0; i < 100; i++) {
    live.take(event('accepted', 'desk'))
    live.take(event('applied', 'warehouse', { paths: ['a rather long field name that goes on and on'] }))
    live.take(
      event('echo', 'warehouse', {
        text: 'an echo, told at some length so that it does not fit into a narrow terminal',
      }),
    )
    live.note('a note that is long enough to be cut at the edge of a terminal of eighty columns, surely', 1_000)
  }

  test.each([
    [80, 24],
    [120, 40],
    [200, 60],
    [80, 14],
  ])('fills %i columns and %i rows exactly, and never more', (columns, rows) => {
    const lines = draw(stateOf(live), columns, rows).map(visible)
    expect(lines).toHaveLength(rows)
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(columns)
    expect(lines.at(-1)).toMatch(/b .*w .*k .*e .*p .*q {2}quit/)
    expect(lines.join('\n')).toContain('is down')
  })

  test('what a record says does not steer the terminal', () => {
    const hostile = new Live()
    hostile.take(event('conflict-lost', 'desk', { text: 'name \u001b[2J\u001b]0;gone\u0007 changed' }))
    const text = draw(stateOf(hostile), 80, 24).join('\n')
    expect(text).not.toContain('\u001b[2J')
    expect(text).not.toContain('\u0007')
  })

  test('a cut keeps styles whole', () => {
    expect(cut('\u001b[31mabcdef\u001b[39m', 3)).toBe('\u001b[31mabc\u001b[39m')
  })
})

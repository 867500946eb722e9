import { describe, expect, test } from 'vitest'
import { STEP_MS, Story } from './evaluate/fixture-story.ts'
import { type Evaluation, evaluate, isRight } from './evaluate.ts'

const KEY = 'k1'
const HUB = 'api'

/** Ada, made at the desk and carried into the warehouse. */
function ada(): Story {
  return new Story()
    .linked('customer', KEY, 1001, 'C-1')
    .creates('desk', 'user:1', 'customer', 1001, {
      full_name: 'Ada',
      email: 'Ada@x.org',
      phone: null,
      city: 'Faro ',
      credit_cents: 1250,
    })
    .creates('warehouse', HUB, 'customer', 'C-1', {
      displayName: 'Ada',
      mail: 'ada@x.org',
      phoneNumber: null,
      town: 'Faro',
      creditLimit: '12.50',
    })
}

/** Both sides change the name at once, and the desk's stands: the warehouse's is written over. */
const nameBothSides = (): Story =>
  ada()
    .updates('desk', 'user:1', 'customer', 1001, { full_name: 'Ada D' })
    .updates('warehouse', 'user:2', 'customer', 'C-1', { displayName: 'Ada W' })
    .updates('warehouse', HUB, 'customer', 'C-1', { displayName: 'Ada D' })

const order = (number: number, quantity = 1) => ({ line_no: number, product_id: 7, quantity, price_cents: 100 })
const shipment = (number: number, quantity = 1) => ({ pos: number, itemId: 'P-7', qty: quantity, unitPrice: '1.00' })

/** An order of two lines, made at the desk and carried into the warehouse. */
const twoLines = (): Story =>
  new Story()
    .linked('customer', KEY, 1001, 'C-1')
    .linked('product', 'p7', 7, 'P-7')
    .linked('order', 'o1', 50_001, 'S-1')
    .creates('desk', 'user:1', 'order', 50_001, {
      customer_id: 1001,
      placed_at: '2026-03-01T09:00:00.000Z',
      status: 'new',
      note: null,
      lines: [order(1), order(2)],
    })
    .creates('warehouse', HUB, 'order', 'S-1', {
      clientId: 'C-1',
      orderedAt: '2026-03-01T09:00:00Z',
      state: 'OPEN',
      remark: null,
      lines: [shipment(1), shipment(2)],
    })

const judge = (story: Story): Evaluation => evaluate(story.evidence())

describe('a history in which all is well', () => {
  test.each<[string, Story]>([
    ['nothing at all', new Story()],
    ['a create that is carried over, in other units, case and spacing', ada()],
    [
      'an edit that is carried over',
      ada()
        .updates('desk', 'user:1', 'customer', 1001, { full_name: 'Ada L' })
        .updates('warehouse', HUB, 'customer', 'C-1', { displayName: 'Ada L' }),
    ],
    [
      'two edits carried over as one',
      ada()
        .updates('desk', 'user:1', 'customer', 1001, { full_name: 'Ada 1' })
        .updates('desk', 'user:2', 'customer', 1001, { full_name: 'Ada 2' })
        .updates('warehouse', HUB, 'customer', 'C-1', { displayName: 'Ada 2' }),
    ],
    [
      'an edit that somebody in the other application saw and replaced',
      ada()
        .updates('desk', 'user:1', 'customer', 1001, { city: 'Porto' })
        .updates('warehouse', HUB, 'customer', 'C-1', { town: 'Porto' })
        .updates('warehouse', 'user:2', 'customer', 'C-1', { town: 'Ulm' })
        .updates('desk', HUB, 'customer', 1001, { city: 'Ulm' }),
    ],
    ['a conflict whose loser is listed', nameBothSides().lists({ key: KEY, path: 'name', loserValue: 'Ada W' })],
    [
      'a conflict about money, listed in the units of the hub',
      ada()
        .updates('desk', 'user:1', 'customer', 1001, { credit_cents: 500 })
        .updates('warehouse', 'user:2', 'customer', 'C-1', { creditLimit: '7.00' })
        .updates('warehouse', HUB, 'customer', 'C-1', { creditLimit: '5.00' })
        .lists({ key: KEY, path: 'creditLimit', loserValue: '7.00' }),
    ],
    [
      'both sides came to the same value, and both were replaced',
      ada()
        .updates('desk', 'user:1', 'customer', 1001, { city: 'Rome' })
        .updates('warehouse', 'user:2', 'customer', 'C-1', { town: 'Rome' })
        .updates('desk', 'user:1', 'customer', 1001, { city: 'Oslo' })
        .updates('warehouse', HUB, 'customer', 'C-1', { town: 'Oslo' }),
    ],
    [
      'a delete that is carried over',
      ada().deletes('warehouse', 'user:2', 'customer', 'C-1').deletes('desk', HUB, 'customer', 1001),
    ],
    [
      'an edit that a delete did not see, listed',
      ada()
        .updates('warehouse', 'user:2', 'customer', 'C-1', { town: 'Ulm' })
        .deletes('desk', 'user:1', 'customer', 1001)
        .deletes('warehouse', HUB, 'customer', 'C-1')
        .lists({ key: KEY, path: 'city', loserValue: 'Ulm', reason: 'deleted' }),
    ],
    [
      'lines edited and taken out',
      twoLines()
        .updates('desk', 'user:1', 'order', 50_001, { lines: [order(2, 5)] })
        .updates('warehouse', HUB, 'order', 'S-1', { lines: [shipment(2, 5)] }),
    ],
  ])('%s', (_name, story) => {
    const verdict = judge(story)
    expect(verdict.problems).toEqual([])
    expect(isRight(verdict)).toBe(true)
    expect(verdict.delivered).toBe(verdict.changes)
  })

  test('a record that the delete policy keeps on one side counts as detached when it is listed', () => {
    const story = ada()
      .updates('warehouse', 'user:2', 'customer', 'C-1', { town: 'Ulm' })
      .deletes('desk', 'user:1', 'customer', 1001)
      .lists({ key: KEY, path: 'city', loserApp: 'desk', loserValue: null, reason: 'unseen' })
    expect(judge(story)).toMatchObject({ equal: true, detached: 1, lost: 0 })
  })
})

describe('a lost write is detected', () => {
  test.each<[string, Story, number]>([
    ['written over by the hub, which had not seen it', nameBothSides(), 1],
    ['listed under another field', nameBothSides().lists({ key: KEY, path: 'city', loserValue: 'Ada W' }), 1],
    ['listed with another value', nameBothSides().lists({ key: KEY, path: 'name', loserValue: 'Ada X' }), 1],
    ['listed for another record', nameBothSides().lists({ key: 'k2', path: 'name', loserValue: 'Ada W' }), 1],
    [
      'written over, and then replaced by somebody who saw only what the hub had put there',
      nameBothSides()
        .updates('warehouse', 'user:3', 'customer', 'C-1', { displayName: 'Ada Z' })
        .updates('desk', HUB, 'customer', 1001, { full_name: 'Ada Z' }),
      1,
    ],
    [
      'written over by an older value',
      ada()
        .updates('desk', 'user:1', 'customer', 1001, { city: 'Porto' })
        .updates('desk', HUB, 'customer', 1001, { city: 'Faro' }),
      1,
    ],
    [
      'deleted by the hub for somebody who had not seen it',
      ada()
        .updates('warehouse', 'user:2', 'customer', 'C-1', { town: 'Ulm' })
        .deletes('desk', 'user:1', 'customer', 1001)
        .deletes('warehouse', HUB, 'customer', 'C-1'),
      1,
    ],
    [
      'a quantity of a line, written over with the line',
      twoLines()
        .updates('desk', 'user:1', 'order', 50_001, { lines: [order(1, 4), order(2)] })
        .updates('warehouse', 'user:2', 'order', 'S-1', { lines: [shipment(1, 9), shipment(2)] })
        .updates('warehouse', HUB, 'order', 'S-1', { lines: [shipment(1, 4), shipment(2)] }),
      1,
    ],
    [
      'a status, written over',
      twoLines()
        .updates('desk', 'user:1', 'order', 50_001, { status: 'cancelled' })
        .updates('warehouse', 'user:2', 'order', 'S-1', { state: 'PICKED' })
        .updates('desk', HUB, 'order', 50_001, { status: 'picked' }),
      1,
    ],
  ])('%s', (_name, story, lost) => {
    const verdict = judge(story)
    expect(verdict.lost).toBe(lost)
    expect(isRight(verdict)).toBe(false)
    expect(verdict.problems.filter((text) => text.startsWith('lost:'))).toHaveLength(lost)
  })

  test('a delete that is undone and not listed', () => {
    const story = ada().deletes('desk', 'user:1', 'customer', 1001).linked('customer', KEY, 1002, 'C-1')
    expect(
      judge(
        story.creates('desk', HUB, 'customer', 1002, {
          full_name: 'Ada',
          email: 'Ada@x.org',
          phone: null,
          city: 'Faro',
          credit_cents: 1250,
        }),
      ),
    ).toMatchObject({ lost: 1 })
  })

  test('a write that the base revision says was not seen', () => {
    const { warehouse, ...rest } = ada()
      .updates('warehouse', 'user:2', 'customer', 'C-1', { town: 'Ulm' })
      .updates('warehouse', 'user:3', 'customer', 'C-1', { town: 'Bonn' })
      .updates('desk', HUB, 'customer', 1001, { city: 'Bonn' })
      .evidence()
    expect(evaluate({ ...rest, warehouse })).toMatchObject({ lost: 0 })
    const blind = {
      ...warehouse,
      log: warehouse.log.map((item) => (item.actor === 'user:3' ? { ...item, base_rev: 1 } : item)),
    }
    expect(evaluate({ ...rest, warehouse: blind })).toMatchObject({ lost: 1 })
  })
})

test('what the desk shows of the stock is nobody’s edit', () => {
  const story = new Story()
    .linked('product', 'p1', 1, 'P-1')
    .creates('desk', 'user:1', 'product', 1, { sku: 'A', title: 'a', price_cents: 1, stock_on_hand: 3 })
    .creates('warehouse', 'user:2', 'product', 'P-1', { sku: 'A', description: 'a', unitPrice: '0.01', stock: 9 })
    .updates('desk', HUB, 'product', 1, { stock_on_hand: 9 })
  expect(judge(story)).toMatchObject({ lost: 0, equal: true, echoWrites: 0 })
})

describe('an echo write is detected', () => {
  test.each<[string, Story, number]>([
    ['a write that changes nothing', ada().updates('warehouse', HUB, 'customer', 'C-1', { town: 'Faro' }), 1],
    ['an answer to our own write', ada().updates('desk', HUB, 'customer', 1001, { full_name: 'Ada' }), 1],
    [
      'a second write for one edit',
      ada()
        .updates('desk', 'user:1', 'customer', 1001, { full_name: 'Ada L' })
        .updates('warehouse', HUB, 'customer', 'C-1', { displayName: 'Ada l' })
        .updates('warehouse', HUB, 'customer', 'C-1', { displayName: 'Ada L' }),
      1,
    ],
    [
      'applications that answer each other',
      ada()
        .updates('desk', HUB, 'customer', 1001, { city: 'faro' })
        .updates('warehouse', HUB, 'customer', 'C-1', { town: 'faro' })
        .updates('desk', HUB, 'customer', 1001, { city: 'Faro' }),
      3,
    ],
  ])('%s', (_name, story, echoWrites) => {
    expect(judge(story)).toMatchObject({ echoWrites })
  })

  test('a conflict accounts for one write more', () => {
    const story = ada().updates('desk', HUB, 'customer', 1001, { full_name: 'Ada X' })
    expect(judge(story).echoWrites).toBe(1)
    expect(judge(story.lists({ key: KEY, path: 'name', loserValue: 'Ada' })).echoWrites).toBe(0)
  })
})

describe('a duplicate is detected', () => {
  const bea = { full_name: 'Bea', phone: null, city: null, credit_cents: 0 }

  test('two records with one mail address, whatever its case', () => {
    const story = ada().creates('desk', 'user:1', 'customer', 1002, { ...bea, email: 'ADA@x.org' })
    expect(judge(story)).toMatchObject({ duplicates: 1, equal: false })
  })

  test('two records of one application under one canonical key', () => {
    const story = ada()
      .linked('customer', KEY, 1002, 'C-1')
      .creates('desk', HUB, 'customer', 1002, { ...bea, email: 'bea@x.org' })
    expect(judge(story).duplicates).toBe(1)
  })

  test('two records with one external reference', () => {
    const story = new Story()
      .creates('desk', 'user:1', 'customer', 1, { ...bea, email: 'a@x.org', ext_ref: 'same' })
      .creates('desk', 'user:1', 'customer', 2, { ...bea, email: 'b@x.org', ext_ref: 'same' })
    expect(judge(story).duplicates).toBe(1)
  })

  test('an order that the hub made twice', () => {
    const again = {
      clientId: 'C-1',
      orderedAt: '2026-03-01T09:00:00Z',
      state: 'OPEN',
      remark: null,
      lines: [shipment(1), shipment(2)],
    }
    expect(judge(twoLines()).duplicates).toBe(0)
    expect(judge(twoLines().creates('warehouse', HUB, 'order', 'S-2', again)).duplicates).toBe(1)
    // Two people may order the same; the hub has made neither.
    expect(judge(twoLines().creates('warehouse', 'user:2', 'order', 'S-2', again)).duplicates).toBe(0)
  })
})

describe('inequality is detected', () => {
  test.each<[string, Story]>([
    ['a field', ada().updates('desk', 'user:1', 'customer', 1001, { city: 'Oslo' })],
    ['money', ada().updates('desk', 'user:1', 'customer', 1001, { credit_cents: 1251 })],
    ['null and empty are two things', ada().updates('desk', 'user:1', 'customer', 1001, { phone: '' })],
    [
      'a record on one side only',
      ada().creates('desk', 'user:1', 'customer', 1002, {
        full_name: 'Bea',
        email: 'b@x.org',
        phone: null,
        city: null,
        credit_cents: 0,
      }),
    ],
    ['a delete that is not carried over', ada().deletes('desk', 'user:1', 'customer', 1001)],
    ['a line', twoLines().updates('desk', 'user:1', 'order', 50_001, { lines: [order(1)] })],
    [
      'a reference to another record',
      twoLines()
        .linked('product', 'p8', 8, 'P-8')
        .updates('desk', 'user:1', 'order', 50_001, { lines: [order(1), { ...order(2), product_id: 8 }] }),
    ],
  ])('%s', (_name, story) => {
    const verdict = judge(story)
    expect(verdict.equal).toBe(false)
    expect(isRight(verdict)).toBe(false)
    expect(verdict.delivered).toBeLessThan(verdict.changes)
  })

  test('records that were paired crosswise, although each pair is equal but for its mail address', () => {
    const person = (email: string) => ({ full_name: 'Kim', email, phone: null, city: null, credit_cents: 0 })
    const client = (mail: string) => ({ displayName: 'Kim', mail, phoneNumber: null, town: null, creditLimit: '0.00' })
    const story = new Story()
      .linked('customer', 'a', 1, 'C-2')
      .linked('customer', 'b', 2, 'C-1')
      .creates('desk', 'user:1', 'customer', 1, person('1@x.org'))
      .creates('desk', 'user:1', 'customer', 2, person('2@x.org'))
      .creates('warehouse', 'user:1', 'customer', 'C-1', client('1@x.org'))
      .creates('warehouse', 'user:1', 'customer', 'C-2', client('2@x.org'))
    expect(judge(story).problems.filter((text) => text.includes('1@x.org is b in'))).toEqual([])
    expect(judge(story).problems).toContain('not equal: email 1@x.org is a in the order desk and b in the warehouse')
  })
})

describe('delivery', () => {
  test('is timed from the person’s write to the hub’s', () => {
    const story = ada()
      .updates('desk', 'user:1', 'customer', 1001, { city: 'Oslo' })
      .updates('desk', 'user:1', 'customer', 1001, { phone: '1' })
      .updates('warehouse', HUB, 'customer', 'C-1', { town: 'Oslo', phoneNumber: '1' })
    // The create one step, the first edit two, the second one.
    expect(judge(story)).toMatchObject({ changes: 3, delivered: 3, p50Ms: STEP_MS, p99Ms: 2 * STEP_MS })
  })

  test('has no time where nothing was carried', () => {
    expect(judge(new Story())).toMatchObject({ p50Ms: null, p99Ms: null, changes: 0 })
  })

  test('first data is nobody’s change, but is not to be lost', () => {
    const story = new Story()
      .linked('customer', KEY, 1001, 'C-1')
      .creates('desk', 'seed', 'customer', 1001, {
        full_name: 'Ada',
        email: 'a@x.org',
        phone: null,
        city: 'Faro',
        credit_cents: 0,
      })
      .creates('warehouse', 'seed', 'customer', 'C-1', {
        displayName: 'Ada',
        mail: 'a@x.org',
        phoneNumber: null,
        town: 'Ulm',
        creditLimit: '0.00',
      })
      .updates('warehouse', HUB, 'customer', 'C-1', { town: 'Faro' })
    expect(judge(story)).toMatchObject({ changes: 0, lost: 1 })
    expect(judge(story.lists({ key: KEY, path: 'city', loserValue: 'Ulm', reason: 'first-contact' }))).toMatchObject({
      lost: 0,
      equal: true,
      echoWrites: 0,
    })
  })
})

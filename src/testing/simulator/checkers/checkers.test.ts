import { describe, expect, it } from 'vitest'
import { asAppId, asCanonicalKey, asJournalPosition, asNativeId, asOpId } from '../../../model/ids.ts'
import type { Conflict, HeldEntry, Lane, OpenLane, RecordState } from '../../../model/record.ts'
import { REFUSED_TEXT } from '../apps/app.ts'
import { CUSTOMER, ORDER } from '../fields.ts'
import { type AppVersion, deliveryKey, type History, type HistoryApp, type HubEnd } from '../history.ts'
import type { Oracle } from '../oracle.ts'
import { judge } from './index.ts'
import { Story } from './story.ts'
import { checkReferences } from './v11-references.ts'

const a = asAppId('a')
/** What was held does not matter. */
const something = { entry: { input: { type: 'message' } } }

const verdict = (history: History): string | null => judge(history).violation?.checker ?? null
const message = (history: History): string => judge(history).violation?.message ?? ''

/** A record made in a and brought to b, in step. */
const inStep = (more?: ConstructorParameters<typeof Story>[1]): Story =>
  new Story(['a', 'b'], more).user(1, 'a', { name: 'v1' }).hub('b', { name: 'v1' })

describe('a good history', () => {
  it('passes when one edit is carried over', () => {
    expect(
      judge(inStep().user(2, 'a', { name: 'v2' }).hub('b', { name: 'v2' }).rests({ name: 'v2' })).violation,
    ).toBeNull()
  })
  it('passes when edits on both sides meet and the loser is kept', () => {
    const story = inStep().user(2, 'a', { name: 'v2' }).user(3, 'b', { name: 'v3' }).hub('b', { name: 'v2' })
    expect(verdict(story.rests({ name: 'v2' }, { losers: [['name', 'v3']] }))).toBeNull()
  })
  it('passes when a record is deleted everywhere', () => {
    expect(verdict(inStep().userDeletes(2, 'a').hubDeletes('b').rests(null))).toBeNull()
  })
})

describe('V1', () => {
  it('sees a notification that was acknowledged and is not in the journal', () => {
    const story = inStep()
    story.history.acknowledged.push({ app: a, deliveryId: 'd1', atMs: 3 })
    expect(verdict(story.rests({ name: 'v1' }))).toBe('V1')
    expect(verdict(story.rests({ name: 'v1' }, { journalled: new Set([deliveryKey(a, 'd1')]) }))).toBeNull()
  })
  it('lets pass what was recognised at the door only where the durable state had it', () => {
    for (const isKnown of [true, false]) {
      const story = inStep()
      story.history.acknowledged.push({ app: a, deliveryId: 'd1', atMs: 3, isKnown })
      expect(verdict(story.rests({ name: 'v1' }))).toBe(isKnown ? null : 'V1')
    }
  })
})

describe('V2', () => {
  it('sees a hub that never comes to rest', () => {
    expect(message(inStep().history)).toContain('did not come to rest')
  })
  it('sees applications that differ at the end', () => {
    expect(verdict(inStep().user(2, 'a', { name: 'v2' }).rests({ name: 'v2' }))).toBe('V2')
  })
  it('sees writes after everything had come to rest', () => {
    const story = inStep()
    story.history.writesAfterQuiet.push({ app: a, op: asOpId('op9'), atMs: 99 })
    expect(message(story.rests({ name: 'v1' }))).toContain('after everything had come to rest')
  })
  it('sees a record that the hub does not know', () => {
    expect(message(inStep().rests({ name: 'v1' }, { links: [] }))).toContain('neither linked nor held')
  })
})

describe('V3', () => {
  it('sees a user edit that was overwritten and is in no conflict', () => {
    const story = inStep().user(2, 'a', { name: 'v2' }).user(3, 'b', { name: 'v3' }).hub('b', { name: 'v2' })
    expect(message(story.rests({ name: 'v2' }))).toContain('"v3" (action 3 in b)')
  })
  it('counts it as declared when a blind application took the edit after the hub had looked', () => {
    const story = inStep({ blind: ['b'] })
      .user(2, 'a', { name: 'v2' })
      .reads('b')
      .user(3, 'b', { name: 'v3' })
      .hub('b', { name: 'v2' })
    expect(judge(story.rests({ name: 'v2' }))).toMatchObject({ violation: null, declaredLosses: 1 })
  })
  it('does not, when the hub had seen the edit', () => {
    const story = inStep({ blind: ['b'] })
      .user(2, 'a', { name: 'v2' })
      .user(3, 'b', { name: 'v3' })
      .reads('b')
      .hub('b', { name: 'v2' })
    expect(verdict(story.rests({ name: 'v2' }))).toBe('V3')
  })
  it('sees a value that a user set back on purpose and that was lost', () => {
    const story = inStep()
      .user(2, 'a', { name: 'v2' })
      .hub('b', { name: 'v2' })
      .user(3, 'b', { name: 'v1' })
      .user(4, 'a', { name: 'v4' })
      .hub('b', { name: 'v4' })
    expect(verdict(story.rests({ name: 'v4' }))).toBe('V3')
  })
  it('lets a field be replaced that was changed and set back while the hub was not looking', () => {
    const story = inStep()
      .user(2, 'b', { name: 'v2' })
      .user(3, 'b', { name: 'v1' })
      .user(4, 'a', { name: 'v4' })
      .hub('b', { name: 'v4' })
    expect(verdict(story.rests({ name: 'v4' }))).toBeNull()
  })
  it('knows a value that no application takes where it stands: in the head, with its lane in the list', () => {
    const refused = (lanes: readonly string[]) => {
      const text = `v2 ${REFUSED_TEXT}`
      const story = inStep().user(2, 'b', { name: text }).user(3, 'a', { name: 'v3' }).hub('b', { name: 'v3' })
      const openLanes = lanes.map(
        (app) =>
          ({ key: asCanonicalKey('c1'), app: asAppId(app), state: 'parked', code: 'target.rejected' }) as OpenLane,
      )
      const history = story.rests({ name: text }, { openLanes })
      for (const app of lanes) {
        Object.assign(history.apps.get(asAppId(app)) as object, { strict: true })
        const lane = history.end?.states[0]?.lanes[asAppId(app)]
        Object.assign(lane as Lane, { sent: { name: 'v3' }, park: { code: 'target.rejected', headSeq: 0 } })
      }
      return verdict(history)
    }
    expect(refused(['a', 'b'])).toBeNull()
    expect(refused([])).toBe('V3')
  })
  it('knows what a user replaced who had that very value before them when it had come to stand again', () => {
    const story = (stoodBefore: boolean) => {
      const begun = new Story(['a', 'b', 'c'])
        .user(1, 'a', { name: 'v1' })
        .hub('b', { name: 'v1' })
        .hub('c', { name: 'v1' })
      begun.user(2, 'c', { name: 'v2' }).user(3, 'a', { name: 'v3' }).hub('b', { name: 'v3' })
      begun.user(4, 'a', { name: 'v4' }).head('name', 'v4').user(5, 'a', { name: 'v3' })
      if (stoodBefore) begun.head('name', 'v3')
      begun.user(6, 'b', { name: 'v6' }).hub('a', { name: 'v2' }).hub('b', { name: 'v2' })
      const losers = ['v4', 'v6'].map((value) => ['name', value] as const)
      return begun.rests({ name: 'v2' }, { losers })
    }
    expect(verdict(story(true))).toBeNull()
    expect(verdict(story(false))).toBe('V3')
  })
  it('knows what cannot be taken in yet where it stands: among the held entries', () => {
    const story = () => inStep().user(2, 'b', { name: 'v2' }).user(3, 'a', { name: 'v3' }).hub('b', { name: 'v3' })
    const held = (name: string): HeldEntry => {
      const change = { app: asAppId('b'), object: 'customers', nativeId: 'b-1', kind: 'image', record: { name } }
      const entry = { input: { type: 'notification', change } }
      return {
        ...{ app: asAppId('b'), object: 'customers', nativeId: asNativeId('b-1'), entity: CUSTOMER, entry },
        ...{ waitsOn: 'operator', waitsFor: [], code: 'resolve.ambiguous' },
      } as unknown as HeldEntry
    }
    expect(verdict(story().rests({ name: 'v3' }, { held: [held('v2')] }))).toBeNull()
    expect(verdict(story().rests({ name: 'v3' }, { held: [held('v1')] }))).toBe('V3')
  })
  it('sees an edit that a deletion took away unseen', () => {
    expect(verdict(inStep().user(2, 'b', { name: 'v2' }).userDeletes(3, 'a').hubDeletes('b').rests(null))).toBe('V3')
  })
})

describe('V4', () => {
  it('sees a value that nobody wrote', () => {
    expect(message(inStep().hub('b', { name: 'v77' }).rests({ name: 'v77' }))).toContain('no user ever put into name')
  })
  it('sees an invented null', () => {
    expect(verdict(inStep().hub('b', { name: null }).rests({ name: null }))).toBe('V4')
  })
  it('sees a value of another field', () => {
    expect(verdict(inStep().user(2, 'a', { note: 'v2' }).hub('b', { name: 'v2' }).rests({ name: 'v2' }))).toBe('V4')
  })
  it('sees an older value written over one that was based on it', () => {
    const story = inStep().user(2, 'b', { name: 'v2' }).hub('b', { name: 'v1' })
    expect(message(story.rests({ name: 'v1' }))).toContain('which was based on it')
  })
})

describe('V5', () => {
  it('sees more writes than edits call for', () => {
    const story = inStep().user(2, 'a', { name: 'v2', note: 'v2' }).hub('b', { name: 'v2' }).hub('b', { note: 'v2' })
    expect(verdict(story.rests({ name: 'v2', note: 'v2' }))).toBe('V5')
  })
  it('sees an endless exchange of two values', () => {
    const story = new Story(['a', 'b'], { exact: false })
    for (let action = 1; action <= 6; action++) story.user(action, 'a', { name: `v${action}` })
    story.user(7, 'b', { name: 'v7' })
    for (let round = 0; round < 5; round++) story.hub('a', { name: 'v7' }).hub('a', { name: 'v6' })
    story.hub('b', { name: 'v6' })
    expect(message(story.rests({ name: 'v6' }, { losers: [['name', 'v7']] }))).toContain(
      'for the 4th time while no user edited',
    )
  })
  it('sees writes that change nothing', () => {
    const story = inStep()
    for (let i = 0; i < 4; i++)
      story.history.noopWrites.push({ app: a, record: 1, op: asOpId(`n${i}`), atMs: 5, resend: false })
    expect(verdict(story.rests({ name: 'v1' }))).toBe('V5')
  })
})

describe('V6', () => {
  it('sees a record that the hub made twice', () => {
    expect(verdict(inStep().hub('b', { name: 'v1' }, { native: '2' }).rests({ name: 'v1' }))).toBe('V6')
  })
  it('takes a second record of a user when it is held for a person', () => {
    const held = [
      {
        ...{ app: asAppId('b'), object: 'customers', nativeId: asNativeId('b-2'), code: 'resolve.ambiguous' },
        ...something,
      } as HeldEntry,
    ]
    const story = () => inStep().user(2, 'b', { name: 'v1' }, '2')
    expect(verdict(story().rests({ name: 'v1' }))).toBe('V6')
    expect(verdict(story().rests({ name: 'v1' }, { held }))).toBeNull()
  })
  it('sees two links of one record in one application', () => {
    const history = inStep().rests({ name: 'v1' })
    const [first] = history.end?.links ?? []
    const links = [
      ...(history.end?.links ?? []),
      { ...first, nativeId: asNativeId('a-9') } as NonNullable<typeof first>,
    ]
    expect(message({ ...history, end: { ...(history.end as NonNullable<typeof history.end>), links } })).toContain(
      'is linked to both',
    )
  })
})

describe('V7', () => {
  it('sees an application taken back to an older value of the head', () => {
    const story = new Story(['a', 'b']).head('name', 'v1').user(1, 'a', { name: 'v1' }).hub('b', { name: 'v1' })
    story.user(2, 'a', { name: 'v2' }).head('name', 'v2').hub('b', { name: 'v2' })
    story
      .user(3, 'a', { name: 'v3' })
      .head('name', 'v3')
      .hub('b', { name: 'v3' })
      .hub('b', { name: 'v2' })
      .hub('b', { name: 'v3' })
    const history = story.rests({ name: 'v3' })
    expect(['V4', 'V7']).toContain(verdict(history))
  })
})

describe('V8', () => {
  it('sees a deletion that no user made', () => {
    expect(verdict(inStep().hubDeletes('b').rests(null))).toBe('V8')
  })
  it('sees a record that comes back after its deletion', () => {
    const story = inStep().userDeletes(2, 'a').hub('a', { name: 'v1' }, { native: '2' })
    expect(verdict(story.rests({ name: 'v1' }))).toBe('V8')
  })
  it('takes a record that a user made anew', () => {
    const story = inStep()
      .userDeletes(2, 'a')
      .hubDeletes('b')
      .user(3, 'b', { name: 'v3' }, '2')
      .hub('a', { name: 'v3' }, { native: '2', key: asCanonicalKey('c2') })
    expect(verdict(story.rests(null))).not.toBe('V8')
  })
})

/** The end of a history with something changed in the lane of record c1 in application a. */
function withLane(history: History, changed: Partial<Lane>): History {
  const end = history.end as HubEnd
  const [state] = end.states
  const lane = { ...(state?.lanes[a] as Lane), ...changed }
  const states = [{ ...(state as RecordState), lanes: { ...state?.lanes, [a]: lane } }]
  return { ...history, end: { ...end, states } }
}

describe('V9', () => {
  const parked = { park: { code: 'target.rejected', message: 'no', atMs: 1, headSeq: asJournalPosition(1) } }
  it('sees a lane that is set aside and stands in no list', () => {
    expect(verdict(withLane(inStep().rests({ name: 'v1' }), parked))).toBe('V9')
  })
  it('sees a lane that is not followed any more, and no conflict that says why', () => {
    const history = withLane(inStep().rests({ name: 'v1' }), { detached: true })
    expect(message(history)).toContain('no longer followed in a')
    const conflicts = [{ key: asCanonicalKey('c1'), loserApp: a, reason: 'unseen', path: 'name' } as Conflict]
    expect(verdict({ ...history, end: { ...(history.end as HubEnd), conflicts } })).toBeNull()
  })
})

describe('V10', () => {
  const openLanes = [{ key: asCanonicalKey('c1'), app: a, state: 'retry', code: 'target.unreachable' } as OpenLane]
  it('sees a lane that is left waiting', () => {
    expect(verdict(inStep().rests({ name: 'v1' }, { openLanes }))).toBe('V10')
  })
  it('excuses what a person has to decide, and what refers to that, and nothing else', () => {
    const held = (nativeId: string, more: Partial<HeldEntry>): HeldEntry =>
      ({
        ...{ app: a, object: 'customers', nativeId: asNativeId(nativeId), code: null, waitsFor: [] },
        ...something,
        ...more,
      }) as HeldEntry
    const ambiguous = held('a-8', { code: 'resolve.ambiguous', waitsOn: 'operator' })
    const referring = held('a-1', { waitsOn: 'reference', waitsFor: ['customer:a-8'] })
    const other = held('a-1', { waitsOn: 'reference', waitsFor: ['customer:a-7'] })
    const rest = () => inStep()
    expect(verdict(rest().rests({ name: 'v1' }, { held: [ambiguous, referring], openLanes }))).toBeNull()
    expect(verdict(rest().rests({ name: 'v1' }, { held: [ambiguous, other] }))).toBe('V10')
  })
  it('sees an edit that came late although nothing went wrong', () => {
    const story = inStep().user(2, 'a', { name: 'v2' }).hub('b', { name: 'v2' })
    const history = { ...story.rests({ name: 'v2' }), calm: true }
    expect(verdict(history)).toBeNull()
    const late = history.versions.map((version, i) => (i === 3 ? { ...version, atMs: 20_000 } : version))
    expect(message({ ...history, versions: late })).toContain('although nothing went wrong')
    expect(verdict({ ...history, versions: late, calm: false })).toBeNull()
    // Where a row is looked at every five seconds, four rows take as long.
    const info = history.apps.get(a) as HistoryApp
    expect(
      verdict({ ...history, versions: late, apps: new Map([...history.apps, [a, { ...info, lookMs: 3_000 }]]) }),
    ).toBe('V10')
    expect(
      verdict({ ...history, versions: late, apps: new Map([...history.apps, [a, { ...info, lookMs: 6_500 }]]) }),
    ).toBeNull()
  })
})

describe('V10 of new records', () => {
  const arriving = (atMs: number): History => {
    const history = {
      ...inStep().user(2, 'a', { name: 'v2' }).hub('b', { name: 'v2' }).rests({ name: 'v2' }),
      calm: true,
    }
    const late = (version: AppVersion): AppVersion => ({ ...version, atMs: version.atMs + 20_000 })
    // Edits go on meanwhile, so that only the record's own arrival is late.
    const versions = history.versions.map((version, i) =>
      i === 1 ? { ...version, atMs } : i > 1 ? late(version) : version,
    )
    return { ...history, versions }
  }
  it('sees one that came late although nothing went wrong', () => {
    expect(verdict(arriving(5_000))).toBeNull()
    expect(message(arriving(15_000))).toContain('after it could have come there')
  })
})

describe('V11', () => {
  const order = (seq: number, customer: string): AppVersion =>
    ({
      seq,
      atMs: seq,
      app: a,
      entity: ORDER,
      nativeId: asNativeId('o-1'),
      kind: 'update',
      cells: { customer },
      changed: ['customer'],
      user: null,
      hub: { op: asOpId('op1'), sentSeq: seq },
    }) as unknown as AppVersion
  const customer = (seq: number, kind: AppVersion['kind'], byHub: boolean): AppVersion =>
    ({
      ...order(seq, ''),
      entity: CUSTOMER,
      nativeId: asNativeId('c-1'),
      kind,
      changed: [],
      ...(byHub ? {} : { hub: null, user: { action: 1, readSeq: null } }),
    }) as AppVersion
  const judged = (...versions: AppVersion[]): string | null =>
    checkReferences({
      history: { versions },
      object: () => ({ fieldAt: () => ({ refersTo: CUSTOMER }) }),
    } as unknown as Oracle)
  it('sees a write that points at a record that was never there', () => {
    expect(judged(order(1, 'c-1'), customer(2, 'create', true))).toContain('no such record')
    expect(judged(customer(1, 'create', true), order(2, 'c-1'))).toBeNull()
  })
  it('sees a write that points at a record that the hub had deleted; a user may delete one meanwhile', () => {
    const made = customer(1, 'create', true)
    expect(judged(made, customer(2, 'delete', true), order(3, 'c-1'))).toContain('had deleted there')
    expect(judged(made, customer(2, 'delete', false), order(3, 'c-1'))).toBeNull()
  })
})

describe('V12', () => {
  it('sees a hub that is another after a kill at rest', () => {
    const history = inStep().rests({ name: 'v1' })
    const end = history.end as HubEnd
    expect(verdict({ ...history, recovered: end })).toBeNull()
    expect(message({ ...history, recovered: { ...end, links: end.links.slice(1) } })).toContain('is gone')
    expect(message({ ...history, recovered: withLane(history, { exists: false }).end })).toContain('killed at rest')
  })
})

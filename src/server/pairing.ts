import type { Hono } from 'hono'
import { BUSY, type Pair, whyNotLinked, whyNotSeparated } from '../engine/pairing.ts'
import { SyncError } from '../errors/index.ts'
import type { NamedRecord } from '../model/change.ts'
import { asAppId, asEntityName, asNativeId, type JournalPosition } from '../model/ids.ts'
import type { RecordState } from '../model/record.ts'
import { bodyOf, invalid } from './decisions.ts'
import type { HubContext } from './hub.ts'
import { json } from './json.ts'

/** How long a decision is waited for, and what is under way on its records: writes that take longer are asked about again later. */
const DECIDED_WITHIN_MS = 10_000
const LOOK_MS = 25
const BUSY_PAUSE_MS = 250

export interface Paired {
  readonly entity: string
  /** The records that the two are now, by their canonical keys: the same one after `link`. */
  readonly keys: readonly [string, string]
  readonly text: string
}

/** What people say of two records: that they are one, or that they are not. Answered when it is decided and committed. */
export function addPairing(app: Hono, context: HubContext): void {
  for (const action of ['link', 'separate'] as const) {
    app.post(`/api/${action}`, async (c) => {
      const named = readPair(await c.req.text())
      return json({ [action === 'link' ? 'linked' : 'separated']: await decided(context, action, named) })
    })
  }
}

type Names = readonly [Name, Name]

interface Name {
  readonly entity: string
  readonly app: string
  readonly nativeId: string
}

function readPair(text: string): Names {
  const { entity, first, second } = bodyOf(text)
  return [nameOf(entity, first), nameOf(entity, second)]
}

function nameOf(entity: unknown, given: unknown): Name {
  const at = typeof given === 'string' ? given.indexOf(':') : -1
  if (typeof entity !== 'string' || typeof given !== 'string' || at <= 0 || at === given.length - 1)
    throw invalid('give `entity`, and `first` and `second` as <app>:<native id>')
  return { entity, app: given.slice(0, at), nativeId: given.slice(at + 1) }
}

async function decided(context: HubContext, action: Pair['action'], names: Names): Promise<Paired> {
  const { engine, clock } = context
  const untilMs = clock.monotonicMs() + DECIDED_WITHIN_MS
  for (;;) {
    const [first, second] = [await recordUnder(context, names[0]), await recordUnder(context, names[1])]
    const pair: Pair = { action, ...first.named, other: second.named }
    refuseEarly(context, pair, first.record, second.record)
    const seq = await engine.operate(pair)
    await until(context, () => engine.taken >= seq, untilMs)
    const said = await saidAt(context, first.record, seq)
    const now = [await recordUnder(context, names[0]), await recordUnder(context, names[1])] as const
    const keys = [now[0].record.key, now[1].record.key] as const
    if ((keys[0] === keys[1]) === (action === 'link')) return { entity: names[0].entity, keys, text: said }
    if (!said.includes(BUSY) || clock.monotonicMs() > untilMs) throw new SyncError('resolve.not-possible', said)
    await pause(context, BUSY_PAUSE_MS)
  }
}

/** What can be told before it is asked for is not written down. */
function refuseEarly({ engine }: HubContext, pair: Pair, first: RecordState, second: RecordState): void {
  const isOne = first.key === second.key
  const two = `${pair.app}:${pair.nativeId} and ${pair.other.app}:${pair.other.nativeId}`
  if (pair.action === 'separate' && !isOne) return
  const why = pair.action === 'link' ? whyNotLinked(engine.model, first, second, pair) : whyNotSeparated(first, pair)
  if (why !== null)
    throw new SyncError(
      'resolve.not-possible',
      `${two} cannot be ${pair.action === 'link' ? 'linked' : 'separated'}: ${why}`,
    )
}

async function recordUnder(
  { engine }: HubContext,
  { entity, app, nativeId }: Name,
): Promise<{ readonly named: NamedRecord; readonly record: RecordState }> {
  const name = { app: asAppId(app), nativeId: asNativeId(nativeId) }
  const links = await engine.store.links({ ...name, entity: asEntityName(entity), max: 10 })
  const key = links.find((link) => link.state === 'live')?.key
  const query = { natives: [], canonicals: [], matches: [] }
  const [record] = key == null ? [] : (await engine.store.load({ ...query, records: [key] })).records
  if (record !== undefined) return { named: { key: record.key, ...name }, record }
  throw new SyncError(
    'query.unknown-record',
    `${entity} ${app}:${nativeId} belongs to no record of the hub: \`latchwork status\` lists what is held, \`latchwork xref list\` what is known`.slice(
      0,
      400,
    ),
  )
}

/** What the decision said of the first of the two. */
async function saidAt({ engine }: HubContext, { key }: RecordState, seq: JournalPosition): Promise<string> {
  const verdicts = await engine.store.verdicts(key)
  return (
    verdicts.find((one) => one.seq === seq && IS_WORD.has(one.verdict))?.text ??
    'it was not decided in time; see `latchwork explain`'
  )
}

const IS_WORD: ReadonlySet<string> = new Set(['linked', 'separated', 'unchanged'])

async function until(context: HubContext, isDone: () => boolean, untilMs: number): Promise<void> {
  while (!isDone() && context.clock.monotonicMs() < untilMs) await pause(context, LOOK_MS)
}

const pause = ({ clock }: HubContext, ms: number): Promise<void> =>
  new Promise((resolve) => {
    clock.timer(ms, resolve)
  })

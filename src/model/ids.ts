/** Branded ids and positions. A bare string never passes between stages; the brands exist only in the types. */

declare const brand: unique symbol
type Brand<T, B extends string> = T & { readonly [brand]: B }

/** An application as named in `defineHub({ apps })`. */
export type AppId = Brand<string, 'AppId'>
/** An object (table, resource) inside one application. */
export type ObjectId = Brand<string, 'ObjectId'>
/** An entity as named in `entity(name)`. */
export type EntityName = Brand<string, 'EntityName'>
/** The id that an application gave a record, always as text: `007` stays `007`. */
export type NativeId = Brand<string, 'NativeId'>
/** The hub's own id of a record across all applications. */
export type CanonicalKey = Brand<string, 'CanonicalKey'>
/** What an application keeps of a record that we made there, so that it is found again: the canonical key, and which life of the record there it was made for. */
export type CorrelationId = Brand<string, 'CorrelationId'>
/** One write of ours: `<instance>.<generation>.<canonical key>.<app>.<n>`. Also the idempotency key and the mark of that write. */
export type OpId = Brand<string, 'OpId'>
/** Sequence number of a journal entry, from 1, without gaps inside one journal. 0 means before everything. */
export type JournalPosition = Brand<number, 'JournalPosition'>
/** Where a feed was read to; opaque text of its source. */
export type FeedPosition = Brand<string, 'FeedPosition'>
/**
 * A record's version in its application. Ordered tokens (T2) are decimal integers, or several joined with dots (`LSN.index`), so that
 * `compareTokens` can order them; equality tokens (T1) are opaque text.
 */
export type Token = Brand<string, 'Token'>

/** A flow as named in `flow(name)`. */
export type FlowName = Brand<string, 'FlowName'>
/** One run of a flow: the decimal text of the journal position of its message. */
export type RunId = Brand<string, 'RunId'>

export const asFlowName = (text: string): FlowName => text as FlowName
export const asRunId = (text: string): RunId => text as RunId
export const runIdOf = (seq: JournalPosition): RunId => String(seq) as RunId
export const asAppId = (text: string): AppId => text as AppId
export const asObjectId = (text: string): ObjectId => text as ObjectId
export const asEntityName = (text: string): EntityName => text as EntityName
export const asNativeId = (text: string): NativeId => text as NativeId
export const asCanonicalKey = (text: string): CanonicalKey => text as CanonicalKey
export const asCorrelationId = (text: string): CorrelationId => text as CorrelationId
export const asOpId = (text: string): OpId => text as OpId
export const asJournalPosition = (n: number): JournalPosition => n as JournalPosition
export const asFeedPosition = (text: string): FeedPosition => text as FeedPosition
export const asToken = (text: string): Token => text as Token

/** Which record of which application: the left side of the cross-reference. */
export interface NativeRef {
  readonly app: AppId
  readonly object: ObjectId
  readonly nativeId: NativeId
}

/** One text for a native reference, for use as a Map key. The separator cannot occur in configured names. */
export const nativeRefKey = (app: AppId, object: ObjectId, nativeId: NativeId): string =>
  app + '\u0000' + object + '\u0000' + nativeId

/** Lives that a correlation id tells apart. */
const LIVES = 16

/**
 * A record that is created again where it was deleted has another correlation id there: a copy that somebody made of its former self bears the old one and is not taken for it. The id looks like the
 * key, so that it fits wherever that does: the first digit of its time, which is 0 until the year 2527, counts the lives.
 */
export function correlationIdOf(key: CanonicalKey, incarnation: number): CorrelationId {
  const life = incarnation % LIVES
  return asCorrelationId(life === 0 || !UUID.test(key) ? key : life.toString(16) + key.slice(1))
}

/** The key in a correlation id, and the life that it was made for. */
export function correlationOf(id: string): { readonly key: CanonicalKey; readonly life: number } {
  const life = id[0] !== '0' && UUID.test(id) ? Number.parseInt(id[0] as string, 16) : 0
  return { key: asCanonicalKey(life === 0 ? id : '0' + id.slice(1)), life }
}

export const isOfLife = (life: number, incarnation: number): boolean => life === incarnation % LIVES

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-/

/** One text for a lane, for use as a Map key. */
export const laneKey = (key: CanonicalKey, app: AppId): string => key + '\u0000' + app

/**
 * Orders two ordered tokens (T2): negative when `a` is older. Integers of any length, compared segment by segment, so
 * that no token goes through a JavaScript number.
 */
export function compareTokens(a: Token, b: Token): number {
  if (a === b) return 0
  const left: readonly string[] = a.indexOf('.') < 0 ? [a] : a.split('.')
  const right: readonly string[] = b.indexOf('.') < 0 ? [b] : b.split('.')
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const order = compareDigits(left[i] ?? '0', right[i] ?? '0')
    if (order !== 0) return order
  }
  return 0
}

function compareDigits(a: string, b: string): number {
  const left = a.replace(/^0+(?=.)/, '')
  const right = b.replace(/^0+(?=.)/, '')
  if (left.length !== right.length) return left.length - right.length
  return left < right ? -1 : left > right ? 1 : 0
}

/** As the position of a feed that can be read anew: everything that the application holds now is read from the beginning, then what changes from now on. */
export const FEED_RESET: FeedPosition = asFeedPosition('reset')

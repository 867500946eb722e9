import { SyncError } from '../../errors/index.ts'
import { asFeedPosition, asToken, type FeedPosition, type Token } from '../../model/ids.ts'

/**
 * Where the log was read to. (lsn, index): every change of a transaction whose commit record lies before `lsn`, and of the one that lies at it the first
 * `index` changes (they count from 1). A transaction that was read whole is (end of its commit record, 0).
 */
export interface LogPlace {
  readonly lsn: bigint
  readonly index: number
}

/** What a feed position says: on which server, where in the log, and how far the tables' first reading has come. */
export interface PgPosition extends LogPlace {
  readonly systemId: string
  readonly timeline: number
  /** Tables whose rows have all been read once. */
  readonly read: readonly string[]
  /** The table being read for the first time, and the last key of it that was; null between tables. */
  readonly reading: { readonly object: string; readonly after: readonly string[] | null } | null
}

export const comparePlaces = (a: LogPlace, b: LogPlace): number =>
  a.lsn < b.lsn ? -1 : a.lsn > b.lsn ? 1 : a.index - b.index

export const earlier = (a: bigint, b: bigint): bigint => [a, b].reduce((x, y) => (y < x ? y : x))
export const later = (a: bigint, b: bigint): bigint => [a, b].reduce((x, y) => (y > x ? y : x))

/** `16/B374D848` as a number. */
export function parseLsn(text: string): bigint {
  const slash = text.indexOf('/')
  return (BigInt('0x' + text.slice(0, slash)) << 32n) | BigInt('0x' + text.slice(slash + 1))
}

export const lsnText = (lsn: bigint): string =>
  `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffffffffn).toString(16).toUpperCase()}`

/** The token of a read that saw every commit before `lsn`, and none at or after it. */
export const tokenBefore = (lsn: bigint): Token => asToken(`${lsn}.0`)

export const positionText = (at: PgPosition): FeedPosition =>
  asFeedPosition(
    JSON.stringify({
      sys: at.systemId,
      tl: at.timeline,
      lsn: String(at.lsn),
      ix: at.index,
      read: at.read,
      ...(at.reading === null ? {} : { now: at.reading }),
    }),
  )

export function parsePosition(text: FeedPosition): PgPosition {
  try {
    const { sys, tl, lsn, ix, read, now } = JSON.parse(text) as {
      sys: string
      tl: number
      lsn: string
      ix: number
      read: readonly string[]
      now?: PgPosition['reading']
    }
    if (typeof sys !== 'string' || !Array.isArray(read)) throw new TypeError('not a position of this connector')
    return { systemId: sys, timeline: tl, lsn: BigInt(lsn), index: ix, read, reading: now ?? null }
  } catch (cause) {
    throw new SyncError('source.position-invalid', `the stored position ${JSON.stringify(text)} cannot be read.`, {
      cause,
    })
  }
}

/** Several key columns as one native id: joined with commas, which are escaped inside. One column is itself. */
export const joinKey = (values: readonly string[]): string =>
  values.length === 1 ? (values[0] as string) : values.map((value) => value.replace(/[%,]/g, escapeOf)).join(',')

export function splitKey(nativeId: string, columns: number): readonly string[] | undefined {
  if (columns === 1) return [nativeId]
  const values = nativeId.split(',').map((value) => value.replaceAll('%2C', ',').replaceAll('%25', '%'))
  return values.length === columns ? values : undefined
}

const escapeOf = (char: string): string => (char === ',' ? '%2C' : '%25')

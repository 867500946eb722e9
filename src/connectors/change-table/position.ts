import { asFeedPosition, type FeedPosition } from '../../model/ids.ts'

/**
 * Where a change table was read to. It is a queue: what stands in it was not confirmed yet, and a position says which of its rows were delivered already and may still be there. So a row
 * that a slow transaction commits late, under a number that others have passed, is simply found by the next read (hazard 18); no order of commits is assumed.
 */
export interface LogPosition {
  /** Of the change table itself: another database, or one whose feed began anew, has another. */
  readonly table: string
  /** First the tables are read as they are, object by object in the order of the config; `after` is the last id seen. null: that is done. */
  readonly scan: { readonly object: number; readonly after: string | null } | null
  /** Rows delivered and perhaps not taken out yet, as ranges in ascending order. */
  readonly delivered: readonly SeqRange[]
  /** The row with the highest number delivered so far: how a database that was put back to an earlier state is found out. */
  readonly newest: NewestRow | null
}

export interface NewestRow {
  readonly seq: bigint
  readonly atMs: number
}

export interface SeqRange {
  readonly from: bigint
  readonly to: bigint
}

/** `<table> log 4-90,93 93@1750000000000` or `<table> scan:0:id - -`; ids are escaped, so that they hold no space. */
export function writePosition(position: LogPosition): FeedPosition {
  const ranges = position.delivered.map(({ from, to }) => (from === to ? `${from}` : `${from}-${to}`)).join(',')
  const { scan, newest } = position
  const where =
    scan === null ? 'log' : `scan:${scan.object}${scan.after === null ? '' : `:${encodeURIComponent(scan.after)}`}`
  const last = newest === null ? '-' : `${newest.seq}@${newest.atMs}`
  return asFeedPosition([position.table, where, ranges === '' ? '-' : ranges, last].join(' '))
}

/** The inverse; undefined for what is no such position. */
export function readPosition(text: FeedPosition): LogPosition | undefined {
  const [table = '', where = '', ranges = '-', last = '-'] = text.split(' ')
  if (table === '' || (where !== 'log' && !/^scan:\d+(:|$)/.test(where))) return undefined
  const delivered: SeqRange[] = []
  for (const range of ranges === '-' ? [] : ranges.split(',')) {
    const match = /^(\d+)(?:-(\d+))?$/.exec(range)
    if (match === null) return undefined
    delivered.push({ from: BigInt(match[1] as string), to: BigInt(match[2] ?? (match[1] as string)) })
  }
  const mark = /^(\d+)@(\d+)$/.exec(last)
  const newest = mark === null ? null : { seq: BigInt(mark[1] as string), atMs: Number(mark[2]) }
  if (where === 'log') return { table, scan: null, delivered, newest }
  const [, object = '0', after] = where.split(':')
  return {
    table,
    scan: { object: Number(object), after: after === undefined ? null : decodeURIComponent(after) },
    delivered,
    newest,
  }
}

/** Ranges with some more numbers in them, joined where they touch. */
export function addSeqs(ranges: readonly SeqRange[], seqs: readonly bigint[]): SeqRange[] {
  const all = [...ranges, ...seqs.map((seq) => ({ from: seq, to: seq }))].sort((a, b) =>
    a.from < b.from ? -1 : a.from > b.from ? 1 : 0,
  )
  const joined: { from: bigint; to: bigint }[] = []
  for (const { from, to } of all) {
    const last = joined.at(-1)
    if (last === undefined || from > last.to + 1n) joined.push({ from, to })
    else if (to > last.to) last.to = to
  }
  return joined
}

export const seqCount = (ranges: readonly SeqRange[]): number =>
  ranges.reduce((sum, { from, to }) => sum + Number(to - from) + 1, 0)

/** The later of the row known so far and the last of a page. */
export const newestOf = (known: NewestRow | null, rows: readonly NewestRow[]): NewestRow | null =>
  rows.reduce<NewestRow | null>(
    (best, { seq, atMs }) => (best === null || seq > best.seq ? { seq, atMs } : best),
    known,
  )

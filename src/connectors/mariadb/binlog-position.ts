import { asFeedPosition, asToken, type FeedPosition, type Token } from '../../model/ids.ts'
import { type Gtid, gtidText, parseGtid } from './binlog-stream.ts'

/** Where the log was read to. */
export interface BinlogPosition {
  /** First the tables are read as they are, object by object; null: that is done. */
  readonly scan: { readonly object: number; readonly after: string | null } | null
  /** Transactions up to and with these, one for each domain, are done. */
  readonly done: readonly Gtid[]
  /** The transaction that is being read, and how many of its changes were told. */
  readonly within: { readonly gtid: Gtid; readonly told: number } | null
}

export const doneText = (done: readonly Gtid[]): string => done.map(gtidText).join(',')

/** `log 0-1-57 -`, `log 0-1-57 0-1-58:12`, or `scan:0:id 0-1-57 -`. */
export function writeBinlogPosition({ scan, done, within }: BinlogPosition): FeedPosition {
  const where =
    scan === null ? 'log' : `scan:${scan.object}${scan.after === null ? '' : `:${encodeURIComponent(scan.after)}`}`
  const inside = within === null ? '-' : `${gtidText(within.gtid)}:${within.told}`
  return asFeedPosition(`${where} ${done.length === 0 ? '-' : doneText(done)} ${inside}`)
}

export function readBinlogPosition(text: FeedPosition): BinlogPosition | undefined {
  const [where = '', doneWord = '', inside = '', more] = text.split(' ')
  if (!/^(?:log|scan:\d+(?::.*)?)$/.test(where) || more !== undefined) return undefined
  const done = doneWord === '-' ? [] : doneWord.split(',').map(parseGtid)
  const within = /^(.*):(\d+)$/.exec(inside)
  const gtid = within === null ? undefined : parseGtid(within[1] as string)
  if (done.includes(undefined) || (inside !== '-' && gtid === undefined)) return undefined
  const [, object, after] = where.split(':')
  return {
    scan:
      object === undefined
        ? null
        : { object: Number(object), after: after === undefined ? null : decodeURIComponent(after) },
    done: done as Gtid[],
    within: gtid === undefined ? null : { gtid, told: Number(within?.[2]) },
  }
}

/** A transaction is done: it stands for everything of its domain. */
export const advanced = (done: readonly Gtid[], gtid: Gtid): readonly Gtid[] =>
  [...done.filter(({ domain }) => domain !== gtid.domain), gtid].sort((a, b) => a.domain - b.domain)

/** Behind every change of a transaction: the version of what was read, or written, at its end. */
const END = 1_000_000_000

/** The version of a record after the change with this place in a transaction. */
export const changeToken = (seq: string, index: number): Token => asToken(`${seq}.${index}`)
export const endToken = (seq: string): Token => asToken(`${seq}.${END}`)

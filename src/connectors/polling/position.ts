import { asFeedPosition, type FeedPosition } from '../../model/ids.ts'

/** Where a table was polled to. */
export interface PollPosition {
  /** The greatest time seen by passes that are over; null before the first. The next pass begins the overlap before it. */
  readonly seen: string | null
  /** Raised by every pass that told of something, so that each page has a position of its own. */
  readonly pass: number
  /** Inside a pass: the last row of the page before, and the greatest time of this pass. */
  readonly within: { readonly time: string; readonly id: string; readonly max: string } | null
}

const part = (text: string | null): string => (text === null ? '-' : encodeURIComponent(text))
const whole = (text: string): string | null => (text === '-' ? null : decodeURIComponent(text))

export const writePollPosition = ({ seen, pass, within }: PollPosition): FeedPosition =>
  asFeedPosition(
    within === null
      ? `poll ${pass} ${part(seen)}`
      : `poll ${pass} ${part(seen)} ${part(within.time)} ${part(within.id)} ${part(within.max)}`,
  )

/** The inverse; undefined for what is no such position. */
export function readPollPosition(text: FeedPosition): PollPosition | undefined {
  const words = text.split(' ')
  if (words[0] !== 'poll' || !/^\d+$/.test(words[1] ?? '') || (words.length !== 3 && words.length !== 6))
    return undefined
  const [, passed, seen = '-', time = '-', id = '-', max = '-'] = words
  const pass = Number(passed)
  if (words.length === 3) return { seen: whole(seen), pass, within: null }
  return { seen: whole(seen), pass, within: { time: whole(time) ?? '', id: whole(id) ?? '', max: whole(max) ?? '' } }
}

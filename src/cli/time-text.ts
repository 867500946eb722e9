const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/** `3.2 s`, `4 min`, `2 days`. */
export function duration(ms: number): string {
  if (ms < SECOND_MS) return `${Math.max(0, Math.round(ms))} ms`
  if (ms < MINUTE_MS) return `${(ms / SECOND_MS).toFixed(ms < 10 * SECOND_MS ? 1 : 0)} s`
  if (ms < HOUR_MS) return `${Math.floor(ms / MINUTE_MS)} min`
  if (ms < 2 * DAY_MS) return `${Math.floor(ms / HOUR_MS)} h`
  return `${Math.floor(ms / DAY_MS)} days`
}

export const ago = (atMs: number, nowMs: number): string =>
  atMs > nowMs ? `in ${duration(atMs - nowMs)}` : `${duration(nowMs - atMs)} ago`

/** UTC, as in logs; the day only where it is not today's. */
export function clockText(atMs: number, nowMs: number): string {
  const text = new Date(atMs).toISOString()
  return text.slice(0, 10) === new Date(nowMs).toISOString().slice(0, 10)
    ? text.slice(11, 23)
    : text.slice(0, 23).replace('T', ' ')
}

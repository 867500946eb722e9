/** Instants and dates as text, without losing digits that a Date cannot hold. */

const INSTANT = /^(\d{4}-\d{2}-\d{2})[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?([Zz]|[+-]\d{2}(?::?\d{2})?)$/

/**
 * An instant in its canonical spelling: ISO 8601 in UTC, milliseconds always, finer digits only where there are any
 * (`2026-03-01T12:00:00.000Z`). undefined when the text is no instant or names no offset.
 */
export function spellInstant(text: string): string | undefined {
  const match = INSTANT.exec(text)
  if (match === null) return undefined
  const [, date = '', hour = '', minute = '', second = '00', fraction = '', zone = ''] = match
  if (spellDate(date) === undefined || hour > '23' || minute > '59' || second > '59') return undefined
  const offset = offsetMinutes(zone)
  if (offset === undefined) return undefined
  // Most instants come in UTC: what is checked already needs no arithmetic. HOT PATH of comparisons.
  if (offset === 0) return `${date}T${hour}:${minute}:${second}.${spellFraction(fraction)}Z`
  const ms = Date.parse(`${date}T${hour}:${minute}:${second}.000Z`) - offset * 60_000
  return instantOfSeconds(ms / 1000, fraction)
}

function offsetMinutes(zone: string): number | undefined {
  if (zone === 'Z' || zone === 'z') return 0
  const hours = Number(zone.slice(1, 3))
  const minutes = Number(zone.slice(-2)) * (zone.length > 3 ? 1 : 0)
  if (hours > 23 || minutes > 59) return undefined
  return (zone[0] === '-' ? -1 : 1) * (hours * 60 + minutes)
}

/** The canonical spelling of whole seconds since 1970 and the digits after them; undefined outside the years 0000 to 9999. */
export function instantOfSeconds(seconds: number, fraction: string): string | undefined {
  const date = new Date(seconds * 1000)
  if (Number.isNaN(date.getTime())) return undefined
  const text = date.toISOString()
  if (text.length !== 24) return undefined
  return `${text.slice(0, 19)}.${spellFraction(fraction)}Z`
}

const spellFraction = (digits: string): string => (digits === '' ? '000' : digits.replace(/0+$/, '').padEnd(3, '0'))

/** Whole seconds since 1970 and the digits after them, of an instant in its canonical spelling. */
export function secondsOfInstant(text: string): { readonly seconds: number; readonly fraction: string } | undefined {
  const spelled = spellInstant(text)
  if (spelled === undefined) return undefined
  return { seconds: Date.parse(`${spelled.slice(0, 19)}Z`) / 1000, fraction: spelled.slice(20, -1) }
}

/** A calendar date that exists, `YYYY-MM-DD`. */
export function spellDate(text: string): string | undefined {
  if (!DATE.test(text)) return undefined
  const [year, month, day] = [Number(text.slice(0, 4)), Number(text.slice(5, 7)), Number(text.slice(8))]
  return month >= 1 && month <= 12 && day >= 1 && day <= daysOf(year, month) ? text : undefined
}

const DATE = /^\d{4}-\d{2}-\d{2}$/
const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

function daysOf(year: number, month: number): number {
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  return month === 2 && isLeap ? 29 : (DAYS[month - 1] as number)
}

import { BRAKES_DEFAULT, type BrakeLimits } from '../model/entity.ts'
import { checkKeys, refuse } from './refuse.ts'

/** Brakes on mass changes: how much may go from one application to another before a person is asked. */
export interface BrakesConfig {
  /**
   * More deletes than `least` and than `percent` of all records within `minutes` trip the brake. 'off' for none.
   * Default: 20, 1 % and 10 minutes.
   */
  readonly deletes?: { readonly least?: number; readonly percent?: number; readonly minutes?: number } | 'off'
  /** More writes than this within a minute trip it. Default 'off': a first load is all writes. */
  readonly writesPerMinute?: number | 'off'
  /** When an application is read for the first time and that would create more than this in another, a person is asked first. Default 100; 'off' to write day one unasked. */
  readonly firstContactCreates?: number | 'off'
}

const MINUTE_MS = 60_000

export function readBrakes(given: unknown): BrakeLimits {
  if (given === undefined) return BRAKES_DEFAULT
  checkKeys('brakes', given, ['deletes', 'writesPerMinute', 'firstContactCreates'])
  const { deletes, writesPerMinute, firstContactCreates } = given as BrakesConfig
  return {
    deletes: readDeletes(deletes),
    writesPerMinute:
      writesPerMinute === undefined || writesPerMinute === 'off'
        ? null
        : numberOf('brakes.writesPerMinute', writesPerMinute, 1),
    firstContactCreates: readCreates(firstContactCreates),
  }
}

function readCreates(given: BrakesConfig['firstContactCreates']): number | null {
  if (given === undefined) return BRAKES_DEFAULT.firstContactCreates
  return given === 'off' ? null : numberOf('brakes.firstContactCreates', given, 0)
}

function readDeletes(given: BrakesConfig['deletes']): BrakeLimits['deletes'] {
  const usual = BRAKES_DEFAULT.deletes as NonNullable<BrakeLimits['deletes']>
  if (given === undefined) return usual
  if (given === 'off') return null
  checkKeys('brakes.deletes', given, ['least', 'percent', 'minutes'])
  return {
    least: given.least === undefined ? usual.least : numberOf('brakes.deletes.least', given.least, 1),
    percent: given.percent === undefined ? usual.percent : numberOf('brakes.deletes.percent', given.percent, 0),
    withinMs:
      given.minutes === undefined ? usual.withinMs : numberOf('brakes.deletes.minutes', given.minutes, 1) * MINUTE_MS,
  }
}

function numberOf(where: string, value: unknown, least: number): number {
  if (typeof value === 'number' && Number.isFinite(value) && value >= least) return value
  return refuse(
    where,
    `${String(value)} is not a number of at least ${least}`,
    "Give one, or 'off' for the whole brake.",
  )
}

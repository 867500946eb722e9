import { checkKeys, refuse } from '../../config/refuse.ts'
import type { TableUse } from '../tables/options.ts'
import { POLLING_DEFAULTS, type PollingOptions } from './options.ts'

/** Tables are asked again and again, by the column that `updatedAt` of each names. For databases where neither the log may be read nor triggers made. */
export function polling(options: Partial<PollingOptions> = {}): PollingOptions {
  checkKeys('polling()', options, Object.keys(POLLING_DEFAULTS))
  const given = { ...POLLING_DEFAULTS, ...options }
  for (const [name, value] of Object.entries(given)) {
    if (!Number.isSafeInteger(value) || value < 1)
      refuse(`polling().${name}`, `${String(value)} is not a whole number above 0`, 'Give milliseconds.')
  }
  return given
}

/** What cannot be polled: a table without a time of change, and parts, whose changes no time tells of. */
export function checkPolled(where: string, tables: readonly TableUse[]): void {
  for (const table of tables) {
    if (table.updatedAt === null)
      refuse(
        `${where}.${table.object}`,
        'a table that is polled needs a time of change',
        "Name its column: updatedAt: 'updated_at'.",
      )
    if (table.parts.length > 0)
      refuse(
        `${where}.${table.object}`,
        'a change of its parts would not be noticed by polling',
        "Use changes: 'triggers', or leave the parts out.",
      )
  }
}

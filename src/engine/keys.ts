import { hash } from 'node:crypto'
import type { Change } from '../model/change.ts'
import { type AppId, asCanonicalKey, type CanonicalKey, type EntityName, type JournalPosition } from '../model/ids.ts'

/**
 * The canonical key of a record that a journal entry makes known: in the form of a UUID version 7 (time-ordered, so that new rows lie together), its random
 * part derived from the instance, the entity and the journal position, so that replaying the journal gives the same keys.
 */
export function canonicalKeyFor(
  instanceId: string,
  entity: EntityName,
  seq: JournalPosition,
  atMs: number,
  /** Tells records apart that one entry makes known. */
  app?: AppId,
): CanonicalKey {
  const time = Math.max(0, Math.floor(atMs)).toString(16).padStart(12, '0').slice(-12)
  const digest = hash(
    'sha256',
    `${instanceId}\u0000${entity}\u0000${seq}${app === undefined ? '' : '\u0000' + app}`,
    'hex',
  )
  const variant = '89ab'[Number.parseInt(digest[3] as string, 16) & 3] as string
  return asCanonicalKey(
    `${time.slice(0, 8)}-${time.slice(8)}-7${digest.slice(0, 3)}-${variant}${digest.slice(4, 7)}-${digest.slice(7, 19)}`,
  )
}

/** A number in [0, 1) spread evenly over journal positions: jitter that a replay repeats. */
export const jitterOf = (seq: JournalPosition): number => ((Math.imul(seq, 2654435761) >>> 0) % 4096) / 4096

/** The provider's delivery id within its application and object; a hash of the payload never serves (hazard 17). */
export const dedupKeyOf = (change: Change): string | null =>
  change.deliveryId === undefined ? null : `${change.app}\u0000${change.object}\u0000${change.deliveryId}`

import { deliveryKey, type History } from '../history.ts'

/** V1: whatever was acknowledged to a source is in the journal, or is a version that the durable state had already. */
export function checkAcknowledged(history: History): string | null {
  const journalled = (history.recovered ?? history.end)?.journalled
  if (journalled === undefined) return null
  for (const { app, deliveryId, atMs, isKnown } of history.acknowledged) {
    if (isKnown !== true && !journalled.has(deliveryKey(app, deliveryId)))
      return `${deliveryId} was acknowledged to ${app} at ${atMs} ms and is not in the journal`
  }
  return null
}

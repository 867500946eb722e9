import type { HubModel } from '../model/entity.ts'
import type { AppId } from '../model/ids.ts'

/** How many calls at once, and how many writes in one, every object of an application can take: its weakest binding decides. */
export function slotsOf(model: HubModel): Map<AppId, { calls: number; batchMax: number }> {
  const slots = new Map<AppId, { calls: number; batchMax: number }>()
  for (const entity of model.entities.values()) {
    for (const { app, capabilities } of entity.bindings.values()) {
      const known = slots.get(app)
      slots.set(app, {
        calls: Math.min(known?.calls ?? capabilities.concurrency, capabilities.concurrency),
        batchMax: Math.min(known?.batchMax ?? capabilities.batchMax, capabilities.batchMax),
      })
    }
  }
  return slots
}

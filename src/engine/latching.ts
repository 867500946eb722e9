import type { Latching } from '../model/entity.ts'
import type { AppId, CanonicalKey, ObjectId } from '../model/ids.ts'
import type { Store } from '../ports/store.ts'
import type { Prepared } from './prepared.ts'
import type { RecordWork } from './record-work.ts'

/** What the latching modes differ in. The folding rules are the same in all three (docs/protocol.md section 0). */

/** Pages of open lanes that one question reads; an object with more creates open than fit is held a little longer than needed. */
const PAGE = 500
const PAGES_MAX = 10

/** Mode `table`: our creates that are open on an object, by what the store has. */
export async function openCreatesInStore(store: Store, app: AppId, object: ObjectId): Promise<readonly CanonicalKey[]> {
  const keys: CanonicalKey[] = []
  let after: Parameters<Store['openLanes']>[0] = null
  for (let pages = 0; pages < PAGES_MAX; pages++) {
    const page = await store.openLanes(after, PAGE)
    for (const lane of page)
      if (lane.app === app && (lane.state === 'intent' || lane.state === 'unknown')) keys.push(lane.key)
    const last = page.at(-1)
    if (last === undefined || page.length < PAGE) break
    after = last
  }
  if (keys.length === 0) return keys
  const { records } = await store.load({ records: keys, natives: [], canonicals: [], matches: [] })
  return records
    .filter(({ lanes }) => lanes[app]?.object === object && lanes[app]?.intent?.kind === 'create')
    .map(({ key }) => key)
}

export const isTable = (prepared: Prepared): boolean => prepared.binding.latching === 'table'

/**
 * Mode `volatile`: a write that may leave before it is committed. A create never does: it is undone by nobody, and its op id has to be the same when it is decided again after a crash.
 */
export function mayLeaveEarly(work: RecordWork, app: AppId, latching: Latching | undefined): boolean {
  if (latching !== 'volatile') return false
  const intent = work.state.lanes[app]?.intent
  if (intent == null || intent.kind === 'create' || intent.state !== 'open') return false
  return work.stored?.lanes[app]?.intent?.op !== intent.op
}

/** Op ids of a volatile lane name the epoch: the same number may have been given to another patch by a process that died before it committed. */
export const opPrefixOf = (
  latching: Latching | undefined,
  store: { readonly instanceId: string; readonly generation: number; readonly epoch: number },
): string =>
  latching === 'volatile'
    ? `${store.instanceId}.${store.generation}-${store.epoch}`
    : `${store.instanceId}.${store.generation}`

import type { Engine, Taken } from '../engine/engine.ts'
import { refOf } from '../engine/prepared.ts'
import type { Change } from '../model/change.ts'
import type { AppId, CanonicalKey, NativeId } from '../model/ids.ts'
import type { Accepted, RawReply } from '../ports/app.ts'
import type { Clock } from '../ports/clock.ts'

/** One record that a notification told of, and how far each application is. */
export interface Delivery {
  readonly object: string
  readonly id: NativeId
  readonly key: CanonicalKey | null
  /** What was told is decided: neither is the record being read for it, nor does it wait for something else. */
  readonly isTaken: boolean
  readonly apps: Readonly<Record<string, AppDelivery>>
}

export interface AppDelivery {
  /** delivered: it has what was told. pending: not yet. parked: it waits for a person. absent: the record is not to be there. */
  readonly status: 'delivered' | 'pending' | 'parked' | 'absent'
  readonly id: NativeId | null
  readonly code?: string
}

/** Looked at again this often, beside whenever the record is decided on: states also change without a verdict. */
const LOOK_MS = 100

/** Waits until the applications have what was told (synchronous sync), and says with which ids; after the time with what is known by then, and a request id. */
export async function replyAfterDelivery(
  engine: Engine,
  clock: Clock,
  stopping: AbortSignal,
  { changes, waits }: Accepted,
  seqs: readonly Taken[],
): Promise<RawReply> {
  const { apps, timeoutMs } = waits as NonNullable<Accepted['waits']>
  const endMs = clock.monotonicMs() + timeoutMs
  const last = Math.max(0, ...seqs.filter((seq) => typeof seq === 'number'))
  let wake = (): void => {}
  const unsubscribe = engine.subscribe(() => wake())
  try {
    for (;;) {
      const deliveries = await deliveriesOf(engine, changes, apps)
      const isSettled = engine.cursor >= last && deliveries.every(isOver)
      const leftMs = endMs - clock.monotonicMs()
      if (isSettled) return json(200, { records: deliveries })
      if (leftMs <= 0 || stopping.aborted)
        return json(202, { request: last === 0 ? null : String(last), records: deliveries })
      await new Promise<void>((resolve) => {
        const timer = clock.timer(Math.min(LOOK_MS, leftMs), resolve)
        wake = () => {
          timer.cancel()
          resolve()
        }
      })
    }
  } finally {
    unsubscribe()
  }
}

const json = (status: number, data: unknown): RawReply => ({
  status,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(data),
})

const isOver = ({ key, isTaken, apps }: Delivery): boolean =>
  key !== null && isTaken && Object.values(apps).every(({ status }) => status !== 'pending')

/** How far the records of these changes are, in the other applications of their entities. */
export async function deliveriesOf(
  engine: Engine,
  changes: readonly Change[],
  apps: readonly AppId[] | null,
): Promise<readonly Delivery[]> {
  const natives = changes.map(({ app, object, nativeId }) => ({ app, object, nativeId }))
  const { links } = await engine.store.load({ records: [], natives, canonicals: [], matches: [] })
  const keys = [...new Set(links.flatMap((link) => (link.key === null ? [] : [link.key])))]
  const { records } = await engine.store.load({ records: keys, natives: [], canonicals: [], matches: [] })
  const deliveries: Delivery[] = []
  for (const { app, object, nativeId } of natives) {
    const link = links.find((one) => one.app === app && one.object === object && one.nativeId === nativeId)
    const record = records.find((one) => one.key === link?.key)
    const entity = record === undefined ? undefined : engine.model.entities.get(record.entity)
    if (record === undefined || entity === undefined) {
      deliveries.push({ object, id: nativeId, key: null, isTaken: false, apps: {} })
      continue
    }
    const open = await engine.store.openLanes({ key: record.key, app: '' as AppId }, entity.bindings.size)
    const binding = entity.bindings.get(app)
    const isRead = open.every((one) => one.key !== record.key || one.app !== app || one.state !== 'reading')
    const isWaiting = binding !== undefined && engine.waiting.first(refOf(binding, nativeId)) !== undefined
    const states = [...entity.bindings.values()]
      .filter((binding) => binding.app !== app && (apps === null || apps.includes(binding.app)))
      .map((binding): [string, AppDelivery] => {
        const lane = record.lanes[binding.app]
        const row = open.find((one) => one.key === record.key && one.app === binding.app)
        const id = lane?.nativeId ?? null
        if (row?.state === 'parked')
          return [binding.app, { status: 'parked', id, ...(row.code === null ? {} : { code: row.code }) }]
        if (row !== undefined) return [binding.app, { status: 'pending', id }]
        if (lane?.exists === true) return [binding.app, { status: 'delivered', id }]
        return [binding.app, { status: 'absent', id }]
      })
    deliveries.push({
      object,
      id: nativeId,
      key: record.key,
      isTaken: isRead && !isWaiting,
      apps: Object.fromEntries(states),
    })
  }
  return deliveries
}

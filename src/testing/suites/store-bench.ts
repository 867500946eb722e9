import { asCanonicalKey, asJournalPosition, asNativeId } from '../../model/ids.ts'
import type { RecordState } from '../../model/record.ts'
import type { CommitBatch, Store } from '../../ports/store.ts'
import type { SuiteRunner } from './app-driver.ts'
import {
  CUSTOMER,
  CUSTOMERS,
  loadQuery,
  newRecord,
  ORDERS,
  sampleBatch,
  sampleConflict,
  sampleHeld,
  sampleLink,
  sampleOpenLane,
  sampleRecord,
  sampleVerdict,
} from './samples.ts'

/** A place where a store keeps its data, and stores on it. */
export interface StoreBench extends AsyncDisposable {
  /** A store on this place that was not opened yet. A test closes one before it makes the next, as a hub that restarts. */
  store(): Store
}

export interface Opened extends AsyncDisposable {
  readonly store: Store
  readonly epoch: number
  commit(batch: Partial<CommitBatch>): Promise<void>
  /** Closes and opens again, as a restart does. */
  reopen(): Promise<void>
}

export type Test = (title: string, body: (at: Opened) => Promise<void>) => void
export type Expect = SuiteRunner['expect']

export async function openOn(newBench: () => Promise<StoreBench>): Promise<Opened> {
  const bench = await newBench()
  let store = bench.store()
  let info = await store.open()
  return {
    get store() {
      return store
    },
    get epoch() {
      return info.epoch
    },
    commit: (batch) => store.commit(sampleBatch(info.epoch, batch)),
    async reopen() {
      await store.close()
      store = bench.store()
      info = await store.open()
    },
    async [Symbol.asyncDispose]() {
      await store.close()
      await bench[Symbol.asyncDispose]()
    },
  }
}

export const loadRecord = async (store: Store, key: string): Promise<RecordState | undefined> =>
  (await store.load(loadQuery({ records: [asCanonicalKey(key)] }))).records[0]

export const loadLinks = async (store: Store, nativeId: string) =>
  (await store.load(loadQuery({ natives: [{ app: ORDERS, object: CUSTOMERS, nativeId: asNativeId(nativeId) }] }))).links

export const wholeBatch = () => ({
  cursor: { consumer: 'sync', position: asJournalPosition(7) },
  records: [newRecord(sampleRecord('k1'), { openLanes: [sampleOpenLane('k1', ORDERS)], verdicts: [sampleVerdict(1)] })],
  links: [sampleLink('n1', 'k1')],
  matches: [{ entity: CUSTOMER, matchKey: 'ada@example.org', key: asCanonicalKey('k1') }],
  held: [sampleHeld(4)],
  conflicts: [sampleConflict('k1')],
})

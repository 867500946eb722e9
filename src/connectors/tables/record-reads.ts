import { SyncError } from '../../errors/index.ts'
import type { ReadImage } from '../../model/change.ts'
import {
  type AppId,
  asFeedPosition,
  asNativeId,
  type CorrelationId,
  type FeedPosition,
  type NativeId,
  type ObjectId,
} from '../../model/ids.ts'
import type { Source } from '../../ports/app.ts'
import type { Clock } from '../../ports/clock.ts'
import { failedRead, readErrorOf } from './errors.ts'
import type { TablePlan, TablePlans } from './plan.ts'
import type { CallLimits } from './sql.ts'

/** Reads of records that are the same for all databases: by id, by our correlation id, page by page. */

/** One consistent snapshot of a database, and how a record is told in it. */
export interface Snapshot {
  readonly plans: TablePlans
  /** Each of these records, found or missing. */
  images(plan: TablePlan, ids: readonly NativeId[]): Promise<readonly ReadImage[]>
  /** The record that a create of ours with this id has made. */
  created(object: ObjectId, correlationId: CorrelationId): Promise<NativeId | undefined>
  /** Records after an id, in the order of their ids. */
  page(plan: TablePlan, after: NativeId | null, max: number): Promise<readonly ReadImage[]>
}

export interface RecordReadsDeps {
  readonly clock: Clock
  readonly callMs: number
  /** Runs `work` in a snapshot. Pages may be asked for before the feed was ever read. */
  readonly within: <T>(
    what: 'records' | 'pages',
    limits: CallLimits,
    work: (snapshot: Snapshot) => Promise<T>,
  ) => Promise<T>
}

export class RecordReads implements Pick<Source, 'readRecords' | 'findByCorrelation'> {
  readonly #app: AppId
  readonly #deps: RecordReadsDeps

  constructor(app: AppId, deps: RecordReadsDeps) {
    this.#app = app
    this.#deps = deps
  }

  #limits(signal: AbortSignal): CallLimits {
    return { untilMs: this.#deps.clock.monotonicMs() + this.#deps.callMs, signal }
  }

  async readRecords(
    requests: Parameters<Source['readRecords']>[0],
    signal: AbortSignal,
  ): Promise<readonly ReadImage[]> {
    try {
      const found = new Map<string, ReadImage>()
      await this.#deps.within('records', this.#limits(signal), async (snapshot) => {
        for (const [object, group] of Map.groupBy(requests, (request) => request.object)) {
          const ids = [...new Set(group.map((request) => request.nativeId))]
          for (const image of await snapshot.images(planOf(this.#app, snapshot.plans, object), ids))
            found.set(refOf(image), image)
        }
      })
      return requests.map((request) => found.get(refOf(request)) as ReadImage)
    } catch (error) {
      return requests.map((request) => this.#failed(request.object, request.nativeId, error))
    }
  }

  async findByCorrelation(
    requests: Parameters<Source['findByCorrelation']>[0],
    signal: AbortSignal,
  ): Promise<readonly ReadImage[]> {
    try {
      return await this.#deps.within('records', this.#limits(signal), async (snapshot) => {
        const results: ReadImage[] = []
        for (const { object, correlationId } of requests) {
          const nativeId = await snapshot.created(object, correlationId)
          const ids = nativeId === undefined ? [] : [nativeId]
          const [image] = await snapshot.images(planOf(this.#app, snapshot.plans, object), ids)
          results.push(image ?? { app: this.#app, object, nativeId: NOBODY, result: 'missing' })
        }
        return results
      })
    } catch (error) {
      return requests.map(({ object }) => this.#failed(object, NOBODY, error))
    }
  }

  #failed(object: ObjectId, nativeId: NativeId, error: unknown): ReadImage {
    return { app: this.#app, object, nativeId, ...failedRead(this.#app, object, error) }
  }

  async scan(
    object: ObjectId,
    after: FeedPosition | null,
    max: number,
    signal: AbortSignal,
  ): Promise<{ readonly records: readonly ReadImage[]; readonly position: FeedPosition | null }> {
    try {
      const records = await this.page(object, after === null ? null : asNativeId(after), max, signal)
      const last = records.at(-1)?.nativeId
      return { records, position: last === undefined || records.length < max ? null : asFeedPosition(last) }
    } catch (error) {
      throw readErrorOf(this.#app, object, error)
    }
  }

  /** One page in a snapshot of its own. Rejects with what the database said. */
  page(object: ObjectId, after: NativeId | null, max: number, signal: AbortSignal): Promise<readonly ReadImage[]> {
    return this.#deps.within('pages', this.#limits(signal), (snapshot) =>
      snapshot.page(planOf(this.#app, snapshot.plans, object), after, max),
    )
  }
}

const NOBODY = asNativeId('')
const refOf = ({ object, nativeId }: Pick<ReadImage, 'object' | 'nativeId'>): string => `${object}\u0000${nativeId}`

export function planOf(app: AppId, plans: TablePlans, object: ObjectId): TablePlan {
  const plan = plans.get(object)
  if (plan === undefined)
    throw new SyncError('internal.bug', `${app} declares no table ${object}; asked for by the hub itself.`)
  return plan
}

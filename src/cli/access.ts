import { existsSync } from 'node:fs'
import type { HubDefinition } from '../config/define-hub.ts'
import type { BrakeState } from '../engine/brake-state.ts'
import { SyncError } from '../errors/index.ts'
import { systemClock } from '../lib/system-clock.ts'
import type { HubModel } from '../model/entity.ts'
import type { Conflict } from '../model/record.ts'
import type { LinkQuery, LinkRow, StoreReader } from '../ports/store.ts'
import { type CandidatePair, candidatesOf } from '../server/candidates.ts'
import { type Explanation, explain, type RecordName } from '../server/explain.ts'
import { hubFilePath, isAlive, readHubFile, statePath } from '../server/hub-file.ts'
import { brakesOf, type Latches, latchesOf } from '../server/latches.ts'
import { refText } from '../server/ref-text.ts'
import { type HubStatus, type StoreStatus, storeStatus } from '../server/status.ts'
import { openStorageReader } from '../server/storage.ts'
import { openSqliteReader } from '../stores/sqlite/index.ts'
import { HubClient } from './hub-client.ts'

export interface AccessOptions {
  readonly data: string
  readonly url?: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** The config where there is one: it makes explanations without a hub complete, and says where the store is. */
  readonly definition: () => Promise<HubDefinition | null>
}

export type ConflictRow = Conflict & { readonly id: number }

/** What the reading commands ask, answered by a running hub or, without one, by its files. */
export interface Access extends AsyncDisposable {
  readonly from: 'hub' | 'files'
  status(): Promise<HubStatus | (StoreStatus & { readonly running: false })>
  /** Pages in (application, object, native id) order, up to `limit` rows in all. */
  links(query: Omit<LinkQuery, 'max' | 'after'>, limit: number): AsyncIterable<readonly LinkRow[]>
  /** Newest first. */
  conflicts(entity: string | undefined, limit: number): AsyncIterable<readonly ConflictRow[]>
  explain(name: RecordName): Promise<Explanation>
  latches(): Promise<Latches>
  brakes(): Promise<readonly BrakeState[]>
  candidates(entity: string | undefined): Promise<readonly CandidatePair[]>
}

/** The hub of the data folder, or the one named by --url. Null when none runs there. Throws when one should and does not answer. */
export function runningHub({ data, url, env }: Pick<AccessOptions, 'data' | 'url' | 'env'>): HubClient | null {
  const token = env.LATCHWORK_ADMIN_TOKEN || undefined
  if (url !== undefined) return new HubClient(url, token)
  const file = readHubFile(data)
  return file !== null && isAlive(file.pid) ? new HubClient(file.url, token, file.certificate) : null
}

export function requireHub(options: Pick<AccessOptions, 'data' | 'url' | 'env'>): HubClient {
  const hub = runningHub(options)
  if (hub !== null) return hub
  const stale = readHubFile(options.data)
  const why =
    stale === null
      ? `no hub runs on ${options.data}`
      : `the hub of ${options.data} (process ${stale.pid}) has ended without a word`
  throw new SyncError(
    'hub.not-running',
    `${why}, and this command needs one. Start it with \`latchwork start --data ${options.data}\`, or name it with --url`,
    {
      place: { file: hubFilePath(options.data) },
    },
  )
}

export async function openAccess(options: AccessOptions): Promise<Access> {
  const hub = runningHub(options)
  if (hub !== null) return new HubAccess(hub)
  if (existsSync(statePath(options.data))) {
    const model = async () => (await options.definition())?.model ?? null
    return new FileAccess(openSqliteReader(statePath(options.data)), model)
  }
  const definition = await options.definition()
  if (definition === null || definition.store.kind === 'sqlite') {
    throw new SyncError(
      'hub.not-running',
      `no hub runs on ${options.data}, and there is no state in it. Start one with \`latchwork start\`, or name its folder with --data`,
    )
  }
  return new FileAccess(
    await openStorageReader(definition.store, options.data, options.env),
    async () => definition.model,
  )
}

/** Rows asked for at once. */
const PAGE = 500

class HubAccess implements Access {
  readonly from = 'hub'
  readonly #hub: HubClient

  constructor(hub: HubClient) {
    this.#hub = hub
  }

  status(): Promise<HubStatus> {
    return this.#hub.get('/api/status')
  }

  async *links(query: Omit<LinkQuery, 'max' | 'after'>, limit: number): AsyncIterable<readonly LinkRow[]> {
    let after: string | undefined
    for (let left = limit; left > 0; ) {
      const asked = {
        app: query.app,
        entity: query.entity,
        native_id: query.nativeId,
        after,
        limit: Math.min(PAGE, left),
      }
      const { items, next } = await this.#hub.get<{ items: readonly LinkRow[]; next: string | null }>(
        '/api/xref',
        asked,
      )
      yield items
      left -= items.length
      if (next === null) return
      after = next
    }
  }

  async *conflicts(entity: string | undefined, limit: number): AsyncIterable<readonly ConflictRow[]> {
    let before: number | undefined
    for (let left = limit; left > 0; ) {
      const asked = { entity, before, limit: Math.min(PAGE, left) }
      const { items, next } = await this.#hub.get<{ items: readonly ConflictRow[]; next: number | null }>(
        '/api/conflicts',
        asked,
      )
      yield items
      left -= items.length
      if (next === null) return
      before = next
    }
  }

  explain({ entity, app, nativeId }: RecordName): Promise<Explanation> {
    return this.#hub.get(`/api/explain/${[entity, app, nativeId].map(encodeURIComponent).join('/')}`)
  }

  latches(): Promise<Latches> {
    return this.#hub.get('/api/latches')
  }

  async brakes(): Promise<readonly BrakeState[]> {
    return (await this.#hub.get<{ items: readonly BrakeState[] }>('/api/brakes')).items
  }

  async candidates(entity: string | undefined): Promise<readonly CandidatePair[]> {
    return (await this.#hub.get<{ items: readonly CandidatePair[] }>('/api/candidates', { entity })).items
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

class FileAccess implements Access {
  readonly from = 'files'
  readonly #store: StoreReader
  readonly #model: () => Promise<HubModel | null>

  constructor(store: StoreReader, model: () => Promise<HubModel | null>) {
    this.#store = store
    this.#model = model
  }

  async status(): Promise<StoreStatus & { readonly running: false }> {
    return { running: false, ...(await storeStatus(this.#store)) }
  }

  async *links(query: Omit<LinkQuery, 'max' | 'after'>, limit: number): AsyncIterable<readonly LinkRow[]> {
    let after: LinkQuery['after']
    for (let left = limit; left > 0; ) {
      const max = Math.min(PAGE, left)
      const items = await this.#store.links({ ...query, max, ...(after === undefined ? {} : { after }) })
      yield items
      left -= items.length
      const last = items.at(-1)
      if (
        last === undefined ||
        items.length < max ||
        query.nativeId !== undefined ||
        refText(last) === (after && refText(after))
      )
        return
      after = last
    }
  }

  async *conflicts(entity: string | undefined, limit: number): AsyncIterable<readonly ConflictRow[]> {
    let before: number | undefined
    for (let left = limit; left > 0; ) {
      const max = Math.min(PAGE, left)
      const items = await this.#store.conflicts({
        max,
        ...(entity === undefined ? {} : { entity: entity as Conflict['entity'] }),
        ...(before === undefined ? {} : { before }),
      })
      yield items
      left -= items.length
      if (items.length < max) return
      before = items.at(-1)?.id
    }
  }

  async explain(name: RecordName): Promise<Explanation> {
    return explain(this.#store, name, await this.#model())
  }

  latches(): Promise<Latches> {
    return latchesOf(this.#store, systemClock.nowMs())
  }

  brakes(): Promise<readonly BrakeState[]> {
    return brakesOf(this.#store)
  }

  candidates(entity: string | undefined): Promise<readonly CandidatePair[]> {
    return candidatesOf(this.#store, entity)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#store.close()
  }
}

import type { JournalEntry } from '../../model/change.ts'
import type { AppId, CanonicalKey, FeedPosition, JournalPosition } from '../../model/ids.ts'
import type { HeadCell, RecordState } from '../../model/record.ts'
import type { Path } from '../../model/value.ts'
import type { Journal, JournalAppend } from '../../ports/journal.ts'
import type { CommitBatch, Loaded, LoadQuery, RecordWrite, Store, StoreInfo } from '../../ports/store.ts'
import type { Disk } from './disk.ts'
import type { World } from './world.ts'

/** The store of one process of the hub: the shared one behind a disk that takes time and may be left in the middle; what it commits is noted for the checkers. */
export class ObservedStore implements Store {
  readonly #inner: Store
  readonly #disk: Disk
  readonly #world: World

  constructor(inner: Store, disk: Disk, world: World) {
    this.#inner = inner
    this.#disk = disk
    this.#world = world
  }

  open(): Promise<StoreInfo> {
    return this.#disk.read(() => this.#inner.open())
  }

  load(query: LoadQuery): Promise<Loaded> {
    return this.#disk.read(() => this.#inner.load(query))
  }

  commit(batch: CommitBatch): Promise<void> {
    return this.#disk.write('commit', async () => {
      await this.#inner.commit(batch)
      for (const write of batch.records) this.#note(write)
      for (const conflict of batch.conflicts) this.#world.history.logged.push({ seq: this.#world.nextSeq(), conflict })
    })
  }

  cursor(consumer: string): Promise<JournalPosition> {
    return this.#disk.read(() => this.#inner.cursor(consumer))
  }

  openLanes(after: Parameters<Store['openLanes']>[0], max: number): ReturnType<Store['openLanes']> {
    return this.#disk.read(() => this.#inner.openLanes(after, max))
  }

  held(after: JournalPosition, max: number): ReturnType<Store['held']> {
    return this.#disk.read(() => this.#inner.held(after, max))
  }

  links(query: Parameters<Store['links']>[0]): ReturnType<Store['links']> {
    return this.#disk.read(() => this.#inner.links(query))
  }

  conflicts(query: Parameters<Store['conflicts']>[0]): ReturnType<Store['conflicts']> {
    return this.#disk.read(() => this.#inner.conflicts(query))
  }

  notes(kind: string, max: number): ReturnType<Store['notes']> {
    return this.#disk.read(() => this.#inner.notes(kind, max))
  }

  verdicts(key: CanonicalKey): ReturnType<Store['verdicts']> {
    return this.#disk.read(() => this.#inner.verdicts(key))
  }

  counts(): ReturnType<Store['counts']> {
    return this.#disk.read(() => this.#inner.counts())
  }

  async close(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}

  #note({ state, verdicts }: RecordWrite): void {
    if (this.#world.trace.isOn) {
      for (const { app, verdict, text } of verdicts.toReversed())
        this.#world.say('hub', `${state.key} ${app} ${verdict}: ${text}`)
    }
    const before = this.#world.stored.get(state.key)
    this.#world.stored.set(state.key, state)
    this.#checkRev(before, state)
    if (before?.head === state.head) return
    for (const path in state.head) this.#noteCell(state.key, path, before?.head[path], state.head[path] as HeadCell)
  }

  #noteCell(key: CanonicalKey, path: Path, before: HeadCell | undefined, now: HeadCell): void {
    if (before === now || (before !== undefined && before.value === now.value)) return
    this.#world.history.heads.push({ seq: this.#world.nextSeq(), app: now.origin.app, key, path, value: now.value })
    if (this.#world.trace.isOn) this.#world.say('hub', `head of ${key}: ${path} = ${JSON.stringify(now.value)}`)
  }

  #checkRev(before: RecordState | undefined, now: RecordState): void {
    if (before !== undefined && now.rev !== before.rev + 1) {
      this.#world.fail('rev', `${now.key} went from rev ${before.rev} to ${now.rev}`)
    }
  }
}

/** The journal of one process of the hub, likewise. */
export class ObservedJournal implements Journal {
  readonly #inner: Journal
  readonly #disk: Disk

  constructor(inner: Journal, disk: Disk) {
    this.#inner = inner
    this.#disk = disk
  }

  append(batch: JournalAppend): Promise<readonly (JournalPosition | null)[]> {
    return this.#disk.write('append', () => this.#inner.append(batch))
  }

  read(after: JournalPosition, max: number): Promise<readonly JournalEntry[]> {
    return this.#disk.read(() => this.#inner.read(after, max))
  }

  last(): JournalPosition {
    return this.#inner.last()
  }

  feed(app: AppId, feed: string): Promise<FeedPosition | null> {
    return this.#disk.read(() => this.#inner.feed(app, feed))
  }

  drop(through: JournalPosition, beforeMs: number): Promise<number> {
    return this.#disk.read(() => this.#inner.drop(through, beforeMs))
  }

  async close(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}
}

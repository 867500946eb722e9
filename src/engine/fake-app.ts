import type { Change, Outcome, ReadImage } from '../model/change.ts'
import type { HubModel } from '../model/entity.ts'
import { asAppId, asFeedPosition, asNativeId, asObjectId, asToken, type OpId } from '../model/ids.ts'
import type { NativeRecord } from '../model/value.ts'
import type { Connector, WriteOp } from '../ports/app.ts'

type Row = Record<string, unknown> & { id: string; rev: number; ext?: string }

/** A class A application in memory, for the engine's own tests: revision, condition, idempotency key, correlation id, notifications of every write. */
export class FakeApp {
  readonly name: string
  readonly #prefix: string
  readonly #trim: boolean
  readonly #unique: string | null
  readonly #tables = new Map<string, Map<string, Row>>()
  readonly #replies = new Map<OpId, Outcome>()
  #rev = 0
  #ids = 0
  #pending = 0
  hubWrites = 0
  isDown = false
  holdReplies = false
  #held: (() => void)[] = []
  notify: (changes: readonly Change[]) => Promise<unknown> = async () => {}

  constructor(name: string, prefix: string, options: { readonly trim?: boolean; readonly unique?: string } = {}) {
    this.name = name
    this.#prefix = prefix
    this.#trim = options.trim ?? false
    this.#unique = options.unique ?? null
  }

  /** Replies that were held go out, and no more are held. */
  releaseReplies(): void {
    this.holdReplies = false
    for (const reply of this.#held.splice(0)) reply()
  }

  get isQuiet(): boolean {
    return this.#pending === 0
  }

  #table(object: string): Map<string, Row> {
    let table = this.#tables.get(object)
    if (table === undefined) this.#tables.set(object, (table = new Map()))
    return table
  }

  list(object: string): Row[] {
    return [...this.#table(object).values()]
  }

  get(object: string, id: string): Row | undefined {
    return this.#table(object).get(id)
  }

  create(object: string, values: Record<string, unknown>): string {
    const id = this.#prefix + ++this.#ids
    this.#put(object, { ...values, id, rev: 0 })
    return id
  }

  edit(object: string, id: string, values: Record<string, unknown>): void {
    this.#put(object, { ...(this.#table(object).get(id) as Row), ...values })
  }

  remove(object: string, id: string): void {
    this.#table(object).delete(id)
    this.#tell({
      app: asAppId(this.name),
      object: asObjectId(object),
      nativeId: asNativeId(id),
      kind: 'deleted',
      token: asToken(String(++this.#rev)),
    })
  }

  #put(object: string, row: Row): Row {
    const stored: Row = { ...row, rev: ++this.#rev }
    if (this.#trim)
      for (const [name, value] of Object.entries(stored)) if (typeof value === 'string') stored[name] = value.trim()
    this.#table(object).set(row.id, stored)
    this.#tell({
      app: asAppId(this.name),
      object: asObjectId(object),
      nativeId: asNativeId(row.id),
      kind: 'image',
      record: structuredClone(stored) as NativeRecord,
      token: asToken(String(stored.rev)),
      ...(stored.ext === undefined ? {} : { correlationId: stored.ext }),
    })
    return stored
  }

  #tell(change: Change): void {
    this.#pending++
    setImmediate(() => {
      this.notify([change]).then(
        () => {
          this.#pending--
        },
        () => {
          this.#pending--
          setTimeout(() => this.#tell(change), 5)
        },
      )
    })
  }

  connector(model: HubModel): Connector {
    const binding = [...model.entities.values()]
      .flatMap((entity) => [...entity.bindings.values()])
      .find((one) => one.app === this.name)
    if (binding === undefined) throw new Error(`${this.name} is not in the config`)
    const app = asAppId(this.name)
    const nothing = async (): Promise<void> => {}
    return {
      app,
      capabilities: () => binding.capabilities,
      source: {
        app,
        listens: [],
        feeds: [],
        accept: () => {
          throw new Error('not used')
        },
        read: async () => {
          throw new Error('not used')
        },
        confirm: nothing,
        readRecords: async (requests) => requests.map(({ object, nativeId }) => this.#read(object, nativeId)),
        findByCorrelation: async (requests) =>
          requests.map(({ object, correlationId }) => {
            const row = this.list(object).find((one) => one.ext === correlationId)
            return row === undefined
              ? { app, object, nativeId: asNativeId(''), result: 'missing' as const }
              : this.#read(object, row.id)
          }),
        scan: async (object, after, max) => {
          const ids = [...this.#table(object).keys()].sort().filter((id) => after === null || id > after)
          const page = ids.slice(0, max)
          const last = page.at(-1)
          return {
            records: page.map((id) => this.#read(object, id)),
            position: last === undefined || ids.length <= max ? null : asFeedPosition(last),
          }
        },
        close: nothing,
        [Symbol.asyncDispose]: nothing,
      },
      target: {
        app,
        write: async (ops) => Promise.all(ops.map((op) => this.#write(op))),
        close: nothing,
        [Symbol.asyncDispose]: nothing,
      },
    }
  }

  #read(object: string, id: string): ReadImage {
    const app = asAppId(this.name)
    const row = this.#table(object).get(id)
    const ref = { app, object: asObjectId(object), nativeId: asNativeId(id) }
    if (row === undefined) return { ...ref, result: 'missing' }
    return {
      ...ref,
      result: 'found',
      record: structuredClone(row) as NativeRecord,
      token: asToken(String(row.rev)),
      ...(row.ext === undefined ? {} : { correlationId: row.ext }),
    }
  }

  async #write(op: WriteOp): Promise<Outcome> {
    await new Promise((resolve) => setImmediate(resolve))
    if (this.isDown)
      return {
        op: op.op,
        result: 'refused',
        handling: 'retry',
        code: 'target.unreachable',
        message: 'connection refused',
      }
    const outcome = this.#replies.get(op.op) ?? this.#apply(op)
    if (outcome.result === 'applied') this.#replies.set(op.op, outcome)
    if (this.holdReplies) await new Promise<void>((resolve) => this.#held.push(resolve))
    return outcome
  }

  #apply(op: WriteOp): Outcome {
    const table = this.#table(op.object)
    const row = op.nativeId === null ? undefined : table.get(op.nativeId)
    if (op.kind !== 'create' && row === undefined) return { op: op.op, result: 'gone' }
    if (row !== undefined && op.baseToken !== null && String(row.rev) !== op.baseToken)
      return { op: op.op, result: 'conflict' }
    const unique = this.#unique === null ? undefined : op.patch[this.#unique]
    if (
      unique !== undefined &&
      this.list(op.object).some(
        (other) =>
          other.id !== op.nativeId &&
          String(other[this.#unique as string]).toLowerCase() === String(unique).toLowerCase(),
      )
    ) {
      return {
        op: op.op,
        result: 'refused',
        handling: 'park',
        code: 'target.duplicate',
        message: `${this.#unique} is taken`,
      }
    }
    this.hubWrites++
    if (op.kind === 'delete') {
      this.remove(op.object, (row as Row).id)
      return { op: op.op, result: 'applied' }
    }
    const base = row ?? { id: this.#prefix + ++this.#ids, rev: 0, ext: op.correlationId }
    const stored = this.#put(op.object, { ...base, ...(op.patch as Record<string, unknown>) } as Row)
    return {
      op: op.op,
      result: 'applied',
      nativeId: asNativeId(stored.id),
      token: asToken(String(stored.rev)),
      record: structuredClone(stored) as NativeRecord,
    }
  }
}

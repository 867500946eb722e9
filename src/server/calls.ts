import { type ErrorCode, SyncError } from '../errors/index.ts'
import type { Outcome, ReadImage } from '../model/change.ts'
import type { RecordCalls } from '../model/flow.ts'
import {
  type AppId,
  asCorrelationId,
  asNativeId,
  asOpId,
  type NativeId,
  type ObjectId,
  type Token,
} from '../model/ids.ts'
import type { NativeRecord } from '../model/value.ts'
import type { Connector, WriteOp } from '../ports/app.ts'

/** One call of a flow to an application may take so long, whatever its own time limit. */
const CALL_MS = 10_000
/** A write that met another one in between is based on the newer record and tried again so often. */
const CONFLICTS_MAX = 4

/** Reads and writes of flows: one record at a time through the same ports as the sync, at most as many at once as the application takes. */
export class AppCalls {
  readonly #connectors: ReadonlyMap<AppId, Connector>
  readonly #slots = new Map<AppId, { free: number; readonly waiting: (() => void)[] }>()

  constructor(connectors: ReadonlyMap<AppId, Connector>) {
    this.#connectors = connectors
  }

  of(app: AppId, object: ObjectId, nextOp: () => string, signal: AbortSignal): RecordCalls {
    const connector = this.#connectorOf(app)
    const write = (op: Omit<WriteOp, 'object' | 'resend'>): Promise<Outcome> =>
      this.#write(connector, { ...op, object, resend: false }, signal)
    return {
      read: async (id) => (await this.read(app, object, id, signal)).record ?? null,
      create: async (record) => {
        const op = nextOp()
        const outcome = await write({
          ...blank(op),
          kind: 'create',
          nativeId: null,
          patch: plain(record),
          full: plain(record),
        })
        if (outcome.result !== 'applied' || outcome.nativeId === undefined)
          throw refused(app, object, outcome, 'create')
        return { id: outcome.nativeId, record: outcome.record ?? null }
      },
      update: async (id, patch) => {
        const op = nextOp()
        for (let tries = 1; ; tries++) {
          const base = await this.#baseOf(connector, object, id, signal)
          const full = { ...base.record, ...plain(patch) }
          const outcome = await write({
            ...blank(tries === 1 ? op : `${op}~${tries}`),
            kind: 'update',
            nativeId: asNativeId(id),
            patch: plain(patch),
            full,
            baseToken: base.token,
          })
          if (outcome.result === 'applied') return { record: outcome.record ?? null }
          if (outcome.result !== 'conflict' || tries >= CONFLICTS_MAX)
            throw refused(app, object, outcome, `update of ${id}`)
        }
      },
      delete: async (id) => {
        const op = nextOp()
        const base = await this.read(app, object, id, signal)
        if (base.result === 'missing') return
        const outcome = await write({
          ...blank(op),
          kind: 'delete',
          nativeId: asNativeId(id),
          patch: {},
          full: {},
          baseToken: base.token ?? null,
        })
        if (outcome.result !== 'applied' && outcome.result !== 'gone')
          throw refused(app, object, outcome, `delete of ${id}`)
      },
    }
  }

  /** Found or missing; a failed read rejects. */
  async read(app: AppId, object: ObjectId, id: string, signal: AbortSignal): Promise<ReadImage> {
    const { source } = this.#connectorOf(app)
    const release = await this.#slot(app, object)
    try {
      const [image] = await source.readRecords([{ object, nativeId: asNativeId(id) }], signal)
      if (image !== undefined && image.result !== 'failed') return image
      throw new SyncError(
        'flow.call-failed',
        `${app}: ${object} ${id} could not be read: ${image?.message ?? 'no answer'}`,
        {
          place: { app, object, nativeId: id },
          ...(image?.retryAfterMs === undefined ? {} : { retryAfterMs: image.retryAfterMs }),
        },
      )
    } finally {
      release()
    }
  }

  /** What an update is based on. Where records cannot be read, on nothing. */
  async #baseOf(
    connector: Connector,
    object: ObjectId,
    id: string,
    signal: AbortSignal,
  ): Promise<{ readonly record: NativeRecord; readonly token: Token | null }> {
    if (connector.capabilities(object).read === 'R0') return { record: {}, token: null }
    const image = await this.read(connector.app, object, id, signal)
    if (image.result === 'found') return { record: image.record ?? {}, token: image.token ?? null }
    throw new SyncError('flow.record-missing', `${connector.app} has no ${object} ${id}, which a flow is to change.`, {
      place: { app: connector.app, object, nativeId: id },
    })
  }

  async #write(connector: Connector, op: WriteOp, signal: AbortSignal): Promise<Outcome> {
    const release = await this.#slot(connector.app, op.object)
    try {
      const [outcome] = await connector.target.write([op], CALL_MS, signal)
      if (outcome === undefined) return { op: op.op, result: 'unknown', code: 'target.unknown', message: 'no outcome' }
      // The same again under the same key is safe where the application honours it, and settles the doubt.
      const { idempotency } = connector.capabilities(op.object)
      const isSafe = idempotency === 'all' || (idempotency === 'create' && op.kind === 'create')
      if (outcome.result !== 'unknown' || !isSafe || signal.aborted) return outcome
      const [again] = await connector.target.write([{ ...op, resend: true }], CALL_MS, signal)
      return again ?? outcome
    } finally {
      release()
    }
  }

  async #slot(app: AppId, object: ObjectId): Promise<() => void> {
    let slots = this.#slots.get(app)
    if (slots === undefined) {
      slots = { free: this.#connectorOf(app).capabilities(object).concurrency, waiting: [] }
      this.#slots.set(app, slots)
    }
    const { waiting } = slots
    if (slots.free > 0) slots.free--
    else await new Promise<void>((resolve) => waiting.push(resolve))
    return () => {
      const next = waiting.shift()
      if (next === undefined) (slots as { free: number }).free++
      else next()
    }
  }

  #connectorOf(app: AppId): Connector {
    const connector = this.#connectors.get(app)
    if (connector === undefined) throw new SyncError('internal.bug', `a flow calls ${app}, which the hub does not have`)
    return connector
  }
}

const blank = (op: string): Pick<WriteOp, 'op' | 'baseToken' | 'baseValues' | 'correlationId'> => ({
  op: asOpId(op),
  baseToken: null,
  baseValues: {},
  correlationId: asCorrelationId(op),
})

const plain = (record: object): NativeRecord => record as NativeRecord

function refused(app: AppId, object: ObjectId, outcome: Outcome, what: string): SyncError {
  const { result, code, message = '', retryAfterMs } = outcome
  const known: ErrorCode =
    result === 'conflict' || result === 'gone'
      ? 'flow.call-failed'
      : ((code as ErrorCode | undefined) ?? (result === 'unknown' ? 'target.unknown' : 'flow.call-failed'))
  const nativeId: NativeId | undefined = outcome.nativeId
  return new SyncError(known, `${app}: ${what} ${object} ${result}: ${message || 'no reason given'}`, {
    place: { app, object, ...(nativeId === undefined ? {} : { nativeId }) },
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  })
}

/**
 * Every write of the application. One write is one transaction: the record, its line in the write log, its event in the outbox
 * and the reply kept for its idempotency key are all committed, or none is. `node:sqlite` is synchronous, so writes never interleave.
 */

import { randomUUID } from 'node:crypto'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { AppDescription, Id, ObjectDescription, Row, Scalar, SeedRecord } from './description.ts'
import type { Body } from './fields.ts'
import { parseGiven, parseNew } from './fields.ts'
import type { OutboxEvent } from './outbox.ts'
import { Outbox } from './outbox.ts'
import type { AppStore, Reply, StoredRow, WriteContext } from './port.ts'
import { RequestProblem } from './problem.ts'
import { checkReferences, checkUnique } from './rules.ts'
import { openDatabase } from './schema.ts'
import { Table } from './table.ts'

/** As long as a client may wait before it resends a request under the same key. */
const idempotencyKeptMs = 24 * 60 * 60 * 1000
const idempotencyPurgeIntervalMs = 60 * 60 * 1000

type Operation = 'create' | 'update' | 'delete'
type Change = {
  readonly op: Operation
  readonly id: Id
  readonly baseRev: number | null
  readonly rev: number
  readonly before: Row | null
  readonly after: Row | null
  readonly changed: boolean
}
type LogColumns = { before_json: string | null; after_json: string | null; [name: string]: Scalar }

export type StoreOptions = { readonly legacy: boolean; readonly hasWebhook: boolean }

export class Store implements AppStore {
  readonly app: AppDescription
  readonly legacy: boolean
  readonly outbox: Outbox
  readonly #db: DatabaseSync
  readonly #hasWebhook: boolean
  readonly #tables = new Map<string, Table>()
  readonly #listeners: ((event: OutboxEvent | null) => void)[] = []
  readonly #begin: StatementSync
  readonly #commit: StatementSync
  readonly #rollback: StatementSync
  readonly #appendLog: StatementSync
  readonly #readLog: StatementSync
  readonly #findReply: StatementSync
  readonly #keepReply: StatementSync
  readonly #dropReplies: StatementSync
  readonly #purgeTimer: NodeJS.Timeout
  /** The revision of the newest change. One counter for all objects: strictly rising for each record, also over its deletion. */
  #rev: number

  constructor(file: string, app: AppDescription, options: StoreOptions) {
    const db = openDatabase(file, app)
    this.app = app
    this.#db = db
    this.legacy = options.legacy
    this.#hasWebhook = options.hasWebhook
    this.outbox = new Outbox(db)
    for (const object of app.objects) this.#tables.set(object.name, new Table(db, app, object))
    this.#begin = db.prepare('BEGIN IMMEDIATE')
    this.#commit = db.prepare('COMMIT')
    this.#rollback = db.prepare('ROLLBACK')
    this.#appendLog = db.prepare(
      `INSERT INTO write_log (at_ms, actor, object, id, op, base_rev, rev, before_json, after_json, changed, client_tag)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    this.#readLog = db.prepare('SELECT * FROM write_log WHERE seq > ? ORDER BY seq LIMIT ?')
    this.#findReply = db.prepare('SELECT fingerprint, status, body, rev, location FROM idempotency WHERE key = ?')
    this.#keepReply = db.prepare(
      'INSERT INTO idempotency (key, fingerprint, at_ms, status, body, rev, location) VALUES (?, ?, ?, ?, ?, ?, ?)',
    )
    this.#dropReplies = db.prepare('DELETE FROM idempotency WHERE at_ms < ?')
    this.#rev = (db.prepare('SELECT coalesce(max(rev), 0) AS rev FROM write_log').get() as { rev: number }).rev
    this.#purgeReplies()
    this.#purgeTimer = setInterval(() => this.#purgeReplies(), idempotencyPurgeIntervalMs).unref()
  }

  get rev(): number {
    return this.#rev
  }

  table(name: string): Table | undefined {
    return this.#tables.get(name)
  }

  /** Called after each commit that changed a record, with its event if the application has a webhook. */
  onChange(listener: (event: OutboxEvent | null) => void): void {
    this.#listeners.push(listener)
  }

  create(object: ObjectDescription, body: Body, context: WriteContext): Reply {
    return this.#write(object, context, () => this.#create(object, body, context.actor))
  }

  modify(object: ObjectDescription, id: Id, body: Body, whole: boolean, context: WriteContext): Reply {
    return this.#write(object, context, () => this.#modify(object, id, body, whole, context))
  }

  delete(object: ObjectDescription, id: Id, context: WriteContext): Reply {
    return this.#write(object, context, () => this.#delete(object, id, context))
  }

  live(object: ObjectDescription, id: Id): StoredRow {
    const stored = this.#tables.get(object.name)!.get(id)
    if (!stored) throw new RequestProblem(404, 'not-found', `There is no ${object.one} ${id}.`)
    if (stored.deleted) throw new RequestProblem(410, 'gone', `The ${object.one} ${id} has been deleted.`)
    return stored
  }

  seed(records: readonly SeedRecord[]): void {
    this.#begin.run()
    try {
      for (const { object: name, body } of records) {
        const { object } = this.#tables.get(name)!
        this.#log(object, this.#create(object, body, 'seed'), 'seed', null, Date.now())
      }
      this.#commit.run()
    } catch (error) {
      this.#rollback.run()
      throw error
    }
  }

  logJson(afterSeq: number, limit: number): string {
    const entries = this.#readLog.all(afterSeq, limit) as LogColumns[]
    const items = entries.map(({ before_json, after_json, ...columns }) => {
      return `${JSON.stringify(columns).slice(0, -1)},"before":${before_json ?? 'null'},"after":${after_json ?? 'null'}}`
    })
    return `{"items":[${items.join(',')}],"next":${entries.at(-1)?.seq ?? afterSeq}}`
  }

  /** The row as callers see it: a legacy application shows neither revision nor external reference. */
  visible(row: Row): Row {
    if (!this.legacy) return row
    const { [this.app.names.rev]: _rev, [this.app.names.extRef]: _extRef, ...rest } = row
    return rest
  }

  webhooksPending(): number {
    return this.outbox.count()
  }

  close(): void {
    clearInterval(this.#purgeTimer)
    this.#db.close()
  }

  #write(object: ObjectDescription, context: WriteContext, apply: () => Change): Reply {
    this.#begin.run()
    let reply: Reply
    let event: OutboxEvent | null = null
    let changed = false
    try {
      const earlier = this.#earlierReply(context)
      if (earlier) {
        this.#rollback.run()
        return earlier
      }
      const atMs = Date.now()
      const change = apply()
      changed = change.changed
      this.#log(object, change, context.actor, context.clientTag, atMs)
      if (changed && this.#hasWebhook) event = this.#emit(object, change, atMs)
      reply = this.#reply(object, change)
      if (context.idempotencyKey !== null) {
        const { status, body, rev, location } = reply
        this.#keepReply.run(context.idempotencyKey, context.fingerprint, atMs, status, body, rev, location)
      }
      this.#commit.run()
    } catch (error) {
      if (this.#db.isTransaction) this.#rollback.run()
      throw error
    }
    if (changed) for (const listener of this.#listeners) listener(event)
    return reply
  }

  #earlierReply({ idempotencyKey, fingerprint }: WriteContext): Reply | null {
    if (idempotencyKey === null) return null
    const kept = this.#findReply.get(idempotencyKey) as (Omit<Reply, 'replayed'> & { fingerprint: string }) | undefined
    if (!kept) return null
    if (kept.fingerprint !== fingerprint) {
      throw new RequestProblem(422, 'idempotency-key-reused', 'This Idempotency-Key came with another request before.')
    }
    return { status: kept.status, body: kept.body, rev: kept.rev, location: kept.location, replayed: true }
  }

  #create(object: ObjectDescription, body: Body, actor: string): Change {
    const { rev: revName, changedAt, extRef } = this.app.names
    const table = this.#tables.get(object.name)!
    const now = new Date().toISOString()
    const fields = parseNew(object, body, { app: this.app, now })
    const extRefValue = this.legacy ? null : ((fields[extRef] ?? null) as Scalar)
    checkUnique(this.app, table, { ...fields, [extRef]: extRefValue }, null)
    checkReferences(this.#tables, object, fields)
    const sequence = table.nextSequence()
    const id = object.idFromSequence(sequence)
    const rev = ++this.#rev
    const after: Row = {
      [object.idField]: id,
      ...this.#ordered(object, fields),
      [revName]: rev,
      [changedAt]: now,
      [extRef]: extRefValue,
    }
    table.insert(after, sequence, actor)
    return { op: 'create', id, baseRev: null, rev, before: null, after, changed: true }
  }

  #modify(object: ObjectDescription, id: Id, body: Body, whole: boolean, context: WriteContext): Change {
    const { rev: revName, changedAt, extRef } = this.app.names
    const table = this.#tables.get(object.name)!
    const stored = this.live(object, id)
    this.#checkCondition(stored, context)
    const before = stored.row
    const now = new Date().toISOString()
    const given = whole
      ? parseNew(object, body, { app: this.app, now })
      : parseGiven(object, body, { app: this.app, now })
    if (this.legacy) delete given[extRef]
    const changedFields: Row = {}
    for (const name of Object.keys(given)) if (!isEqual(given[name]!, before[name]!)) changedFields[name] = given[name]!
    if (Object.keys(changedFields).length === 0) {
      return { op: 'update', id, baseRev: stored.rev, rev: stored.rev, before, after: before, changed: false }
    }
    checkUnique(this.app, table, changedFields, id)
    checkReferences(this.#tables, object, changedFields)
    const rev = ++this.#rev
    const after: Row = { ...before, ...changedFields, [revName]: rev, [changedAt]: now }
    table.update(after, context.actor, object.lines !== undefined && object.lines.name in changedFields)
    return { op: 'update', id, baseRev: stored.rev, rev, before, after, changed: true }
  }

  #delete(object: ObjectDescription, id: Id, context: WriteContext): Change {
    const table = this.#tables.get(object.name)!
    const stored = this.live(object, id)
    this.#checkCondition(stored, context)
    if (table.isReferenced(id))
      throw new RequestProblem(409, 'referenced', `Other records refer to the ${object.one} ${id}.`)
    const rev = ++this.#rev
    table.delete(id, rev, new Date().toISOString(), context.actor)
    return { op: 'delete', id, baseRev: stored.rev, rev, before: stored.row, after: null, changed: true }
  }

  #checkCondition(stored: StoredRow, { ifMatch }: WriteContext): void {
    if (this.legacy || ifMatch === null || ifMatch === 'any' || ifMatch.includes(stored.rev)) return
    const detail = `The record has changed since; it is at revision ${stored.rev} now.`
    throw new RequestProblem(412, 'stale', detail, {}, { etag: `"${stored.rev}"` })
  }

  #log(object: ObjectDescription, change: Change, actor: string, clientTag: string | null, atMs: number): void {
    const { id, op, baseRev, rev, before, after, changed } = change
    const beforeJson = before && JSON.stringify(before)
    const afterJson = after === before ? beforeJson : after && JSON.stringify(after)
    this.#appendLog.run(
      atMs,
      actor,
      object.name,
      id,
      op,
      baseRev,
      rev,
      beforeJson,
      afterJson,
      changed ? 1 : 0,
      clientTag,
    )
  }

  #emit(object: ObjectDescription, change: Change, atMs: number): OutboxEvent {
    const eventId = randomUUID()
    const event = `${object.one}.${change.op}d`
    const body = this.legacy
      ? { event, event_id: eventId, data: { [object.idField]: change.id } }
      : {
          event,
          event_id: eventId,
          occurred_at: new Date(atMs).toISOString(),
          data: change.after ?? this.tombstone(object, change.before!, change.rev),
        }
    return this.outbox.append(object.name, String(change.id), eventId, JSON.stringify(body))
  }

  /** What is told of a deleted record. */
  tombstone(object: ObjectDescription, row: Row, revision: number): Row & { deleted: true } {
    const { rev, extRef } = this.app.names
    const tombstone = {
      [object.idField]: row[object.idField]!,
      [rev]: revision,
      [extRef]: row[extRef]!,
      deleted: true as const,
    }
    return this.visible(tombstone as unknown as Row) as Row & { deleted: true }
  }

  #reply(object: ObjectDescription, change: Change): Reply {
    const rev = this.legacy ? null : change.rev
    if (change.after === null) return { status: 204, body: '', rev: null, location: null, replayed: false }
    const body = JSON.stringify(this.visible(change.after))
    if (change.op === 'create')
      return { status: 201, body, rev, location: `/${object.name}/${change.id}`, replayed: false }
    return { status: 200, body, rev, location: null, replayed: false }
  }

  /** Fields in the order of the description, however the body ordered them. */
  #ordered(object: ObjectDescription, fields: Row): Row {
    const row: Row = {}
    for (const { name } of object.fields) row[name] = fields[name]!
    if (object.lines) row[object.lines.name] = fields[object.lines.name]!
    return row
  }

  #purgeReplies(): void {
    this.#dropReplies.run(Date.now() - idempotencyKeptMs)
  }
}

function isEqual(a: Row[string], b: Row[string]): boolean {
  return a === b || (typeof a === 'object' && JSON.stringify(a) === JSON.stringify(b))
}

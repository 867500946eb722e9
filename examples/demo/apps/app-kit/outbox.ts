/** Events that are committed and not yet acknowledged by the receiver. */

import type { DatabaseSync, StatementSync } from 'node:sqlite'

export type OutboxEvent = {
  readonly seq: number
  readonly object: string
  /** The record's id as text; events of one record are sent one after the other. */
  readonly record: string
  readonly eventId: string
  readonly body: string
}

export class Outbox {
  readonly #append: StatementSync
  readonly #read: StatementSync
  readonly #remove: StatementSync
  readonly #count: StatementSync
  readonly #db: DatabaseSync

  constructor(db: DatabaseSync) {
    this.#db = db
    this.#append = db.prepare('INSERT INTO outbox (object, record, event_id, body) VALUES (?, ?, ?, ?)')
    this.#read = db.prepare(
      'SELECT seq, object, record, event_id AS eventId, body FROM outbox WHERE seq > ? ORDER BY seq LIMIT ?',
    )
    this.#count = db.prepare('SELECT count(*) AS count FROM outbox')
    this.#remove = db.prepare('DELETE FROM outbox WHERE seq = ?')
  }

  /** To be called inside the transaction of the change that it tells of. */
  append(object: string, record: string, eventId: string, body: string): OutboxEvent {
    const { lastInsertRowid } = this.#append.run(object, record, eventId, body)
    return { seq: Number(lastInsertRowid), object, record, eventId, body }
  }

  readAfter(seq: number, limit: number): OutboxEvent[] {
    return this.#read.all(seq, limit) as OutboxEvent[]
  }

  count(): number {
    return (this.#count.get() as { count: number }).count
  }

  remove(seqs: readonly number[]): void {
    this.#db.exec('BEGIN IMMEDIATE')
    for (const seq of seqs) this.#remove.run(seq)
    this.#db.exec('COMMIT')
  }
}

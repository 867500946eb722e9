import { parentPort, workerData } from 'node:worker_threads'
import { type CommitRows, writeRows } from './commit.ts'
import { openNodeSqlite } from './driver.ts'
import { toPortError } from './errors.ts'
import { type AppendRows, writeEntries } from './journal-rows.ts'
import { SEGMENT_PRAGMAS, STORE_PRAGMAS } from './schema.ts'
import { Statements } from './statements.ts'
import type { WriterAnswer, WriterJob, WriterKind } from './writer-thread.ts'

/** The thread of `writer-thread.ts`: one job at a time, in the order in which they come, on a connection of its own. It answers each when it is on the disk. */
class Writer {
  readonly #port: WriterKind
  #path = ''
  #sql: Statements | null = null

  constructor(port: WriterKind) {
    this.#port = port
  }

  write({ path, rows }: WriterJob<AppendRows | CommitRows>): WriterAnswer<unknown> {
    try {
      const sql = this.#open(path)
      return {
        result: sql.transaction(() =>
          this.#port === 'store' ? writeRows(sql, rows as CommitRows) : writeEntries(sql, rows as AppendRows),
        ),
      }
    } catch (error) {
      const { code, message, place } = toPortError(this.#port, path, error)
      return { error: { code, message, place } }
    }
  }

  /** A journal goes on in another file now and then. */
  #open(path: string): Statements {
    if (this.#sql !== null && this.#path === path) return this.#sql
    this.close()
    const database = openNodeSqlite(path, { readOnly: false })
    database.exec(this.#port === 'store' ? STORE_PRAGMAS : SEGMENT_PRAGMAS)
    this.#path = path
    this.#sql = new Statements(database)
    return this.#sql
  }

  close(): void {
    this.#sql?.database.close()
    this.#sql = null
  }
}

if (parentPort !== null) {
  const parent = parentPort
  const writer = new Writer((workerData as { readonly port: WriterKind }).port)
  parent.on('message', (job: WriterJob<AppendRows | CommitRows> | null) => {
    if (job !== null) {
      parent.postMessage(writer.write(job))
      return
    }
    writer.close()
    parent.close()
  })
  parent.postMessage('ready')
}

import { parentPort } from 'node:worker_threads'
import { type CheckpointAnswer, checkpoint } from './checkpointer.ts'
import { openNodeSqlite, type SqliteDriver } from './driver.ts'

/** The thread of `checkpointer.ts`: for each message it copies as much of the log into the file as can be copied without stopping anybody. */
if (parentPort !== null) {
  const parent = parentPort
  let database: SqliteDriver | null = null
  parent.on('message', (path: string | null) => {
    if (path === null) {
      database?.close()
      parent.close()
      return
    }
    let answer: CheckpointAnswer
    try {
      database ??= openNodeSqlite(path, { readOnly: false })
      answer = checkpoint(database)
    } catch (error) {
      answer = { error: error instanceof Error ? error.message : String(error) }
    }
    parent.postMessage(answer)
  })
}

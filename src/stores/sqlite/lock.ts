import { SyncError } from '../../errors/index.ts'
import type { OpenDriver } from './driver.ts'
import { isBusy, toPortError } from './errors.ts'

export interface FileLock {
  /** Idempotent. */
  release(): void
}

/**
 * Claims `<path>.lock` for this process: an open exclusive transaction on a small database of its own. The lock is the operating
 * system's, so it goes with the process however it ends, and it does not stand in the way of people who read the data file. Nothing is ever
 * written into the file.
 */
export function acquireLock(path: string, openDriver: OpenDriver): FileLock {
  const lockPath = path + '.lock'
  try {
    const database = openDriver(lockPath, { readOnly: false })
    try {
      database.exec('PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE')
    } catch (error) {
      database.close()
      throw error
    }
    let held = true
    return {
      release() {
        if (held) database.close()
        held = false
      },
    }
  } catch (error) {
    if (!isBusy(error)) throw toPortError('store', lockPath, error)
    throw new SyncError('store.in-use', `${path} is in use by another hub; stop it first, or use another folder`, {
      place: { path },
      cause: error,
    })
  }
}

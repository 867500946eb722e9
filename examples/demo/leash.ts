/**
 * Preloaded into every process of the demo (`node --import`): ends it when the one that started it is gone, however that ended. The far end of stdin
 * belongs to the parent; the system closes it even after a kill -9.
 */

import { isMainThread } from 'node:worker_threads'

/** A process that does not end when it is asked has this long. */
const GRACE_MS = 6_000

// A thread inherits what is preloaded, and has a stdin of its own that closes at once: only the process's counts.
if (isMainThread) {
  process.stdin.on('close', () => {
    setTimeout(() => process.exit(1), GRACE_MS).unref()
    process.kill(process.pid, 'SIGTERM')
  })
  process.stdin.on('error', () => {})
  process.stdin.resume()
  // Alone it is no reason to stay.
  ;(process.stdin as { unref?(): void }).unref?.()
}

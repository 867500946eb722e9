import { setFlagsFromString } from 'node:v8'
import { systemClock } from '../lib/system-clock.ts'
import type { LogLevel } from '../ports/clock.ts'
import type { RunningHub } from '../server/hub.ts'
import { createLog } from '../server/log.ts'
import { loadConfig } from './config-file.ts'
import { EXIT, exitCodeOf } from './exit-codes.ts'
import type { ProcessLike, Terminal } from './terminal.ts'

export interface StartOptions {
  readonly config: string
  readonly data: string
  readonly port?: number
  readonly host?: string
  readonly logLevel: LogLevel
}

/** A hub that has not stopped by now will not; better an unclean end than none. The next start recovers. */
const STOP_MAX_MS = 29_000

/**
 * How far the heap may grow between two collections, over what is alive. By itself V8 lets it grow to several times that on a machine with much memory: 750 MB for 110 MB in use during a first
 * contact. A collection takes some 20 ms off the main thread's way, so more of them cost nothing that could be measured (docs/benchmarks.md).
 */
const HEAP_GROWING_PERCENT = 30

/** Runs a hub until a signal ends it. */
export async function start(options: StartOptions, terminal: Terminal, process: ProcessLike): Promise<number> {
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWING_PERCENT}`)
  const colour = process.stderr.isTTY === true && !process.env.NO_COLOR
  const log = createLog(process.stderr, systemClock, options.logLevel, colour)
  const definition = await loadConfig(options.config)
  // After the config, so that a mistake in it is told at once.
  const { HOST_DEFAULT, PORT_DEFAULT, startHub } = await import('../server/hub.ts')
  const hub = await startHub({
    definition,
    dataDir: options.data,
    env: process.env,
    log,
    port: options.port ?? PORT_DEFAULT,
    host: options.host ?? HOST_DEFAULT,
  })
  const { url, port } = hub
  if (terminal.isJson)
    terminal.result({ ready: true, url, port, pid: globalThis.process.pid, data: options.data }, () => '')
  else terminal.note(`latchwork runs on ${url} with its data in ${options.data}. Ctrl-C stops it.`)
  // All is closed and written down by then; a timer that somebody forgot must not keep the process.
  process.exit(await untilStopped(hub, process, terminal))
}

function untilStopped(hub: RunningHub, process: ProcessLike, terminal: Terminal): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>()
  let isStopping = false
  const stop = (code: number): void => {
    // Asked twice: the person does not want to wait. Nothing is lost, the next start takes everything up.
    if (isStopping) process.exit(EXIT.failure)
    isStopping = true
    const tooLong = systemClock.timer(STOP_MAX_MS, () => process.exit(EXIT.failure))
    const end = (as: number): void => {
      tooLong.cancel()
      resolve(as)
    }
    hub.stop().then(
      () => end(code),
      (error: unknown) => end(exitCodeOf(terminal.error(error, false))),
    )
  }
  process.on('SIGTERM', () => stop(EXIT.ok))
  process.on('SIGINT', () => stop(EXIT.ok))
  void hub.failed.then((error) => stop(exitCodeOf(terminal.error(error, false))))
  return promise
}

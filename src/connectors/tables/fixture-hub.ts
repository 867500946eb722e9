import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { HubDefinition } from '../../config/define-hub.ts'
import { systemClock } from '../../lib/system-clock.ts'
import type { LogLevel } from '../../ports/clock.ts'
import { type RunningHub, startHub } from '../../server/hub.ts'

/** A real hub in a folder of its own, for tests of connectors end to end. */
export class HubUnderTest implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'latchwork-hub-'))
  readonly definition: HubDefinition
  readonly said: string[] = []
  #hub: RunningHub | null = null

  constructor(definition: HubDefinition) {
    this.definition = definition
  }

  get hub(): RunningHub {
    if (this.#hub === null) throw new Error('the hub is not running')
    return this.#hub
  }

  async start(): Promise<void> {
    const log = {
      log: (level: LogLevel, message: string) => void (level !== 'debug' && this.said.push(`${level} ${message}`)),
    }
    this.#hub = await startHub({ definition: this.definition, dataDir: this.folder, env: {}, log, port: 0 })
  }

  async stop(): Promise<void> {
    await this.#hub?.stop()
    this.#hub = null
  }

  /** As a crash: nothing more is decided, sent or written down from this moment; what is in memory is lost. */
  async crash(): Promise<void> {
    this.#hub?.engine.kill()
    await this.stop()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** Long enough for a loaded machine; a test that reaches it has failed. */
const PATIENCE_MS = 20_000

/** Waits until both sides are as wanted; fails with the difference. */
export async function eventually<T>(look: () => Promise<T> | T, wanted: T | (() => Promise<T> | T)): Promise<void> {
  const untilMs = systemClock.monotonicMs() + PATIENCE_MS
  for (;;) {
    const [found, want] = [await look(), typeof wanted === 'function' ? await (wanted as () => T)() : wanted]
    if (isDeepStrictEqual(found, want)) return
    if (systemClock.monotonicMs() > untilMs)
      throw new Error(`still not equal: ${JSON.stringify(found)} is not ${JSON.stringify(want)}`)
    await pause(10)
  }
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => systemClock.timer(ms, resolve))

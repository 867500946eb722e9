import type { Context } from 'hono'
import { streamSSE } from 'hono/streaming'
import type { EngineEvent } from '../engine/stats.ts'
import type { HubContext } from './hub.ts'

/** Events kept for a client that reads slowly: some seconds of a busy hub. Beyond it the oldest go, and the client is told how many. */
const BUFFER_MAX = 2_000
/** Below the idle time of proxies (60 s). */
const HEARTBEAT_MS = 15_000
/** Clients at once; each costs a buffer. */
const CLIENTS_MAX = 64

/** A bounded queue between the engine, which never waits, and one client, who may. */
export class EventBuffer {
  #events: EngineEvent[] = []
  #dropped = 0
  #wake: (() => void) | null = null

  push(events: readonly EngineEvent[]): void {
    this.#events.push(...events)
    const over = this.#events.length - BUFFER_MAX
    if (over > 0) {
      this.#events.splice(0, over)
      this.#dropped += over
    }
    this.wake()
  }

  /** What has come since the last time. */
  take(): { readonly events: readonly EngineEvent[]; readonly dropped: number } {
    const taken = { events: this.#events, dropped: this.#dropped }
    this.#events = []
    this.#dropped = 0
    return taken
  }

  wake(): void {
    this.#wake?.()
    this.#wake = null
  }

  /** Resolves when there is something to take, or when it is woken for another reason. */
  wait(): Promise<void> {
    if (this.#events.length > 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }
}

/** Server-sent events: every verdict of the engine from now on, as `event: verdict`. There is no history here; `explain` has it. */
export function createEventStream({
  engine,
  clock,
  stopping,
}: HubContext): (c: Context) => Response | Promise<Response> {
  let clients = 0
  return (c) => {
    if (clients >= CLIENTS_MAX) return c.text('too many event streams are open', 503, { 'retry-after': '5' })
    clients++
    return streamSSE(c, async (stream) => {
      const buffer = new EventBuffer()
      let isOver = stopping.aborted
      let heartbeat: { cancel(): void } | null = null
      const unsubscribe = engine.subscribe((events) => buffer.push(events))
      const end = (): void => {
        isOver = true
        buffer.wake()
      }
      const beat = (): void => {
        heartbeat = clock.timer(HEARTBEAT_MS, () => {
          void stream.write(': still here\n\n').then(beat, end)
        })
      }
      stopping.addEventListener('abort', end)
      stream.onAbort(end)
      try {
        await stream.write(': verdicts from now on\n\n')
        beat()
        while (!isOver) {
          await buffer.wait()
          const { events, dropped } = buffer.take()
          if (dropped > 0) await stream.writeSSE({ event: 'dropped', data: JSON.stringify({ dropped }) })
          // One write for all that has come: a busy hub makes thousands a second.
          if (events.length > 0)
            await stream.write(
              events.map((event) => `event: verdict\nid: ${event.seq}\ndata: ${JSON.stringify(event)}\n\n`).join(''),
            )
        }
      } finally {
        clients--
        unsubscribe()
        stopping.removeEventListener('abort', end)
        ;(heartbeat as { cancel(): void } | null)?.cancel()
      }
    })
  }
}

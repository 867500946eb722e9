/**
 * Sends the events of the outbox to the subscriber until each is acknowledged with a 2xx. Events of one record go one after the
 * other; records do not wait for each other. An event whose acknowledgement is lost is sent again, under the same id.
 */

import { createHmac } from 'node:crypto'
import { Pool } from 'undici'
import type { Outbox, OutboxEvent } from './outbox.ts'

const inFlightMax = 16
const backOffFirstMs = 100
const backOffMaxMs = 5_000
const requestTimeoutMs = 10_000
/** Events held in memory while the receiver is away; the rest waits in the outbox table. Some ten MB. */
const heldEventsMax = 10_000
/** Replies that speak of the receiver as a whole, not of the one event. */
const statusesOfReceiverDown: ReadonlySet<number> = new Set([429, 502, 503, 504])

type Lane = { readonly key: string; readonly events: OutboxEvent[]; failures: number }

export type WebhookOptions = { readonly url: string; readonly secret: string; readonly outbox: Outbox }

export class WebhookSender {
  readonly #outbox: Outbox
  readonly #secret: string
  readonly #pool: Pool
  readonly #pathPrefix: string
  readonly #pathSuffix: string
  readonly #lanes = new Map<string, Lane>()
  readonly #acknowledged: number[] = []
  readonly #timers = new Set<NodeJS.Timeout>()
  #ready: Lane[] = []
  #held = 0
  #lastSeq = 0
  /** Some events of the outbox are not in memory yet; until they are, new ones are left there too. */
  #hasMoreStored = true
  #inFlight = 0
  #isPaused = false
  #receiverFailures = 0
  #isStopped = false
  #onIdle: (() => void) | null = null

  constructor({ url, secret, outbox }: WebhookOptions) {
    const { origin, pathname, search } = new URL(url)
    this.#outbox = outbox
    this.#secret = secret
    this.#pathPrefix = pathname.replace(/\/$/, '')
    this.#pathSuffix = search
    this.#pool = new Pool(origin, {
      connections: inFlightMax,
      headersTimeout: requestTimeoutMs,
      bodyTimeout: requestTimeoutMs,
    })
  }

  start(): void {
    this.#pump()
  }

  /** Takes an event that has just been committed. */
  offer(event: OutboxEvent): void {
    if (this.#isStopped) return
    if (this.#held >= heldEventsMax) this.#hasMoreStored = true
    if (!this.#hasMoreStored) this.#hold(event)
    this.#pump()
  }

  /** Lets the requests in flight end, for `graceMs` at most. What is not acknowledged stays in the outbox. */
  async stop(graceMs = 2_000): Promise<void> {
    this.#isStopped = true
    for (const timer of this.#timers) clearTimeout(timer)
    if (this.#inFlight > 0) {
      const timer = setTimeout(() => void this.#pool.destroy(), graceMs)
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve
      })
      clearTimeout(timer)
    }
    this.#removeAcknowledged()
    if (!this.#pool.destroyed) await this.#pool.destroy()
  }

  #hold(event: OutboxEvent): void {
    const key = `${event.object}/${event.record}`
    this.#lastSeq = event.seq
    this.#held++
    const lane = this.#lanes.get(key)
    if (lane) {
      lane.events.push(event)
      return
    }
    const opened: Lane = { key, events: [event], failures: 0 }
    this.#lanes.set(key, opened)
    this.#ready.push(opened)
  }

  #load(): void {
    const limit = heldEventsMax - this.#held
    const events = this.#outbox.readAfter(this.#lastSeq, limit)
    for (const event of events) this.#hold(event)
    this.#hasMoreStored = events.length === limit
  }

  #pump(): void {
    if (this.#isStopped || this.#isPaused) return
    if (this.#hasMoreStored && this.#held < heldEventsMax / 2) this.#load()
    while (this.#inFlight < inFlightMax && this.#ready.length > 0) {
      this.#inFlight++
      void this.#send(this.#ready.shift()!)
    }
  }

  async #send(lane: Lane): Promise<void> {
    const event = lane.events[0]!
    const status = await this.#post(event)
    this.#inFlight--
    if (status >= 200 && status < 300) this.#succeeded(lane, event)
    else this.#failed(lane, status)
    if (this.#inFlight === 0) this.#onIdle?.()
    this.#pump()
  }

  #succeeded(lane: Lane, event: OutboxEvent): void {
    this.#receiverFailures = 0
    lane.failures = 0
    lane.events.shift()
    this.#held--
    if (lane.events.length > 0) this.#ready.push(lane)
    else this.#lanes.delete(lane.key)
    this.#acknowledged.push(event.seq)
    // One transaction for all that this turn of the event loop acknowledges.
    if (this.#acknowledged.length === 1) setImmediate(() => this.#removeAcknowledged())
  }

  #failed(lane: Lane, status: number): void {
    if (status === 0 || statusesOfReceiverDown.has(status)) {
      this.#ready.unshift(lane)
      this.#pause()
      return
    }
    this.#later(backOffMs(lane.failures++), () => this.#ready.push(lane))
  }

  /** The receiver is away: one back-off for all, not one for each record. */
  #pause(): void {
    if (this.#isPaused) return
    this.#isPaused = true
    this.#later(backOffMs(this.#receiverFailures++), () => {
      this.#isPaused = false
    })
  }

  #later(delayMs: number, action: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      action()
      this.#pump()
    }, delayMs)
    this.#timers.add(timer)
  }

  /** The status of the reply; 0 where there was none. */
  async #post(event: OutboxEvent): Promise<number> {
    const timestamp = String(Math.floor(Date.now() / 1000))
    const signature = createHmac('sha256', this.#secret).update(`${timestamp}.${event.body}`).digest('hex')
    try {
      const { statusCode, body } = await this.#pool.request({
        method: 'POST',
        path: `${this.#pathPrefix}/${event.object}${this.#pathSuffix}`,
        headers: {
          'content-type': 'application/json',
          'x-event-id': event.eventId,
          'x-timestamp': timestamp,
          'x-signature': `sha256=${signature}`,
        },
        body: event.body,
      })
      await body.dump()
      return statusCode
    } catch {
      return 0
    }
  }

  #removeAcknowledged(): void {
    if (this.#acknowledged.length > 0) this.#outbox.remove(this.#acknowledged.splice(0))
  }
}

function backOffMs(failures: number): number {
  return Math.min(backOffMaxMs, backOffFirstMs * 2 ** Math.min(failures, 16))
}

import type { Change } from '../../../model/change.ts'
import type { Faults } from '../faults.ts'
import type { Gate } from '../gate.ts'
import type { World } from '../world.ts'
import type { AppRecord, SimApp } from './app.ts'

const RETRY_FIRST_MS = 150
const RETRY_MAX_MS = 4000

/**
 * Sends a notification for every version and resends it until it is acknowledged (F2): out of order, doubled, late. An application with
 * full images sends what the record was at its commit; a thin one only that something happened.
 */
export class Webhooks {
  readonly #app: SimApp
  readonly #world: World
  readonly #gate: Gate
  readonly #faults: Faults
  #count = 0
  /** Notifications that are not acknowledged yet. */
  pending = 0

  constructor(app: SimApp, world: World, gate: Gate, faults: Faults) {
    this.#app = app
    this.#world = world
    this.#gate = gate
    this.#faults = faults
  }

  committed(record: AppRecord): void {
    const deliveryId = `${this.#app.profile.app}-d${++this.#count}`
    const change = this.#app.changeOf(record, this.#kindFor(record), deliveryId)
    this.pending++
    const delivery = new Delivery(change, this)
    this.#later(this.#firstDelay(), delivery)
    if (this.#faults.hit('duplicate'))
      this.#later(this.#firstDelay() + this.#faults.int('duplicate', 0, 3000), delivery)
  }

  /** One attempt. A drop, a refusal, a hub that is down and a lost acknowledgement all look the same from here. */
  attempt(delivery: Delivery): void {
    if (this.#faults.hit('drop')) {
      this.#again(delivery)
      return
    }
    this.#gate.post(this.#app.profile.app, [delivery.change], (acknowledged) => {
      if (acknowledged && !this.#faults.hit('ackLost')) this.#done(delivery)
      else this.#again(delivery)
    })
  }

  #done(delivery: Delivery): void {
    if (!delivery.isDone) this.pending--
    delivery.isDone = true
  }

  #again(delivery: Delivery): void {
    if (delivery.isDone) return
    const delayMs = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(delivery.tries++, 6))
    this.#later(delayMs, delivery)
  }

  #later(delayMs: number, delivery: Delivery): void {
    this.#world.clock.timer(delayMs, delivery.send)
  }

  #firstDelay(): number {
    const travelMs = this.#faults.int('travel', 1, 6)
    return this.#faults.hit('reorder') ? travelMs + this.#faults.int('reorder', 0, 800) : travelMs
  }

  #kindFor(record: AppRecord): Change['kind'] {
    const { capabilities, deleteNotice } = this.#app.profile
    if (capabilities.image !== 'I0') return 'image'
    return record.isLive ? 'hint' : deleteNotice
  }
}

class Delivery {
  readonly change: Change
  readonly send: () => void
  isDone = false
  tries = 0

  constructor(change: Change, sender: Webhooks) {
    this.change = change
    this.send = () => sender.attempt(this)
  }
}

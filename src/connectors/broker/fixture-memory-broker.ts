import type { BrokerDriver, BrokerMessage } from './port.ts'
import type { PublishedChange, PublishingSession } from './target.ts'

interface Kept {
  readonly message: PublishedChange
  deliveries: number
}

/** Queues in this process, which bring what they are given late, in order, and some of it twice. */
export class MemoryBroker {
  readonly #queues = new Map<string, Kept[]>()
  readonly #takers = new Map<string, (message: BrokerMessage) => void>()
  readonly #random: () => number
  readonly #twice: number
  #unsettled = 0
  /** All that was published, by queue. */
  readonly published: { readonly queue: string; readonly message: PublishedChange }[] = []

  constructor(random: () => number, twice = 0.1) {
    this.#random = random
    this.#twice = twice
  }

  get isQuiet(): boolean {
    return this.#unsettled === 0 && [...this.#queues.values()].every((line) => line.length === 0)
  }

  /** Brings the next message of a queue, or of none. */
  step(): void {
    const ready = [...this.#queues].filter(([queue, line]) => line.length > 0 && this.#takers.has(queue))
    const found = ready[Math.floor(this.#random() * (ready.length + 1))]
    if (found === undefined) return
    const [queue, line] = found
    const kept = line[0] as Kept
    kept.deliveries++
    if (this.#random() >= this.#twice) line.shift()
    const { message, deliveries } = kept
    let isSettled = false
    this.#unsettled++
    const settle = (): void => {
      if (!isSettled) this.#unsettled--
      isSettled = true
    }
    this.#takers.get(queue)?.({
      body: Buffer.from(message.body),
      contentType: message.contentType,
      headers: Object.fromEntries(Object.entries(message.headers).map(([name, value]) => [name.toLowerCase(), value])),
      facts: { queue },
      id: undefined,
      correlationId: undefined,
      replyTo: undefined,
      deliveries,
      isKept: true,
      timeMs: message.timeMs,
      ack: settle,
      reject: settle,
    })
  }

  consumer(queue: string): BrokerDriver {
    return {
      open: async (take) => {
        this.#takers.set(queue, take)
        return {
          ended: new Promise(() => {}),
          reply: async () => {},
          park: async (_, reason) => {
            throw reason
          },
          pause: async () => {},
          close: async () => void this.#takers.delete(queue),
        }
      },
    }
  }

  async publisher(queue: string): Promise<PublishingSession> {
    return {
      ended: new Promise(() => {}),
      publish: async (_object, _kind, message) => {
        this.published.push({ queue, message })
        const line = this.#queues.get(queue) ?? []
        line.push({ message, deliveries: 0 })
        this.#queues.set(queue, line)
      },
      close: async () => {},
    }
  }
}

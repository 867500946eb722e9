import type { Log } from '../ports/clock.ts'
import type { EngineEvent } from './stats.ts'

export type EventListener = (events: readonly EngineEvent[]) => void

/** Tells those who watch; what they do with it is no concern of the loop's. */
export class Events {
  readonly #log: Log
  readonly #listeners = new Set<EventListener>()

  constructor(log: Log) {
    this.#log = log
  }

  /** Nobody watches: events need not be made. */
  get areUnseen(): boolean {
    return this.#listeners.size === 0
  }

  subscribe(listener: EventListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  emit(events: readonly EngineEvent[]): void {
    if (events.length === 0) return
    for (const listener of this.#listeners) {
      try {
        listener(events)
      } catch (error) {
        this.#log.log('warn', 'a listener of engine events threw', { error: String(error) })
      }
    }
  }
}

/** What the demo asks the hub: over the admin API, as anyone may. */

export interface HubEvent {
  readonly atMs: number
  readonly seq: number
  readonly entity: string
  readonly key: string
  readonly app: string
  readonly nativeId: string | null
  readonly verdict: string
  readonly text: string
  readonly paths: readonly string[]
}

export interface HubStatus {
  readonly pid: number
  readonly ready: boolean
  readonly idle: boolean
  readonly counts: {
    readonly records: number
    readonly links: number
    readonly held: number
    readonly conflicts: number
    readonly openLanes: Readonly<Record<string, number>>
  }
  readonly parkedLanes: readonly { readonly code: string; readonly message: string }[]
  readonly parkedEntries: readonly { readonly code: string; readonly message: string }[]
  readonly waiting: Readonly<Record<string, number>>
  /** Those that have tripped. */
  readonly brakes: readonly {
    readonly id: string
    readonly kind: string
    readonly count: number
    readonly from: string
    readonly to: string
  }[]
  readonly engine: {
    readonly notifications: number
    readonly verdicts: Readonly<Record<string, number>>
    readonly writes: { readonly applied: number }
    readonly latencyMs: { readonly p50: number | null; readonly p99: number | null }
    readonly backlog: number
    readonly inFlight: number
  }
  readonly apps: readonly {
    readonly app: string
    readonly classes: readonly string[]
    readonly exposure: { readonly writes: number; readonly p50Ms: number | null; readonly p99Ms: number | null } | null
  }[]
}

const TIMEOUT_MS = 5_000

export class HubApi {
  readonly #url: string

  constructor(url: string) {
    this.#url = url
  }

  /** Null while no hub answers. */
  async status(): Promise<HubStatus | null> {
    return (await this.#get('/api/status')) as HubStatus | null
  }

  /** Every verdict from now on, until the signal or the hub ends it. */
  async *events(signal: AbortSignal): AsyncGenerator<HubEvent> {
    const response = await fetch(`${this.#url}/api/events`, { signal })
    if (!response.ok || response.body === null) return
    let text = ''
    for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
      text += chunk
      const messages = text.split('\n\n')
      text = messages.pop() ?? ''
      for (const message of messages) {
        if (!message.startsWith('event: verdict')) continue
        const data = message.split('\n').find((line) => line.startsWith('data: '))
        if (data !== undefined) yield JSON.parse(data.slice('data: '.length)) as HubEvent
      }
    }
  }

  async #get(path: string): Promise<unknown> {
    try {
      const response = await fetch(this.#url + path, { signal: AbortSignal.timeout(TIMEOUT_MS) })
      return response.ok ? await response.json() : null
    } catch {
      return null
    }
  }
}

/** Nothing left to do: nothing undecided, nothing under way, no record that could still be written. What is set aside waits for a person. */
export function isQuiet(status: HubStatus): boolean {
  const open = Object.entries(status.counts.openLanes).some(([state, count]) => state !== 'parked' && count > 0)
  return status.ready && status.idle && status.engine.backlog === 0 && !open && Object.keys(status.waiting).length === 0
}

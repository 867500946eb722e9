import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SyncError } from '../errors/index.ts'
import type { FlowModel, InDoubt, RunContext } from '../model/flow.ts'
import { asFlowName, asJournalPosition, type FlowName } from '../model/ids.ts'
import { MemoryJournal, MemoryRunStore } from '../stores/memory/index.ts'
import { VirtualClock } from '../testing/simulator/virtual-clock.ts'
import { Flows } from './flows.ts'

fc.configureGlobal({ seed: 20_261_125 })

const orders = asFlowName('orders')
const letters = asFlowName('letters')

const model = (name: FlowName, changes: Partial<FlowModel>): FlowModel => ({
  name,
  kind: 'later',
  limits: { concurrency: 4, queueMax: 1_000, queueTimeoutMs: 1_000, timeoutMs: 300 },
  retries: { attemptsMax: 30, firstMs: 5, maxMs: 50 },
  input: null,
  properties: null,
  output: null,
  filters: [],
  orderKeyOf: null,
  whenParked: 'hold',
  inDoubt: 'rerun',
  fetch: null,
  run: () => null,
  apps: {},
  redact: [],
  ...changes,
})

interface Story {
  readonly seed: number
  readonly messages: number
  readonly crashes: readonly number[]
  readonly keyed: boolean
  readonly inDoubt: boolean
  readonly faulty: boolean
}

const stories: fc.Arbitrary<Story> = fc.record({
  seed: fc.nat(),
  messages: fc.integer({ min: 1, max: 40 }),
  crashes: fc.array(fc.integer({ min: 1, max: 900 }), { maxLength: 4 }),
  keyed: fc.boolean(),
  inDoubt: fc.boolean(),
  faulty: fc.boolean(),
})

function randomOf(seed: number): () => number {
  let state = (seed ^ 0x9e3779b9) >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/** A hub's flows on disks that outlive it, and a sender that sends again until it is told that its message was taken. */
class World {
  readonly clock = new VirtualClock()
  readonly random: () => number
  readonly story: Story
  readonly journal: MemoryJournal
  readonly runs: MemoryRunStore
  readonly acknowledged = new Set<number>()
  readonly finished = new Map<number, number>()
  readonly begun: { readonly n: number; readonly life: number }[] = []
  readonly posted: number[] = []
  life = 0
  flows: Flows

  constructor(story: Story) {
    this.story = story
    this.random = randomOf(story.seed)
    const fault = (): void => {
      if (story.faulty && this.random() < 0.03) throw new SyncError('store.failed', 'the disk says no')
    }
    this.journal = new MemoryJournal({ fault })
    this.runs = new MemoryRunStore({ fault })
    this.flows = this.#hub()
  }

  #hub(): Flows {
    const life = ++this.life
    const judge: InDoubt = ({ message }) => (this.finished.has(message.body as number) ? 'done' : 'rerun')
    const flow = model(orders, {
      ...(this.story.keyed ? { orderKeyOf: ({ body }) => String((body as number) % 3) } : {}),
      ...(this.story.inDoubt ? { inDoubt: judge } : {}),
      run: (context) => this.#run(context, life),
    })
    const other = model(letters, { run: ({ message }) => void this.posted.push(message.body as number) })
    return new Flows({
      models: [flow, other],
      runs: this.runs,
      journal: this.journal,
      append: (entries) => this.journal.append({ entries }),
      effects: {
        calls: () => {
          throw new Error('not here')
        },
        fetch: async () => null,
        decode: (_flow, message) => message,
        sync: async () => {},
      },
      clock: this.clock,
      random: { next: this.random },
      log: { log() {} },
      mappingVersion: 1,
      opPrefix: () => 'h.1',
    })
  }

  async #run({ message, start }: RunContext, life: number): Promise<number> {
    const n = message.body as number
    this.begun.push({ n, life })
    await this.#pass(this.random() * 40)
    if (this.random() < 0.2) throw new Error('before its effect')
    if (life === this.life) await start({ name: 'letters' }, { body: n })
    await this.#pass(this.random() * 10)
    if (this.random() < 0.2) throw new Error('after its effect')
    if (life === this.life) this.finished.set(n, (this.finished.get(n) ?? 0) + 1)
    return n
  }

  #pass(ms: number): Promise<void> {
    return new Promise((resolve) => this.clock.timer(ms, resolve))
  }

  async #send(n: number): Promise<void> {
    for (;;) {
      try {
        const message = { origin: 'test', deliveryId: `m${n}`, properties: {}, body: n }
        const delivered = await this.flows.deliver(orders, message, null)
        if (delivered.kind === 'accepted') this.acknowledged.add(n)
        return
      } catch {
        await this.#pass(20)
      }
    }
  }

  async #start(): Promise<void> {
    for (;;) {
      try {
        await this.flows.start()
        return
      } catch {
        this.flows.kill()
        this.flows = this.#hub()
      }
    }
  }

  async live(): Promise<void> {
    void this.#start()
    for (let n = 0; n < this.story.messages; n++)
      this.clock.timer(1 + (this.story.keyed ? n * 15 : this.random() * 500), () => void this.#send(n))
    for (const atMs of this.story.crashes) {
      this.clock.timer(atMs, () => {
        this.flows.kill()
        this.flows = this.#hub()
        void this.#start()
      })
    }
    await this.clock.run(120_000, () => false)
  }
}

describe('messages that are acknowledged', () => {
  test('run to their end whatever dies meanwhile, in the order of their key, and what they start is started once', async () => {
    await fc.assert(
      fc.asyncProperty(stories, async (story) => {
        const world = new World(story)
        await world.live()
        const all = Array.from({ length: story.messages }, (_, n) => n)
        expect([...world.acknowledged].sort((a, b) => a - b)).toEqual(all)
        expect(all.filter((n) => !world.finished.has(n))).toEqual([])
        const started = await quiet(() => world.journal.read(asJournalPosition(0), 500, letters))
        const bodies = started.map(({ input }) => (input.type === 'message' ? Number(input.message.body) : -1))
        expect(bodies.sort((a, b) => a - b)).toEqual(all)
        expect([...new Set(world.posted)].sort((a, b) => a - b)).toEqual(all)
        const rows = await quiet(() => world.runs.list({ flow: orders, max: 100 }))
        expect(rows.filter((run) => run.state !== 'done').map((run) => [run.id, run.state, run.reason])).toEqual([])
        expect(rows).toHaveLength(story.messages)
        if (story.inDoubt) for (const [n, times] of world.finished) expect([n, times]).toEqual([n, 1])
        if (story.keyed) expectOrdered(world)
      }),
      { numRuns: 150 },
    )
  }, 60_000)
})

/** A message of a key begins only after every earlier one of it has ended. */
function expectOrdered({ begun }: World): void {
  for (const key of [0, 1, 2]) {
    let newest = -1
    for (const { n } of begun.filter((one) => one.n % 3 === key)) {
      expect(n).toBeGreaterThanOrEqual(newest)
      newest = Math.max(newest, n)
    }
  }
}

async function quiet<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask()
    } catch {}
  }
}

describe('what a flow cannot do now', () => {
  test('more than its queue holds is refused with the time to come back, and nothing of it is kept', async () => {
    const clock = new VirtualClock()
    const journal = new MemoryJournal()
    const ended: (() => void)[] = []
    const flows = new Flows({
      models: [
        model(orders, {
          limits: { concurrency: 2, queueMax: 3, queueTimeoutMs: 10, timeoutMs: 1_000 },
          run: () => new Promise<void>((resolve) => ended.push(resolve)),
        }),
      ],
      runs: new MemoryRunStore(),
      journal,
      append: (entries) => journal.append({ entries }),
      effects: {
        calls: () => ({}) as never,
        fetch: async () => null,
        decode: (_flow, message) => message,
        sync: async () => {},
      },
      clock,
      random: { next: () => 0.5 },
      log: { log() {} },
      mappingVersion: 1,
      opPrefix: () => 'h.1',
    })
    await flows.start()
    const send = (n: number): Promise<string> =>
      flows.deliver(orders, { origin: 'test', properties: {}, body: n }, null).then(
        () => 'taken',
        (error: unknown) => `${SyncError.from(error).code} ${SyncError.from(error).retryAfterMs}`,
      )
    const sent: string[] = []
    for (let n = 0; n < 8; n++) sent.push(await send(n))
    // Two run, three wait; the places of those that run count until they are known to have begun.
    expect(sent.filter((what) => what === 'taken').length).toBeGreaterThanOrEqual(5)
    expect(sent.at(-1)).toBe('flow.overloaded 1000')
    expect(flows.refusal(orders)?.code).toBe('flow.overloaded')
    expect(journal.last()).toBe(sent.filter((what) => what === 'taken').length)
  })
})

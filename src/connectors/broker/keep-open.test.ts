import { expect, test } from 'vitest'
import { SyncError } from '../../errors/index.ts'
import { VirtualClock } from '../../testing/simulator/virtual-clock.ts'
import { KeptOpen } from './keep-open.ts'

class Session {
  readonly #end = Promise.withResolvers<SyncError>()
  readonly ended = this.#end.promise
  isClosed = false

  end(): void {
    this.#end.resolve(new SyncError('broker.unreachable', 'it has ended.'))
  }

  async close(): Promise<void> {
    this.isClosed = true
  }
}

/** Under a virtual clock, so that hours of a broker that is away take no time. */
class World {
  readonly clock = new VirtualClock()
  readonly opened: number[] = []
  readonly lines: string[] = []
  readonly kept: KeptOpen<Session>

  constructor(open: (n: number) => Promise<Session>) {
    this.kept = new KeptOpen(
      'the queue',
      () => {
        this.opened.push(this.clock.monotonicMs())
        return open(this.opened.length)
      },
      { clock: this.clock, random: { next: () => 1 }, log: { log: (_level, text) => void this.lines.push(text) } },
    )
  }

  pass(ms: number): Promise<unknown> {
    return this.clock.run(this.clock.monotonicMs() + ms, () => false)
  }
}

const refused = (): Promise<Session> => Promise.reject(new SyncError('broker.unreachable', 'nobody answers.'))

test('one that is away is tried with pauses that grow to half a minute, and the log is not filled', async () => {
  const world = new World(refused)
  world.kept.start()
  world.kept.start()
  await world.pass(3_600_000)
  const pauses = world.opened.slice(1).map((at, i) => at - (world.opened[i] as number))
  expect(pauses.slice(0, 9)).toEqual([200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000])
  expect(Math.max(...pauses)).toBe(30_000)
  expect(world.opened.length).toBeGreaterThan(100)
  expect(world.lines).toHaveLength(8)
  expect(world.kept.session).toBe(null)
  expect(world.kept.reason?.code).toBe('broker.unreachable')
})

test('an end begins anew at once, with short pauses again; nothing is opened twice', async () => {
  const sessions: Session[] = []
  const world = new World(async (n) => {
    if (n === 2 || n === 3) return refused()
    const session = new Session()
    sessions.push(session)
    return session
  })
  world.kept.start()
  await world.pass(1_000)
  world.kept.start()
  await world.pass(1_000)
  expect(world.opened).toEqual([0])
  sessions[0]?.end()
  await world.pass(10_000)
  expect(world.opened.map((at) => at - (world.opened[0] as number))).toEqual([0, 200, 600, 1_400])
  expect(sessions.map(({ isClosed }) => isClosed)).toEqual([true, false])
  expect(world.kept.session).toBe(sessions[1])
  expect(world.lines.at(-1)).toBe('the queue: connected again')
})

test('closing does not wait for a broker that does not answer, and what opens later is closed', async () => {
  const late = Promise.withResolvers<Session>()
  const world = new World(() => late.promise)
  world.kept.start()
  let isClosed = false
  void world.kept.close().then(() => {
    isClosed = true
  })
  await world.pass(5_000)
  expect(isClosed).toBe(true)
  const session = new Session()
  late.resolve(session)
  await world.pass(5_000)
  expect(session.isClosed).toBe(true)
  expect(world.kept.session).toBe(null)
})

import { systemClock, systemRandom } from '../lib/system-clock.ts'
import type { HubModel } from '../model/entity.ts'
import { asAppId } from '../model/ids.ts'
import type { RecordState } from '../model/record.ts'
import { MemoryJournal, MemoryStore, type MemoryStoreOptions } from '../stores/memory/index.ts'
import { Engine } from './engine.ts'
import { FakeApp } from './fake-app.ts'

/** Two applications in memory, `left` and `right`, and engines between them: for the engine's own tests. */
export interface FakePair extends AsyncDisposable {
  readonly left: FakeApp
  readonly right: FakeApp
  readonly store: MemoryStore
  readonly engine: Engine
  /** What was logged. */
  readonly said: string[]
  /** A new engine on the same store and journal, as after a restart. */
  start(): Promise<Engine>
  /** Until nothing is left to do in either application or the engine. */
  settle(engine?: Engine): Promise<void>
  record(): RecordState
}

export async function fakePair(
  model: HubModel,
  options: { readonly fault?: MemoryStoreOptions['fault']; readonly rightTrims?: boolean } = {},
): Promise<FakePair> {
  const store = new MemoryStore({
    instanceId: 'test',
    ...(options.fault === undefined ? {} : { fault: options.fault }),
  })
  const journal = new MemoryJournal()
  const said: string[] = []
  const engines: Engine[] = []
  const left = new FakeApp('left', 'L')
  const right = new FakeApp('right', 'R', { trim: options.rightTrims === true })
  const apps = [left, right]
  const start = async (): Promise<Engine> => {
    const engine = new Engine({
      model,
      connectors: new Map(apps.map((app) => [asAppId(app.name), app.connector(model)])),
      store,
      journal,
      clock: systemClock,
      random: systemRandom,
      log: { log: (_, message) => void said.push(message) },
    })
    engines.push(engine)
    await engine.start()
    for (const app of apps) app.notify = (changes) => engine.accept(asAppId(app.name), changes)
    return engine
  }
  const engine = await start()
  return {
    left,
    right,
    store,
    engine,
    said,
    start,
    async settle(of = engines.at(-1) as Engine) {
      for (let quiet = 0; quiet < 3; ) {
        await new Promise((resolve) => setImmediate(resolve))
        quiet = of.isIdle() && apps.every((app) => app.isQuiet) ? quiet + 1 : 0
      }
    },
    record: () => [...store.records()][0] as RecordState,
    async [Symbol.asyncDispose]() {
      for (const one of engines) await one.stop()
    },
  }
}

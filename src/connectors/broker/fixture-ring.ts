import { z } from 'zod'
import type { HubDefinition } from '../../config/define-hub.ts'
import type { AnyPolicy } from '../../config/entity.ts'
import { Engine } from '../../engine/engine.ts'
import { FakeApp } from '../../engine/fake-app.ts'
import { defineHub, entity, key, readOnly, sync } from '../../index.ts'
import { systemClock } from '../../lib/system-clock.ts'
import { type AppId, asAppId } from '../../model/ids.ts'
import type { Connector } from '../../ports/app.ts'
import type { Clock } from '../../ports/clock.ts'
import { MemoryJournal, MemoryStore } from '../../stores/memory/index.ts'
import { type ConsumeOptions, type PublishOptions, rabbitmq } from '../amqp/index.ts'
import { http } from '../http/index.ts'

/** Hubs that tell each other of their records in a ring: what one publishes the next one hears. Their engines are real; the users' applications are in this process. */

const fields = { name: 'name', city: 'city', mood: 'mood' } as const

export interface RingOptions {
  readonly url?: string
  readonly consume?: ConsumeOptions
  readonly publish?: PublishOptions
  readonly conflicts: AnyPolicy
}

export function ringHub({
  url = 'amqp://hear.test',
  consume = { queue: 'in' },
  publish = { exchange: 'out' },
  conflicts,
}: RingOptions): HubDefinition {
  const crm = http({ baseUrl: 'http://crm.test' })
  const heard = rabbitmq({ url })
  const told = rabbitmq({ url })
  const person = entity('person', {
    schema: z.object({ name: z.string(), city: z.string(), mood: z.string() }),
    match: key('name'),
  })
  const persons = sync(
    person,
    {
      crm: crm.resource('/persons', {
        id: 'id',
        version: 'rev',
        externalId: 'ext',
        conditional: true,
        idempotency: 'all',
        fields,
      }),
      heard: heard.messages('person', {
        id: 'id',
        consume,
        fields: { name: 'name', city: readOnly('city'), mood: readOnly('mood') },
      }),
      told: told.messages('person', { id: 'id', publish: { form: 'binary', ...publish }, fields }),
    },
    { conflicts: { default: conflicts as never } },
  )
  return defineHub({ apps: { crm, heard, told }, sync: [persons] })
}

/** No two readings are alike, whichever hub makes them: which change is the latest is never a matter of chance. */
class OneClock implements Clock {
  #ms = systemClock.nowMs()
  nowMs(): number {
    return ++this.#ms
  }
  monotonicMs = systemClock.monotonicMs
  timer = systemClock.timer
}

export class Ring implements AsyncDisposable {
  readonly crms: FakeApp[] = []
  readonly #engines: Engine[] = []
  readonly #clock = new OneClock()

  /** One more hub of the ring. */
  async add(
    definition: HubDefinition,
    connect: (app: AppId, clock: Clock) => Connector,
    instanceId = `hub${this.crms.length}`,
  ): Promise<void> {
    const crm = new FakeApp('crm', `C${this.crms.length}-`)
    const clock = this.#clock
    const [heard, told] = [asAppId('heard'), asAppId('told')]
    const engine = new Engine({
      model: definition.model,
      connectors: new Map([
        [asAppId('crm'), crm.connector(definition.model)],
        [heard, connect(heard, clock)],
        [told, connect(told, clock)],
      ]),
      store: new MemoryStore({ instanceId }),
      journal: new MemoryJournal(),
      clock,
      random: { next: () => 0.5 },
      log: { log: () => {} },
    })
    this.crms.push(crm)
    this.#engines.push(engine)
    await engine.start()
    crm.notify = (changes) => engine.accept(asAppId('crm'), changes)
  }

  get isQuiet(): boolean {
    return this.crms.every((app) => app.isQuiet) && this.#engines.every((engine) => engine.isIdle())
  }

  /** What each application holds. */
  state(): string[] {
    return this.crms.map((app) =>
      app
        .list('persons')
        .map(({ name, city, mood }) => `${name} ${city} ${mood}`)
        .sort()
        .join(', '),
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const engine of this.#engines) await engine.stop()
  }
}

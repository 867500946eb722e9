import { z } from 'zod'
import type { AppHandle } from '../../config/app.ts'
import { defineHub } from '../../config/define-hub.ts'
import { entity, key, latest, sync } from '../../index.ts'
import { collectingLog, FakeStore } from '../../server/fixture-hub.ts'
import { type RunningHub, startHub } from '../../server/hub.ts'
import { http, unverified, webhook } from '../http/index.ts'

/** An application over HTTP that its users edit, and that tells the hub so. */
export class Crm implements AsyncDisposable {
  readonly store = new FakeStore()
  url = ''
  #events = 0

  async listen(): Promise<this> {
    this.url = await this.store.listen()
    return this
  }

  /** What a user does, and the webhook that it causes. */
  async tell(hub: RunningHub, id: string, record: Readonly<Record<string, unknown>> | null): Promise<void> {
    const rev = 1_000 + ++this.#events
    if (record !== null) this.store.records.set(id, { ...record, id, rev })
    else this.store.records.delete(id)
    const body = record === null ? { id, rev, deleted: true } : { ...record, id, rev }
    const reply = await fetch(`${hub.url}/hooks/crm`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ event: `e${this.#events}`, ...body }),
    })
    if (reply.status >= 300) throw new Error(`the hub says ${reply.status}`)
  }

  names(): string[] {
    return [...this.store.records.values()].map(({ name, city }) => `${name} in ${city}`).sort()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store.close()
  }
}

/** A broker as an application: what its connector gives. How it is bound differs by test; the compiler sees it in the guide's examples. */
export interface Bus extends AppHandle {
  messages(object: string, options: never): unknown
}

export type SyncHub = RunningHub & { readonly log: ReturnType<typeof collectingLog> }

/** A hub between such an application and buses, each bound as its options say. */
export async function syncHub(
  dataDir: string,
  crm: Crm,
  buses: Readonly<Record<string, readonly [Bus, Readonly<Record<string, unknown>>]>>,
): Promise<SyncHub> {
  const app = http({ baseUrl: crm.url })
  const fields = { name: 'name', city: 'city' } as const
  const bound = Object.entries(buses).map(([name, [bus, options]]) => [
    name,
    bus.messages('person', { id: 'id', fields, ...options } as never),
  ])
  const persons = sync(
    entity('person', { schema: z.object({ name: z.string(), city: z.string() }), match: key('name') }),
    {
      crm: app.resource('/persons', {
        id: 'id',
        version: 'rev',
        conditional: true,
        idempotency: 'all',
        notify: webhook('/hooks/crm', {
          verify: unverified(),
          deliveryId: 'event',
          deleted: { at: 'deleted', equals: true },
        }),
        fields,
      }),
      ...(Object.fromEntries(bound) as Record<string, never>),
    },
    { conflicts: { default: latest({ skewMs: 0 }) } },
  )
  const log = collectingLog()
  const apps = Object.fromEntries(Object.entries(buses).map(([name, [bus]]) => [name, bus]))
  const definition = defineHub({ apps: { crm: app, ...apps }, sync: [persons] })
  const hub = await startHub({ definition, dataDir, env: {}, log, port: 0 })
  return Object.assign(hub, { log })
}

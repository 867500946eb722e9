import { z } from 'zod'
import type { HubDefinition } from '../config/define-hub.ts'
import { http, unverified, webhook } from '../connectors/http/index.ts'
import { defineHub, entity, lossy, sync } from '../index.ts'

const capitals = z.codec(z.string(), z.string(), { decode: (kept) => kept, encode: (name) => name.toUpperCase() })
const row = z.object({ id: z.int(), name: z.string(), rev: z.int() })

/** People in a desk, and in a warehouse that keeps their names in capitals; whether the config says so or not. */
export function lossyHub(isDeclared: boolean): HubDefinition {
  const desk = http({ baseUrl: 'http://desk.test' })
  const warehouse = http({ baseUrl: 'http://warehouse.test' })
  const person = entity('person', { schema: z.object({ name: z.string() }) })
  const common = { id: 'id', version: 'rev', conditional: true, idempotency: 'all' } as const
  return defineHub({
    apps: { desk, warehouse },
    sync: [
      sync(person, {
        desk: desk.resource('/people', row, {
          ...common,
          notify: webhook('/desk', { verify: unverified() }),
          fields: { name: 'name' },
        }),
        warehouse: warehouse.resource('/people', row, {
          ...common,
          notify: webhook('/warehouse', { verify: unverified() }),
          fields: { name: isDeclared ? lossy(['name', capitals]) : ['name', capitals] },
        }),
      }),
    ],
  })
}

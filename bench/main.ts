/**
 * npm run bench -- <name> [--json] [--rounds N] [--rows N]: http, db, contact, listener, latch, latching or restart. Progress on stderr; with --json one object on stdout, otherwise the same laid out.
 */
import { parseArgs } from 'node:util'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    rows: { type: 'string' },
    only: { type: 'string' },
  },
})
const progress = (text: string): void => void process.stderr.write(text + '\n')
const rounds = values.rounds === undefined ? {} : { rounds: Number(values.rounds) }

const BENCHES: Readonly<Record<string, () => Promise<object>>> = {
  http: async () => {
    const { runHttpBench } = await import('./http.ts')
    const only = values.only === undefined ? {} : { only: values.only.split(',') as ('bare' | 'durable' | 'hub')[] }
    return runHttpBench({ ...rounds, ...only, progress })
  },
  db: async () => {
    const { runDbBench } = await import('./db.ts')
    const only = values.only === undefined ? {} : { only: values.only.split(',') as ('native' | 'hub')[] }
    return runDbBench({ ...rounds, ...only, progress })
  },
  contact: async () => {
    const { runContactBench } = await import('./contact.ts')
    return runContactBench({ ...(values.rows === undefined ? {} : { rows: Number(values.rows) }), progress })
  },
  listener: async () => {
    const { runListenerBench } = await import('./listener.ts')
    return runListenerBench({
      ...rounds,
      ...(values.only === undefined ? {} : { only: values.only.split(',') }),
      progress,
    })
  },
  latch: async () => (await import('./latch.ts')).run(),
  latching: async () => (await import('./latching.ts')).runLatchingBench(progress),
  restart: async () => (await import('./restart.ts')).run(),
}

const [name] = positionals
const bench = name === undefined ? undefined : BENCHES[name]
if (bench === undefined) {
  progress(`Which bench? One of: ${Object.keys(BENCHES).join(', ')}.`)
  process.exit(2)
}
const result = await bench()
process.stdout.write(JSON.stringify(result, null, values.json ? undefined : 2) + '\n')
process.exit(0)

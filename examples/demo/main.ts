/**
 * Two applications, the hub between them and simulated users, each application and the hub a process of its own.
 *
 *     npm start
 *     npm start -- --headless --seconds 20 --json
 */

import { parseArgs } from 'node:util'
import { runHeadless } from './headless.ts'
import { Stage } from './stage.ts'

const HELP = `Latchwork's demo: an order desk and a warehouse that know nothing of each other, kept equal while users edit in both.

  npm start [-- options]

  --data DIR            keep everything in DIR and go on from there the next time (default: a temporary folder)
  --rate N              what users do a second, in both applications together (default: 4; headless: 50)
  --seed N              another course of events (default: 1)
  --postgres            the order desk keeps its data in a PostgreSQL database (it is brought along): the hub follows and writes
                        its tables, and does not call its API
  --legacy-warehouse    the warehouse has the older kind of API: no revisions, no conditions, no external ids.
                        Writes there may overwrite an edit unseen; how many, and for how long, is counted
  --port-desk N, --port-warehouse N, --port-hub N
                        where they listen (default: 4101, 4102, 4800, or any free port where one is taken)

  --headless            no terminal: work for some seconds, wait until all is quiet, compare, end
  --seconds N           how long users work (default: 20; headless only)
  --json                the result as one JSON object, the last line of stdout (headless only)
  --help

Headless it ends with 0 only if no write was lost, no record is there twice, no write of the hub was an echo, and both are equal.
`

const OPTIONS = {
  data: { type: 'string' },
  rate: { type: 'string' },
  seed: { type: 'string', default: '1' },
  postgres: { type: 'boolean', default: false },
  'legacy-warehouse': { type: 'boolean', default: false },
  'port-desk': { type: 'string' },
  'port-warehouse': { type: 'string' },
  'port-hub': { type: 'string' },
  headless: { type: 'boolean', default: false },
  seconds: { type: 'string', default: '20' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const

async function main(): Promise<number> {
  const given = parse()
  if (given === null) return 2
  if (given.help) {
    process.stdout.write(HELP)
    return 0
  }
  const { headless } = given
  const port = (name: string, text: string | undefined, initial: number): number =>
    wholeNumber(name, text ?? String(headless ? 0 : initial))
  const options = {
    rate: wholeNumber('--rate', given.rate ?? (headless ? '50' : '4')),
    seed: wholeNumber('--seed', given.seed),
    isLegacy: given['legacy-warehouse'],
    isPostgres: given.postgres,
    ports: {
      desk: port('--port-desk', given['port-desk'], 4101),
      warehouse: port('--port-warehouse', given['port-warehouse'], 4102),
      hub: port('--port-hub', given['port-hub'], 4800),
    },
    ...(given.data === undefined ? {} : { data: given.data }),
  }
  const interrupted = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => interrupted.abort())
  const seconds = wholeNumber('--seconds', given.seconds)
  if (!headless) {
    const { runTerminal } = await import('./terminal.ts')
    return runTerminal(options, interrupted.signal)
  }
  const stage = new Stage({ ...options, note: (text) => void process.stderr.write(`${text}\n`) })
  try {
    return await runHeadless(stage, { seconds, isJson: given.json, signal: interrupted.signal })
  } finally {
    await stage.stop()
  }
}

function parse(): ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>['values'] | null {
  try {
    return parseArgs({ options: OPTIONS }).values
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${HELP}`)
    return null
  }
}

class UsageError extends Error {}

function wholeNumber(option: string, text: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text)
  throw new UsageError(`${option} takes a whole number, not ${JSON.stringify(text)}`)
}

try {
  process.exitCode = await main()
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = error instanceof UsageError ? 2 : 1
}

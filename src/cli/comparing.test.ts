import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, expect, test } from 'vitest'
import { temporaryFolder } from '../server/fixture-hub.ts'
import { EXIT } from './exit-codes.ts'
import { run } from './program.ts'

const CONFIG = join(import.meta.dirname, 'fixture-contact.config.ts')
const children = new Set<ChildProcess>()
afterEach(() => {
  for (const child of children) child.kill('SIGKILL')
})

/** Two applications with customers in both, some equal, some not, and a data folder. */
function world(count: number) {
  const folder = temporaryFolder()
  const env = { DESK_FILE: join(folder.path, 'desk.db'), STORE_FILE: join(folder.path, 'store.db') }
  const desk = new DatabaseSync(env.DESK_FILE)
  const store = new DatabaseSync(env.STORE_FILE)
  desk.exec(
    'PRAGMA journal_mode = WAL; create table customers (id integer primary key, full_name text not null, email text not null unique, credit_cents integer not null)',
  )
  store.exec(
    `PRAGMA journal_mode = WAL; create table clients (code text primary key not null default (lower(hex(randomblob(8)))), name text, mail text not null unique, credit text not null)`,
  )
  const inDesk = desk.prepare('insert into customers (full_name, email, credit_cents) values (?, ?, ?)')
  const inStore = store.prepare('insert into clients (name, mail, credit) values (?, ?, ?)')
  for (let i = 0; i < count; i++) {
    // A tenth is in the desk only, a tenth in the store only, a tenth differs in its credit.
    if (i % 10 !== 1) inDesk.run(`Customer ${i}`, `c${i}@x.test`, i)
    if (i % 10 !== 2) inStore.run(`Customer ${i}`, `c${i}@x.test`, ((i % 10 === 3 ? i + 1 : i) / 100).toFixed(2))
  }
  const rows = () => ({
    desk: desk.prepare('select full_name n, email m, credit_cents c from customers order by email').all(),
    store: store
      .prepare(`select name n, mail m, cast(round(credit * 100) as integer) c from clients order by mail`)
      .all(),
  })
  return {
    data: join(folder.path, 'data'),
    env,
    desk,
    store,
    rows,
    [Symbol.dispose]() {
      desk.close()
      store.close()
      folder[Symbol.dispose]()
    },
  }
}

type World = ReturnType<typeof world>

/** The config reads its files when it is loaded, so each command is a process of its own. */
async function command(at: World, ...args: string[]) {
  const child = spawn(
    process.execPath,
    [
      '--conditions=latchwork-source',
      join(import.meta.dirname, 'main.ts'),
      '--config',
      CONFIG,
      '--data',
      at.data,
      '--json',
      ...args,
    ],
    {
      env: { PATH: process.env.PATH ?? '', ...at.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  children.add(child)
  const said = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk) => (said.stdout += String(chunk)))
  child.stderr.on('data', (chunk) => (said.stderr += String(chunk)))
  const [code] = (await once(child, 'close')) as [number]
  return {
    code,
    ...said,
    json: said.stdout === '' ? null : JSON.parse(said.stdout.trim().split('\n').at(-1) as string),
  }
}

/** Waits until both have all customers and are equal; the test's own time limit ends a wait that never does. */
async function settled(at: World): Promise<void> {
  for (;;) {
    const { desk, store } = at.rows()
    if (desk.length === 6_000 && JSON.stringify(desk) === JSON.stringify(store)) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

async function startHub(at: World): Promise<ChildProcess> {
  const child = spawn(
    process.execPath,
    [
      '--conditions=latchwork-source',
      join(import.meta.dirname, 'main.ts'),
      'start',
      '--config',
      CONFIG,
      '--data',
      at.data,
      '--port',
      '0',
      '--json',
    ],
    {
      env: { PATH: process.env.PATH ?? '', ...at.env },
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  )
  children.add(child)
  await once(child.stdout as NonNullable<ChildProcess['stdout']>, 'data')
  return child
}

test('rehearse says what day one writes, the hub does exactly that although it is killed in the middle, verify proves it, finds what the log did not tell, and repairs it', async () => {
  using at = world(6_000)
  const rehearsed = await command(at, 'rehearse', '--limit', '3')
  expect([rehearsed.code, rehearsed.stderr]).toEqual([EXIT.ok, ''])
  const [entity] = rehearsed.json.entities
  expect(entity).toMatchObject({
    records: { desk: 5_400, store: 5_400 },
    summary: { equal: 4_200, different: 600, partial: { desk: 600, store: 600 } },
    writes: { desk: { creates: 600, updates: 0 }, store: { creates: 600, updates: 600 } },
    exact: true,
  })
  expect(rehearsed.json.things.length).toBe(3)
  const before = at.rows()

  let hub = await startHub(at)
  // A log that was never read begins with everything that is there; the command reads all of it once more, which then changes nothing.
  await command(at, 'backfill', '--yes', '--detach')
  const gone = once(hub, 'exit')
  hub.kill('SIGKILL')
  await gone
  hub = await startHub(at)
  // The backfill of before is taken up by itself; the command only watches it.
  const watched = await command(at, 'backfill', '--yes', '--again')
  expect(watched.json).toMatchObject({ state: 'done', behind: 0 })
  await settled(at)
  const { desk, store } = at.rows()
  expect(desk.length).toBe(6_000)
  expect(desk).toEqual(store)
  // desk is preferred: its own rows are as they were.
  const deskAfter = new Map(desk.map((row) => [row.m, row]))
  expect(before.desk.every((row) => JSON.stringify(deskAfter.get(row.m)) === JSON.stringify(row))).toBe(true)

  const verified = await command(at, 'verify')
  expect([verified.code, verified.json.equal, verified.json.differences]).toEqual([EXIT.ok, true, 0])

  // A change past the triggers: as a restore or a tool that switches them off would make it.
  const ended = once(hub, 'exit')
  hub.kill('SIGTERM')
  await ended
  const triggers = at.store.prepare(`select name, sql from sqlite_master where type = 'trigger'`).all()
  for (const { name } of triggers) at.store.exec(`drop trigger "${name}"`)
  at.store.exec(`update clients set credit = '77.00' where mail = 'c5@x.test'`)
  for (const { sql } of triggers) at.store.exec(sql as string)
  const found = await command(at, 'verify')
  expect([found.code, found.json.differences]).toEqual([EXIT.different, 1])
  expect(found.json.things[0]).toMatchObject({
    kind: 'value',
    app: 'store',
    fields: [{ path: 'credit', found: '77.00', agreed: '0.05' }],
  })
  // The version of the record says that nothing has changed; the comparison asks all the same.
  await startHub(at)
  const repaired = await command(at, 'verify', '--repair')
  expect([repaired.code, repaired.json.repaired, repaired.json.differences]).toEqual([EXIT.ok, 1, 0])
  await settled(at)
  expect(at.desk.prepare(`select credit_cents c from customers where email = 'c5@x.test'`).get()).toEqual({ c: 7_700 })
  const again = await command(at, 'verify')
  expect([again.code, again.json.differences]).toEqual([EXIT.ok, 0])
})

test('a comparison that names an unknown entity says which there are', async () => {
  using at = world(0)
  const said: string[] = []
  const output = { write: (text: string) => void said.push(text) }
  Object.assign(process.env, at.env)
  const code = await run(['--config', CONFIG, '--data', at.data, 'rehearse', '--entity', 'order'], {
    env: at.env,
    stdout: output,
    stderr: output,
    on: () => undefined,
    exit: () => {
      throw new Error('not expected')
    },
  })
  expect([code, said.join('')]).toEqual([EXIT.usage, expect.stringContaining('it has: customer')])
})

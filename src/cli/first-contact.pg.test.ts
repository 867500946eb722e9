import { afterAll, expect, test } from 'vitest'
import { stopServers } from '../connectors/postgres/fixture-postgres.ts'
import { eventually } from '../server/fixture-hub.ts'
import { EXIT } from './exit-codes.ts'
import { People } from './fixture-people.ts'

afterAll(stopServers)

test('a hub that meets a full database for the first time writes nothing before a person has asked for it, over a restart too', async () => {
  await using people = await People.open()
  const { left, right } = people
  await left.one(
    `INSERT INTO people (name, mail) SELECT 'n' || i, 'm' || i || '@x.test' FROM generate_series(1, 1500) i`,
  )
  await right.one(
    `INSERT INTO people (name, mail) SELECT 'n' || i, 'm' || i || '@x.test' FROM generate_series(1201, 1700) i`,
  )
  const before = await people.versions()
  await people.start()
  const brakes = async () => (await people.command('brake', 'list')).json.items
  const tripped = await eventually(brakes, (items) => items.length > 0)
  // 1,200 are in the left one only; 200 in the right one only.
  const counts = (tripped as { id: string; count: number; limit: number }[]).map(
    ({ id, count, limit }) => `${id} ${count} of ${limit}`,
  )
  expect(counts.sort()).toEqual(['left>right:first-contact 1200 of 100', 'right>left:first-contact 200 of 100'])
  // What the store says follows with the next commit.
  await eventually(
    async () => (await people.command('status')).json.brakes.length,
    (count) => count === 2,
  )
  // Nothing goes in these directions after a restart either.
  await people.stop()
  await people.start()
  expect((await brakes()).length).toBe(2)
  expect(await people.versions()).toEqual(before)

  expect((await people.command('backfill')).code).toBe(EXIT.failure)
  expect(await people.versions()).toEqual(before)
  const asked = await people.command('backfill', '--creates-max', '1400')
  expect([asked.code, asked.json.state]).toEqual([EXIT.ok, 'done'])
  await eventually(
    () => people.areEqual(),
    (equal) => equal,
  )
  expect((await people.rows(right)).length).toBe(1_700)
  expect(await brakes()).toEqual([])
}, 90_000)

test('one direction can be let go by itself', async () => {
  await using people = await People.open()
  await people.left.one(
    `INSERT INTO people (name, mail) SELECT 'n' || i, 'm' || i || '@x.test' FROM generate_series(1, 150) i`,
  )
  await people.right.one(`INSERT INTO people (name, mail) VALUES ('few', 'few@x.test')`)
  await people.start()
  await eventually(
    () => people.rows(people.left),
    (rows) => rows.length === 151,
  )
  expect((await people.rows(people.right)).length).toBe(1)
  const released = await people.command('brake', 'release', 'left>right:first-contact')
  expect(released.code).toBe(EXIT.ok)
  await eventually(
    () => people.areEqual(),
    (equal) => equal,
  )
}, 60_000)

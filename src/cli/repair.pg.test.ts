import { afterAll, expect, test } from 'vitest'
import { stopServers } from '../connectors/postgres/fixture-postgres.ts'
import { eventually } from '../server/fixture-hub.ts'
import { EXIT } from './exit-codes.ts'
import { People } from './fixture-people.ts'

afterAll(stopServers)

test('verify --repair brings in what the log of a database did not tell, and then there is nothing more to write', async () => {
  await using people = await People.open()
  const { left, right } = people
  await left.one(`INSERT INTO people (name, mail) SELECT 'n' || i, 'm' || i || '@x.test' FROM generate_series(1, 20) i`)
  await people.start()
  await eventually(
    () => people.areEqual(),
    (equal) => equal,
  )
  expect((await people.rows(right)).length).toBe(20)

  // What is written while a table is not in the publication is not in the log: as after a restore of one table.
  const publication = `latchwork_${right.schema}`
  await right.one(`ALTER PUBLICATION ${publication} DROP TABLE people`)
  await right.one(`UPDATE people SET name = 'past the log' WHERE mail = 'm3@x.test'`)
  await right.one(`DELETE FROM people WHERE mail = 'm7@x.test'`)
  await right.one(`INSERT INTO people (name, mail) VALUES ('new', 'new@x.test')`)
  await right.one(`ALTER PUBLICATION ${publication} ADD TABLE people`)
  const found = await people.command('verify')
  expect([found.code, found.json.differences]).toEqual([EXIT.different, 3])
  expect(new Set(found.json.things.map(({ kind }: { kind: string }) => kind))).toEqual(
    new Set(['value', 'missing', 'unlinked']),
  )

  const repaired = await people.command('verify', '--repair')
  expect([repaired.code, repaired.json.repaired, repaired.json.differences]).toEqual([EXIT.ok, 3, 0])
  await eventually(
    () => people.areEqual(),
    (equal) => equal,
  )
  const after = await people.rows(left)
  expect(after).toContainEqual({ name: 'past the log', mail: 'm3@x.test' })
  expect(after).toContainEqual({ name: 'new', mail: 'new@x.test' })
  expect(after.some(({ mail }) => mail === 'm7@x.test')).toBe(false)

  const before = await people.versions()
  const again = await people.command('verify', '--repair')
  expect([again.code, again.json.repaired]).toEqual([EXIT.ok, 0])
  expect(await people.versions()).toEqual(before)
}, 90_000)

import { afterAll, expect, test } from 'vitest'
import { stopServers } from '../connectors/postgres/fixture-postgres.ts'
import { eventually } from '../server/fixture-hub.ts'
import { EXIT } from './exit-codes.ts'
import { People } from './fixture-people.ts'

afterAll(stopServers)

test('a backfill is taken back: what it created is gone, over a restart in the middle; what was there before, and what was edited since, stays and is listed', async () => {
  await using people = await People.open()
  const { left, right } = people
  await left.one(
    `INSERT INTO people (name, mail) SELECT 'n' || i, 'm' || i || '@x.test' FROM generate_series(1, 1500) i`,
  )
  await right.one(
    `INSERT INTO people (name, mail) SELECT 'n' || i, 'm' || i || '@x.test' FROM generate_series(1401, 1520) i`,
  )
  const before = [await people.rows(left), await people.rows(right)]
  const hub = await people.start()
  expect((await people.command('backfill', '--undo', '--yes')).code).toBe(EXIT.failure)
  expect((await people.command('backfill', '--yes')).code).toBe(EXIT.ok)
  await eventually(
    () => people.areEqual(),
    (equal) => equal,
  )
  expect((await people.rows(right)).length).toBe(1_520)

  // Created on the other side by day one, and changed there by its users; made by users after day one.
  await right.one(`UPDATE people SET name = 'edited' WHERE mail = 'm7@x.test'`)
  await left.one(`UPDATE people SET name = 'edited at home' WHERE mail = 'm8@x.test'`)
  await new Promise((resolve) => setTimeout(resolve, 600))
  await left.one(`INSERT INTO people (name, mail) VALUES ('later', 'later@x.test')`)
  await eventually(
    () => people.areEqual(),
    (equal) => equal,
  )

  expect((await people.command('backfill', '--undo')).code).toBe(EXIT.failure)
  expect((await people.rows(right)).length).toBe(1_521)
  await people.command('backfill', '--undo', '--yes', '--detach')
  hub.engine.kill()
  await people.stop()
  await people.start()
  const undone = await people.command('backfill', '--undo', '--yes')
  expect([undone.code, undone.json.state]).toEqual([EXIT.ok, 'done'])
  const counted = new Map((undone.json.progress as { app: string; left: string[] }[]).map((one) => [one.app, one]))
  const [edited] = await right.rows(`SELECT id FROM people WHERE mail = 'm7@x.test'`)
  // How many it took is told by the rows below: the undo that was cut off may have been over by then, and this one found nothing more.
  expect([counted.get('right')?.left, counted.get('left')?.left]).toEqual([[String(edited?.id)], []])

  const wanted = (rows: readonly Record<string, unknown>[]): Record<string, unknown>[] =>
    [...rows].sort((a, b) => (String(a.mail) < String(b.mail) ? -1 : 1))
  const after = async (): Promise<string> => JSON.stringify([await people.rows(left), await people.rows(right)])
  const [leftBefore = [], rightBefore = []] = before
  const leftWanted = leftBefore.map((row) =>
    row.mail === 'm7@x.test'
      ? { ...row, name: 'edited' }
      : row.mail === 'm8@x.test'
        ? { ...row, name: 'edited at home' }
        : row,
  )
  const later = { name: 'later', mail: 'later@x.test' }
  const rightWanted = [...rightBefore, { name: 'edited', mail: 'm7@x.test' }, later]
  const whole = JSON.stringify([wanted([...leftWanted, later]), wanted(rightWanted)])
  await eventually(after, (text) => text === whole)

  // It stays so, and what is kept is still kept equal: an edit at home of what was taken back creates nothing.
  await left.one(`UPDATE people SET name = 'again' WHERE mail IN ('m9@x.test', 'm7@x.test')`)
  await eventually(
    () => right.rows(`SELECT name FROM people WHERE mail = 'm7@x.test'`),
    (rows) => rows[0]?.name === 'again',
  )
  expect(await right.rows(`SELECT name FROM people WHERE mail = 'm9@x.test'`)).toEqual([])

  // One that is wanted after all is created again.
  const [kept] = await left.rows(`SELECT id FROM people WHERE mail = 'm9@x.test'`)
  expect((await people.command('undelete', 'person', `left:${kept?.id}`)).code).toBe(EXIT.ok)
  await eventually(
    () => right.rows(`SELECT name FROM people WHERE mail = 'm9@x.test'`),
    (rows) => rows[0]?.name === 'again',
  )
}, 120_000)

import { expect, test } from 'vitest'
import { runExample } from './run.ts'

test('the example keeps two databases of different shape equal', async () => {
  const said: string[] = []
  expect(await runExample((text) => said.push(text))).toEqual([
    ['Ada Lovelace', 'ada@example.test', '100.00'],
    ['Bob', 'bob@example.test', '0.00'],
    ['Cleo', 'cleo@example.test', '250.50'],
  ])
  expect(said).toHaveLength(2)
}, 60_000)

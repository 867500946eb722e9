import { expect, test } from 'vitest'
import { runExample } from './run.ts'

test('the example keeps a database and an HTTP application equal', async () => {
  const said: string[] = []
  expect(await runExample((text) => said.push(text))).toEqual([
    'Ada Lovelace  ada@example.test  250.50',
    'Cleo  cleo@example.test  7.50',
  ])
  expect(said).toHaveLength(2)
}, 60_000)

import { expect, test } from 'vitest'
import { hasMariadb } from '../../src/testing/mariadb-server.ts'
import { runExample } from './run.ts'

test.skipIf(!hasMariadb)(
  'the example keeps orders with their lines equal between PostgreSQL and MariaDB',
  async () => {
    const said: string[] = []
    expect(await runExample((text) => said.push(text))).toEqual([
      ['A-1', 'ada@example.test', 'picked', 1, 'screw', 100, '0.05'],
      ['A-1', 'ada@example.test', 'picked', 2, 'nail', 40, '0.03'],
      ['A-1', 'ada@example.test', 'picked', 3, 'bolt', 7, '1.25'],
      ['B-1', 'bob@example.test', 'new', null, null, null, null],
    ])
    expect(said).toHaveLength(3)
  },
  90_000,
)

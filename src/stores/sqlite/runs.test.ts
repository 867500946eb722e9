import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { runStoreSuite } from '../../testing/suites/run-store-suite.ts'
import { SqliteRunStore } from './runs.ts'

runStoreSuite({ describe, test, expect }, 'in SQLite', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'latchwork-runs-'))
  return {
    make: async () => new SqliteRunStore({ path: join(folder, 'flows.db') }),
    async [Symbol.asyncDispose]() {
      rmSync(folder, { recursive: true, force: true })
    },
  }
})

test('a second process cannot open the runs while the first has them', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'latchwork-runs-'))
  try {
    const path = join(folder, 'flows.db')
    await using first = new SqliteRunStore({ path })
    await first.open()
    await using second = new SqliteRunStore({ path })
    await expect(second.open()).rejects.toMatchObject({ code: 'store.in-use' })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

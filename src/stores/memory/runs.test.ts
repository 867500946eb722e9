import { describe, expect, test } from 'vitest'
import { runStoreSuite } from '../../testing/suites/run-store-suite.ts'
import { MemoryRunStore } from './runs.ts'

runStoreSuite({ describe, test, expect }, 'in memory', async () => {
  const disk = new MemoryRunStore()
  return { make: async () => disk, async [Symbol.asyncDispose]() {} }
})

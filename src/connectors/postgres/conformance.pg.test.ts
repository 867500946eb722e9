import { afterAll, describe, expect, test } from 'vitest'
import { sourceSuite } from '../../testing/suites/source-suite.ts'
import { targetSuite } from '../../testing/suites/target-suite.ts'
import { isInstalled, postgresDriver, stopServers } from './fixture-postgres.ts'

const runner = { describe, test, expect }

afterAll(stopServers)

for (const major of [15, 18]) {
  const there = await isInstalled(major)
  const suites = there ? runner : { ...runner, describe: describe.skip }
  targetSuite(suites, `PostgreSQL ${major}`, postgresDriver(major, true))
  sourceSuite(suites, `PostgreSQL ${major}`, postgresDriver(major, false))
}

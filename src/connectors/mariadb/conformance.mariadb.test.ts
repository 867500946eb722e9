import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hasMariadb, type MariadbServer, startMariadb } from '../../testing/mariadb-server.ts'
import { sourceSuite } from '../../testing/suites/source-suite.ts'
import { targetSuite } from '../../testing/suites/target-suite.ts'
import { polling } from '../polling/config.ts'
import { fakeDriver } from './fake-driver.ts'

const runner = { describe, test, expect }

describe.skipIf(!hasMariadb)('on MariaDB', () => {
  let server: MariadbServer
  beforeAll(async () => {
    server = await startMariadb({ 'log-bin-trust-function-creators': '1' })
  }, 60_000)
  afterAll(() => server?.close())

  for (const changes of ['binlog', 'triggers', polling({ everyMs: 10 })] as const) {
    const name = typeof changes === 'string' ? changes : 'polling'
    const driver = fakeDriver(() => server, changes)
    targetSuite(runner, `mariadb, ${name}`, driver)
    sourceSuite(runner, `mariadb, ${name}`, driver)
  }
})

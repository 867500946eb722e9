import { describe, expect, test } from 'vitest'
import { sourceSuite } from '../../testing/suites/source-suite.ts'
import { targetSuite } from '../../testing/suites/target-suite.ts'
import { fakeDriver } from './fake-driver.ts'

const runner = { describe, test, expect }

// With a write-ahead log a writer never keeps readers out, so there it cannot be made to.
targetSuite(runner, 'sqlite, WAL', fakeDriver('wal', ['overloaded']))
sourceSuite(runner, 'sqlite, WAL', fakeDriver('wal'))
targetSuite(runner, 'sqlite, rollback journal', fakeDriver('delete', ['overloaded']))
sourceSuite(runner, 'sqlite, rollback journal', fakeDriver('delete', ['overloaded']))

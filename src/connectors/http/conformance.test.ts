import { describe, expect, test } from 'vitest'
import { sourceSuite } from '../../testing/suites/source-suite.ts'
import { targetSuite } from '../../testing/suites/target-suite.ts'
import { fakeDriver } from './fake-driver.ts'

const runner = { describe, test, expect }

targetSuite(runner, 'http, class A, version in a field', fakeDriver({ form: 'A' }))
targetSuite(runner, 'http, class A, version in an ETag, empty replies', fakeDriver({ form: 'A', version: 'etag' }))
targetSuite(runner, 'http, class C', fakeDriver({ form: 'C' }))
sourceSuite(runner, 'http, class A', fakeDriver({ form: 'A' }))
sourceSuite(runner, 'http, class C, pushes that are only an id', fakeDriver({ form: 'C' }))

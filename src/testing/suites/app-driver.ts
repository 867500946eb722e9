import type { Capabilities } from '../../model/capabilities.ts'
import {
  asCorrelationId,
  asOpId,
  type CorrelationId,
  type NativeId,
  type ObjectId,
  type OpId,
} from '../../model/ids.ts'
import type { NativeRecord } from '../../model/value.ts'
import type { Connector, RawRequest, WriteOp } from '../../ports/app.ts'

/** What the suites need of a test runner. Vitest's fits as it is; the package itself depends on none. */
export interface SuiteRunner {
  describe(name: string, body: () => void): unknown
  readonly test: {
    (title: string, body: () => Promise<void> | void): unknown
    skip(title: string, body: () => Promise<void> | void): unknown
  }
  expect(value: unknown): { toBe(expected: unknown): unknown; toEqual(expected: unknown): unknown }
}

/**
 * What the far system can be made to do wrong. down: accepts no connection. overloaded: says that it cannot now, no effect. denied: refuses our credentials.
 * rejects: refuses the content. silent: takes a request and never answers, no effect. lost-reply: the effect happens, the connection ends without a reply.
 * silent-after: the effect happens, no answer ever. garbage: answers a success in words that nobody can read.
 */
export type AppFault =
  | 'down'
  | 'overloaded'
  | 'denied'
  | 'rejects'
  | 'silent'
  | 'lost-reply'
  | 'silent-after'
  | 'garbage'

/** A far system under test: reached through the connector, and behind its back. */
export interface AppUnderTest extends AsyncDisposable {
  readonly connector: Connector
  readonly object: ObjectId
  /** A valid record that differs with `n`, without id and version. */
  sample(n: number): NativeRecord
  /** The field of `sample` that the suite edits; it takes any text. */
  readonly textField: string
  /** Behind the connector's back, as a user of the application would. */
  create(record: NativeRecord): Promise<NativeId>
  edit(nativeId: NativeId, patch: NativeRecord): Promise<void>
  delete(nativeId: NativeId): Promise<void>
  /** The record as it stands in the far system; undefined when there is none. */
  peek(nativeId: NativeId): Promise<NativeRecord | undefined>
  ids(): Promise<readonly NativeId[]>
  /** From now on; 'none' makes it well again. */
  fault(fault: AppFault | 'none'): Promise<void>
  /** The push that the application would send about the record as it is now, authenticated. */
  push?(nativeId: NativeId): Promise<RawRequest>
  /** The path and method of a push are the source's; only what proves the sender is taken away. */
  withoutCredentials?(request: RawRequest): RawRequest
}

export interface AppDriver {
  readonly capabilities: Capabilities
  readonly faults: readonly AppFault[]
  /** A push's body is signed, so that a changed byte is found out. */
  readonly signsBody: boolean
  /** The application sends requests; unless said, where its letter is F2 or F0. A database tells of every change and never does. */
  readonly pushes?: boolean
  /** The source has feeds that are read by cursor. */
  readonly hasFeed: boolean
  /** A fresh, empty far system. */
  open(): Promise<AppUnderTest>
}

/** Declares a test that runs where `reason` is null, and is reported as skipped, by name and reason, elsewhere. */
export function guarantee(
  runner: SuiteRunner,
  driver: AppDriver,
  title: string,
  reason: string | null | false,
  body: (app: AppUnderTest) => Promise<void>,
): void {
  const run = async (): Promise<void> => {
    await using app = await driver.open()
    await body(app)
  }
  if (typeof reason === 'string') runner.test.skip(`${title} (not here: ${reason})`, run)
  else runner.test(title, run)
}

/** Long enough for a reply over a loaded test machine, short enough to wait for in a test. */
export const SUITE_DEADLINE_MS = 5_000
/** A deadline that a silent application is sure to miss. */
export const SHORT_DEADLINE_MS = 250

let lastOp = 0

/** A write with everything in it that a careful target may use. */
export function writeOp(app: AppUnderTest, given: Partial<WriteOp> & Pick<WriteOp, 'kind'>): WriteOp {
  const n = ++lastOp
  return {
    op: asOpId(`suite.1.record${n}.app.${n}`),
    object: app.object,
    nativeId: null,
    patch: {},
    full: {},
    baseToken: null,
    baseValues: {},
    correlationId: asCorrelationId(`suite-${n}`),
    resend: false,
    ...given,
  }
}

export const createOp = (
  app: AppUnderTest,
  n: number,
  given: { op?: OpId; correlationId?: CorrelationId } = {},
): WriteOp => writeOp(app, { kind: 'create', patch: app.sample(n), full: app.sample(n), ...given })

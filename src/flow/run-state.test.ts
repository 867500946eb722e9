import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SyncError } from '../errors/index.ts'
import { type Attempt, isOver, type Message, type Run, TIMELINE_MAX } from '../model/flow.ts'
import { asFlowName, asJournalPosition } from '../model/ids.ts'
import {
  afterAttempt,
  cancelledRun,
  inDoubt,
  knows,
  type RunHappening,
  receivedRun,
  releasedRun,
  resolvedRun,
  startedRun,
} from './run-state.ts'

fc.configureGlobal({ seed: 20_261_125 })

const message: Message = { origin: 'test', properties: {}, body: 1 }
const retries = { attemptsMax: 4, firstMs: 100, maxMs: 1_000 }
const fresh = (): Run => receivedRun(asFlowName('f'), asJournalPosition(3), 50, null, message)
const errors = {
  retry: new SyncError('flow.failed', 'again'),
  park: new SyncError('flow.refused', 'never'),
  slow: new SyncError('flow.call-failed', 'later', { retryAfterMs: 700 }),
}

type Step = { readonly does: RunHappening; readonly how: number; readonly ms: number; readonly jitter: number }
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    does: fc.constantFrom<RunHappening>(
      'start',
      'start',
      'succeed',
      'fail',
      'fail',
      'lose',
      'resolve',
      'release',
      'cancel',
    ),
    how: fc.nat(2),
    ms: fc.nat(10_000),
    jitter: fc.double({ min: 0, max: 0.999, noNaN: true }),
  }),
  { maxLength: 60 },
)

function apply(run: Run, { does, how, jitter }: Step, nowMs: number): Run {
  const end = (attempt: Attempt, doubts: boolean): Run =>
    afterAttempt(run, attempt, { nowMs, jitter, retries, message, doubts })
  const error = Object.values(errors)[how] as SyncError
  switch (does) {
    case 'start':
      return startedRun(run, nowMs)
    case 'succeed':
      return end({ ended: 'done', result: 7 }, false)
    case 'fail':
      return end({ ended: how === 2 ? 'unknown' : 'failed', error }, false)
    case 'lose':
      return run.state === 'running' ? end({ ended: 'unknown', error }, true) : inDoubt(run, error, message, nowMs)
    case 'resolve':
      return resolvedRun(run, (['done', 'rerun', 'park'] as const)[how] as 'done', retries.attemptsMax, nowMs)
    case 'release':
      return releasedRun(run, nowMs)
    case 'cancel':
      return cancelledRun(run, nowMs)
  }
}

describe('the life of a run', () => {
  test('whatever happens, what its state knows succeeds, what it does not is refused, and the row stays true', () => {
    fc.assert(
      fc.property(steps, (all) => {
        let run = fresh()
        let nowMs = 50
        for (const step of all) {
          nowMs += step.ms
          if (!knows(run.state, step.does)) {
            expect(() => apply(run, step, nowMs)).toThrow(/cannot happen/)
            continue
          }
          const before = run
          run = apply(run, step, nowMs)
          expect(run.endedAtMs !== null).toBe(isOver(run.state))
          expect(run.timeline.length).toBeLessThanOrEqual(TIMELINE_MAX)
          expect(run.timeline[0]).toEqual({ atMs: 50, what: 'received' })
          expect(run.timeline.at(-1)?.atMs).toBe(nowMs)
          // Until it is over its message is there to be tried with; then nobody needs it.
          if (run.state !== 'running') expect(run.message === null).toBe(isOver(run.state))
          if (run.state === 'retry') expect(run.attempts).toBeLessThan(retries.attemptsMax)
          if (run.state === 'retry' && step.does === 'fail') {
            const waitMs = run.notBeforeMs - nowMs
            expect(waitMs).toBeGreaterThanOrEqual(step.how === 2 ? 700 : 50)
            expect(waitMs).toBeLessThanOrEqual(retries.maxMs)
          }
          expect(run.attempts - before.attempts).toBe(
            step.does === 'start' ? 1 : step.does === 'release' ? 0 - before.attempts : 0,
          )
        }
      }),
      { numRuns: 400 },
    )
  })

  test('an attempt that fails for good parks at once; one that may pass is tried until its attempts are used up', () => {
    const fail = (run: Run, error: SyncError): Run =>
      afterAttempt(run, { ended: 'failed', error }, { nowMs: 60, jitter: 0.5, retries, message, doubts: false })
    expect(fail(startedRun(fresh(), 55), errors.park)).toMatchObject({ state: 'parked', code: 'flow.refused' })
    let run = fresh()
    const states: string[] = []
    for (let i = 0; i < retries.attemptsMax; i++) {
      run = fail(startedRun(run, 55), errors.retry)
      states.push(run.state)
    }
    expect(states).toEqual(['retry', 'retry', 'retry', 'parked'])
    expect(run.reason).toBe('again (after 4 attempts)')
  })

  test('a message that ends the process each time is not tried for ever', () => {
    let run = fresh()
    for (let i = 0; i < retries.attemptsMax; i++) {
      run = inDoubt(startedRun(run, 60), new SyncError('flow.in-doubt', 'the hub ended'), message, 70)
      run = resolvedRun(run, 'rerun', retries.attemptsMax, 80)
    }
    expect(run).toMatchObject({ state: 'parked', code: 'flow.in-doubt' })
  })
})

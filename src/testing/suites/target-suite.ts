import { systemClock } from '../../lib/system-clock.ts'
import type { Outcome } from '../../model/change.ts'
import { compareTokens, type NativeId, type Token } from '../../model/ids.ts'
import type { NativeRecord } from '../../model/value.ts'
import type { WriteOp } from '../../ports/app.ts'
import {
  type AppDriver,
  type AppFault,
  type AppUnderTest,
  createOp,
  guarantee,
  SHORT_DEADLINE_MS,
  SUITE_DEADLINE_MS,
  type SuiteRunner,
  writeOp,
} from './app-driver.ts'

/** What every Target promises (src/ports/app.ts). Run it for each connector, in each form of application that it knows. */
export function targetSuite(runner: SuiteRunner, name: string, driver: AppDriver): void {
  const { expect } = runner
  const { capabilities } = driver
  const lacks = (fault: AppFault): string | null =>
    driver.faults.includes(fault) ? null : `the driver cannot make the application ${fault}`
  const check = (title: string, reason: string | null | false, body: (app: AppUnderTest) => Promise<void>): void =>
    guarantee(runner, driver, title, reason, body)

  runner.describe(`target: ${name}`, () => {
    check('a create makes exactly one record, and its outcome names it', null, async (app) => {
      const outcome = await writeOne(app, createOp(app, 1))
      expect(outcome.result).toBe('applied')
      expect(await app.ids()).toEqual([outcome.nativeId])
      expect(pick(await app.peek(outcome.nativeId as NativeId), app.sample(1))).toEqual(app.sample(1))
    })

    check(
      'a create stores the correlation id',
      capabilities.correlation ? null : 'the application keeps none',
      async (app) => {
        const op = createOp(app, 1)
        const { nativeId } = await writeOne(app, op)
        const [read] = await app.connector.source.readRecords(
          [{ object: app.object, nativeId: nativeId as NativeId }],
          never(),
        )
        expect(read?.correlationId).toBe(op.correlationId)
      },
    )

    check('an update changes what it names, and leaves the rest', null, async (app) => {
      const nativeId = await app.create(app.sample(1))
      const outcome = await writeOne(app, await updateOf(app, nativeId, 'after'))
      expect(outcome.result).toBe('applied')
      const expected = { ...app.sample(1), [app.textField]: 'after' }
      expect(pick(await app.peek(nativeId), expected)).toEqual(expected)
    })

    check('text arrives as it left: quotes, controls, any script', null, async (app) => {
      const nativeId = await app.create(app.sample(1))
      const text = '"\\\u0001 \u00df \u6f22 \ud83d\ude00 </script> \u2028'
      expect((await writeOne(app, await updateOf(app, nativeId, text))).result).toBe('applied')
      expect((await app.peek(nativeId))?.[app.textField]).toBe(text)
    })

    check('a delete takes the record away, and deleting what is not there is gone', null, async (app) => {
      const nativeId = await app.create(app.sample(1))
      const baseToken = await tokenOf(app, nativeId)
      expect((await writeOne(app, writeOp(app, { kind: 'delete', nativeId, baseToken }))).result).toBe('applied')
      expect(await app.ids()).toEqual([])
      expect((await writeOne(app, writeOp(app, { kind: 'delete', nativeId, baseToken }))).result).toBe('gone')
    })

    check('a write to a record that does not exist is gone, never a create', null, async (app) => {
      const nativeId = await app.create(app.sample(1))
      await app.delete(nativeId)
      const op = writeOp(app, { kind: 'update', nativeId, patch: app.sample(2), full: app.sample(2) })
      expect((await writeOne(app, op)).result).toBe('gone')
      expect(await app.ids()).toEqual([])
    })

    const blind = capabilities.condition === 'C2' ? null : 'the application takes no conditional writes'
    check('a write refused by its condition changed nothing', blind, async (app) => {
      const nativeId = await app.create(app.sample(1))
      const stale = await updateOf(app, nativeId, 'ours')
      const baseValues = app.sample(1)
      const staleDelete = writeOp(app, { kind: 'delete', nativeId, baseToken: stale.baseToken, baseValues })
      await app.edit(nativeId, { [app.textField]: 'theirs' })
      expect((await writeOne(app, stale)).result).toBe('conflict')
      expect((await writeOne(app, staleDelete)).result).toBe('conflict')
      expect((await app.peek(nativeId))?.[app.textField]).toBe('theirs')
    })

    check(
      'the token of an outcome is the version that a read then finds, and the base of the next write',
      capabilities.reply.token ? null : 'its replies name no token',
      async (app) => {
        const created = await writeOne(app, createOp(app, 1))
        const nativeId = created.nativeId as NativeId
        // A place in a log is reached or passed by reads; and what is new there needs none.
        const isLog = capabilities.feed === 'F3'
        if (!isLog) expect(created.token).toBe(await tokenOf(app, nativeId))
        const updated = await writeOne(app, await updateOf(app, nativeId, 'second', created.token ?? null))
        expect(updated.result).toBe('applied')
        expect(updated.token === created.token).toBe(false)
        const read = (await tokenOf(app, nativeId)) as Token
        if (isLog) expect(compareTokens(read, updated.token as Token) >= 0).toBe(true)
        else expect(updated.token).toBe(read)
      },
    )

    const noKeyedCreate = capabilities.idempotency === 'none' ? 'the application takes no idempotency keys' : null
    check('the same idempotency key applied twice has one effect and the same reply', noKeyedCreate, async (app) => {
      const op = createOp(app, 1)
      const first = await writeOne(app, op)
      const second = await writeOne(app, { ...op, resend: true })
      // What is told again is the same; a place in a log may be known only when it is first told.
      expect({ ...first, ...second }).toEqual(first)
      expect(await app.ids()).toEqual([first.nativeId])
    })

    const noKeyedUpdate = capabilities.idempotency === 'all' ? null : 'updates take no idempotency keys'
    check(
      'an update sent again under its key is applied, though its condition is stale by now',
      noKeyedUpdate,
      async (app) => {
        const nativeId = await app.create(app.sample(1))
        const op = await updateOf(app, nativeId, 'once')
        const first = await writeOne(app, op)
        expect({ ...first, ...(await writeOne(app, { ...op, resend: true })) }).toEqual(first)
      },
    )

    for (const fault of ['silent', 'silent-after'] as const) {
      check(`a timed-out write is reported unknown, never applied or refused (${fault})`, lacks(fault), async (app) => {
        const nativeId = await app.create(app.sample(1))
        const op = await updateOf(app, nativeId, 'late')
        await app.fault(fault)
        const startedMs = systemClock.monotonicMs()
        expect((await writeOne(app, op, SHORT_DEADLINE_MS)).result).toBe('unknown')
        expect(systemClock.monotonicMs() - startedMs < SUITE_DEADLINE_MS).toBe(true)
      })
    }

    check('a write whose reply is lost is unknown, and may have been applied', lacks('lost-reply'), async (app) => {
      await app.fault('lost-reply')
      expect((await writeOne(app, createOp(app, 1))).result).toBe('unknown')
      expect((await app.ids()).length).toBe(1)
    })

    check(
      'a create whose reply was lost, sent again under its key, is one record',
      lacks('lost-reply') ?? noKeyedCreate,
      async (app) => {
        const op = createOp(app, 1)
        await app.fault('lost-reply')
        await writeOne(app, op)
        await app.fault('none')
        const outcome = await writeOne(app, { ...op, resend: true })
        expect(outcome.result).toBe('applied')
        expect(await app.ids()).toEqual([outcome.nativeId])
      },
    )

    check('a success that nobody can read is unknown', lacks('garbage'), async (app) => {
      await app.fault('garbage')
      expect((await writeOne(app, createOp(app, 1))).result).toBe('unknown')
    })

    check('an application that is down refuses for now, and nothing was applied', lacks('down'), async (app) => {
      const nativeId = await app.create(app.sample(1))
      const op = await updateOf(app, nativeId, 'never')
      await app.fault('down')
      const outcome = await writeOne(app, op)
      await app.fault('none')
      // A connection that was open may break with the request on it; then nobody can say that nothing was applied.
      expect(['refused', 'unknown'].includes(outcome.result)).toBe(true)
      await app.fault('down')
      const again = await writeOne(app, { ...op, resend: true })
      expect([again.result, again.handling, again.code]).toEqual(['refused', 'retry', 'target.unreachable'])
      await app.fault('none')
      expect((await app.peek(nativeId))?.[app.textField]).toBe(app.sample(1)[app.textField])
    })

    check('an application that cannot now is asked again later', lacks('overloaded'), async (app) => {
      await app.fault('overloaded')
      const outcome = await writeOne(app, createOp(app, 1))
      expect([outcome.result, outcome.handling, outcome.code]).toEqual(['refused', 'retry', 'target.unavailable'])
      expect(await app.ids()).toEqual([])
    })

    check('wrong credentials set the lane aside', lacks('denied'), async (app) => {
      await app.fault('denied')
      const outcome = await writeOne(app, createOp(app, 1))
      expect([outcome.result, outcome.handling, outcome.code]).toEqual(['refused', 'park', 'target.unauthorized'])
    })

    check('content that the application refuses sets the lane aside, in its words', lacks('rejects'), async (app) => {
      await app.fault('rejects')
      const outcome = await writeOne(app, createOp(app, 1))
      expect([outcome.result, outcome.handling, outcome.code]).toEqual(['refused', 'park', 'target.rejected'])
      expect((outcome.message ?? '').length > 0).toBe(true)
    })

    check('one outcome per op, in order, whatever happens', null, async (app) => {
      const kept = await app.create(app.sample(1))
      const lost = await app.create(app.sample(2))
      await app.delete(lost)
      const ops = [
        await updateOf(app, kept, 'kept'),
        writeOp(app, { kind: 'update', nativeId: lost, patch: app.sample(3), full: app.sample(3) }),
        createOp(app, 4),
        { ...createOp(app, 5), object: 'no-such-object' as WriteOp['object'] },
      ]
      const outcomes: Outcome[] = []
      for (let i = 0; i < ops.length; i += capabilities.batchMax)
        outcomes.push(
          ...(await app.connector.target.write(ops.slice(i, i + capabilities.batchMax), SUITE_DEADLINE_MS, never())),
        )
      expect(outcomes.map(({ op }) => op)).toEqual(ops.map(({ op }) => op))
      expect(outcomes.map(({ result }) => result)).toEqual(['applied', 'gone', 'applied', 'refused'])
    })

    check('a cancelled write ends at once and is not reported applied', lacks('silent'), async (app) => {
      const cancel = new AbortController()
      await app.fault('silent')
      const pending = app.connector.target.write([createOp(app, 1)], SUITE_DEADLINE_MS, cancel.signal)
      await pause(50)
      cancel.abort()
      expect((await pending)[0]?.result).toBe('unknown')
      const [late] = await app.connector.target.write([createOp(app, 2)], SUITE_DEADLINE_MS, cancel.signal)
      expect([late?.result, late?.handling]).toEqual(['refused', 'retry'])
    })

    check('closing twice is closing once', null, async (app) => {
      await app.connector.target.close()
      await app.connector.target.close()
    })
  })
}

const never = (): AbortSignal => new AbortController().signal
const pause = (ms: number): Promise<void> => new Promise((resolve) => systemClock.timer(ms, resolve))

async function writeOne(app: AppUnderTest, op: WriteOp, deadlineMs = SUITE_DEADLINE_MS): Promise<Outcome> {
  const [outcome] = await app.connector.target.write([op], deadlineMs, never())
  return outcome as Outcome
}

async function tokenOf(app: AppUnderTest, nativeId: NativeId): Promise<Token | null> {
  const [read] = await app.connector.source.readRecords([{ object: app.object, nativeId }], never())
  return read?.token ?? null
}

/** Based on the record as it is now: on its version, and on the old value of what it changes. */
async function updateOf(app: AppUnderTest, nativeId: NativeId, text: string, base?: Token | null): Promise<WriteOp> {
  const [read] = await app.connector.source.readRecords([{ object: app.object, nativeId }], never())
  const baseToken = base === undefined ? (read?.token ?? null) : base
  const old = read?.record?.[app.textField]
  const full = { ...app.sample(1), [app.textField]: text }
  const baseValues: NativeRecord = old === undefined ? {} : { [app.textField]: old }
  return writeOp(app, { kind: 'update', nativeId, patch: { [app.textField]: text }, full, baseToken, baseValues })
}

/** The fields that the suite knows of; an application may keep more. */
function pick(record: Readonly<Record<string, unknown>> | undefined, like: object): unknown {
  return record && Object.fromEntries(Object.keys(like).map((name) => [name, record[name]]))
}

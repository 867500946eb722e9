import { describe, expect, test } from 'vitest'
import { latest } from '../../index.ts'
import { systemClock } from '../../lib/system-clock.ts'
import { Ring, ringHub } from '../broker/fixture-ring.ts'
import { AMQP_URL, eventually, hasAmqp, Peer } from './fixture-amqp.ts'
import { createAmqpConnector } from './index.ts'

describe.skipIf(!hasAmqp)('three hubs in a ring of queues', () => {
  test('come to rest, hold the same, and have told each other a bounded number of times', async () => {
    await using peer = await Peer.open()
    const names = [0, 1, 2].map(() => ({ exchange: peer.name(), queue: peer.name() }))
    const watch = await peer.queue()
    for (const { exchange } of names) {
      peer.ownExchange(exchange)
      await peer.channel.assertExchange(exchange, 'fanout', { durable: true })
      await peer.channel.bindQueue(watch, exchange, '')
    }
    await using ring = new Ring()
    for (const [n, { exchange, queue }] of names.entries()) {
      const from = names[(n + 2) % 3]?.exchange ?? ''
      const definition = ringHub({
        url: AMQP_URL,
        consume: { queue, declare: 'quorum', bind: { exchange: from } },
        publish: { exchange },
        conflicts: latest({ skewMs: 0 }),
      })
      await ring.add(definition, (app, clock) => {
        const made = definition.apps.get(app)
        if (made?.kind !== 'amqp') throw new Error(`${app} is not of the config`)
        return createAmqpConnector(made.options, {
          clock: { ...systemClock, nowMs: () => clock.nowMs() },
          log: { log: () => {} },
        })
      })
    }
    for (const { queue } of names)
      await eventually(
        () => peer.ready(queue).catch(() => -1),
        (count) => count >= 0,
      )
    ring.crms[0]?.create('persons', { name: 'Ada', city: 'none', mood: 'none' })
    await eventually(
      () => ring.state(),
      (states) => states.every((state) => state === 'Ada none none'),
    )
    // Everybody edits everything at once, again and again.
    const rounds = 10
    for (let round = 0; round < rounds; round++)
      for (const [n, app] of ring.crms.entries()) {
        const [row] = app.list('persons')
        app.edit('persons', row?.id ?? '', { city: `c${round}.${n}`, mood: `m${round}.${n}` })
        if (n === round % 3) await new Promise((resolve) => setTimeout(resolve, 3 * round))
      }
    await eventually(
      async () => {
        const isAgreed = new Set(ring.state()).size === 1 && ring.isQuiet
        return isAgreed && (await Promise.all(names.map(({ queue }) => peer.ready(queue)))).every((n) => n === 0)
      },
      (isOver) => isOver,
    )
    const told = await peer.ready(watch)
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    expect(await peer.ready(watch)).toBe(told)
    // Each of 31 changes is told at most once by each hub, and at most once more where it came back to a value.
    expect(told).toBeLessThanOrEqual(2 * 3 * (1 + 3 * rounds))
    // An edit that met a write of its hub was found by a read, and counts from then: which was the last, the hubs decide.
    const [state, ...others] = ring.state()
    expect(others).toEqual([state, state])
    expect(state).toMatch(/^Ada c\d\.\d m\d\.\d$/)
  })
})

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { defineHub } from '../../config/define-hub.ts'
import { flow } from '../../config/flow.ts'
import { collectingLog, temporaryFolder } from '../../server/fixture-hub.ts'
import { startHub } from '../../server/hub.ts'
import { hasRabbitmq, startRabbitmq } from '../../testing/rabbitmq-server.ts'
import { HubProcess, resultsOf, sourceUrl } from '../broker/fixture-process.ts'
import { http } from '../http/index.ts'
import { AMQP_URL, eventually, hasAmqp, Peer } from './fixture-amqp.ts'
import { rabbitmq } from './index.ts'

/** The hub, and the broker, killed without warning while messages are sent. */

function writeConfig(file: string, queue: string): void {
  writeFileSync(
    file,
    `import { defineHub, flow } from '${sourceUrl('index.ts')}'
     import { rabbitmq } from '${sourceUrl('connectors/amqp/index.ts')}'
     import { z } from '${import.meta.resolve('zod')}'
     const broker = rabbitmq({ url: '${AMQP_URL}' })
     const orders = flow('orders', {
       listen: broker.queue('${queue}'), input: z.object({ n: z.int() }), run: ({ message }) => message.body.n,
     })
     const check = flow('check', {
       listen: broker.queue('${queue}.check'), output: z.int(), run: ({ message }) => message.body * 2,
     })
     export default defineHub({ apps: {}, flows: [orders, check] })`,
  )
}

const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, n) => n)

describe.skipIf(!hasAmqp)('the hub is killed', () => {
  test.each(['classic', 'quorum'] as const)(
    'nothing that a %s queue gave is lost or run twice, and who asks is answered',
    async (kind) => {
      using folder = temporaryFolder()
      await using peer = await Peer.open()
      const queue = await peer.queue(kind)
      await peer.channel.assertQueue(`${queue}.check`, { durable: true })
      const config = join(folder.path, 'latchwork.config.ts')
      writeConfig(config, queue)
      // All of it is there from the beginning, so that every life is killed in the midst of taking.
      const total = 6_000
      await Promise.all(upTo(total).map((n) => peer.send(queue, { n }, { messageId: `k${n}` })))
      for (let life = 0; life < 5; life++) {
        await using hub = await new HubProcess(config, folder.path).ready()
        const before = (await resultsOf(hub.url, 'orders')).length
        await eventually(
          () => resultsOf(hub.url, 'orders'),
          (results) => results.length > before,
        )
        await hub.end(life === 3 ? 'SIGTERM' : 'SIGKILL')
      }
      expect(await peer.ready(queue)).toBeGreaterThan(0)
      // Asked while nobody is there: the request waits at the broker.
      const asked = peer.ask(`${queue}.check`, 21)
      await using hub = await new HubProcess(config, folder.path).ready()
      expect((await asked).content.toString()).toBe('42')
      const results = await eventually(
        () => resultsOf(hub.url, 'orders'),
        (found) => found.length >= total,
      )
      expect(results).toEqual(upTo(total))
      await hub.end('SIGTERM')
      expect(await peer.ready(queue)).toBe(0)
      await peer.channel.deleteQueue(`${queue}.check`)
    },
  )
})

describe.skipIf(!hasRabbitmq)('the broker', () => {
  test('is killed and comes back: what it confirmed runs once; while its memory is short a reply waits', async () => {
    using folder = temporaryFolder()
    await using server = await startRabbitmq()
    const broker = rabbitmq({ url: server.url })
    const seen: number[] = []
    const gates: (() => void)[] = []
    const orders = flow('orders', {
      listen: broker.queue('orders', { declare: 'classic' }),
      input: z.object({ n: z.int() }),
      run: ({ message }) => void seen.push(message.body.n),
    })
    const check = flow('check', {
      listen: broker.queue('check', { declare: 'classic' }),
      output: z.string(),
      run: () => new Promise<string>((resolve) => gates.push(() => resolve('yes'))),
    })
    const log = collectingLog()
    const definition = defineHub({ apps: { a: http({ baseUrl: 'http://127.0.0.1:9' }) }, flows: [orders, check] })
    await using hub = await startHub({ definition, dataDir: folder.path, env: {}, log, port: 0 })
    let confirmed = 0
    for (let life = 0; life < 2; life++) {
      await using peer = (await eventually(
        () => Peer.open(server.url).catch(() => null),
        (found) => found !== null,
      )) as Peer
      await eventually(
        () => peer.ready('check').catch(() => -1),
        (count) => count >= 0,
      )
      const sends = upTo(300).map((n) =>
        peer.send('orders', { n: life * 300 + n }, { messageId: `b${life * 300 + n}` }).then(
          () => confirmed++,
          () => undefined,
        ),
      )
      await eventually(
        async () => confirmed,
        (count) => count >= life * 300 + 150,
      )
      await server.kill()
      await Promise.race([Promise.all(sends), new Promise((resolve) => setTimeout(resolve, 500))])
      await server.start()
    }
    await using peer = await Peer.open(server.url)
    await eventually(
      () => peer.ready('orders'),
      (count) => count === 0,
    )
    await eventually(
      async () => new Set(seen).size,
      (count) => count >= confirmed,
    )
    // What was confirmed is there; nothing is there twice, although much was delivered twice.
    expect(new Set(seen).size).toBe(seen.length)
    await eventually(
      async () => log.lines.filter((line) => line.includes('connected again')).length,
      (count) => count >= 2,
    )
    // Its memory is short: what is published is not read, so the reply waits, and goes out afterwards.
    const reply = peer.ask('check', null)
    let isAnswered = false
    void reply.then(() => {
      isAnswered = true
    })
    await eventually(
      async () => gates.length,
      (count) => count === 1,
    )
    await server.control('set_vm_memory_high_watermark', '0.00001')
    gates[0]?.()
    await eventually(
      async () => log.lines.find((line) => line.includes('takes nothing that is published')),
      (line) => line !== undefined,
    )
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(isAnswered).toBe(false)
    await server.control('set_vm_memory_high_watermark', '0.4')
    expect((await reply).content.toString()).toBe('"yes"')
    expect(hub.flows.failed).toBe(null)
  })
})

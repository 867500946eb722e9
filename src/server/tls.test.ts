import { X509Certificate } from 'node:crypto'
import { request } from 'node:https'
import { connect } from 'node:net'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { run as runCommand } from '../cli/program.ts'
import { http, mutualTls, post } from '../connectors/http/index.ts'
import { defineHub, env, flow } from '../index.ts'
import {
  CLIENT_CA,
  CLIENT_CERT,
  CLIENT_KEY,
  HUB_CERT,
  HUB_KEY,
  STRANGER_CERT,
  STRANGER_KEY,
} from './fixture-certificates.ts'
import { collectingLog, temporaryFolder } from './fixture-hub.ts'
import { type RunningHub, startHub } from './hub.ts'

const fingerprint = new X509Certificate(STRANGER_CERT).fingerprint256

const verified = {
  bySubject: mutualTls({ subject: 'CN=sender,O=Acme' }),
  byFingerprint: mutualTls({ fingerprint }),
}

const definition = defineHub({
  apps: { nobody: http({ baseUrl: 'http://127.0.0.1:9' }) },
  flows: [
    flow('known', { listen: post('/subject', { verify: verified.bySubject }), output: z.string(), run: () => 'known' }),
    flow('pinned', {
      listen: post('/fingerprint', { verify: verified.byFingerprint }),
      output: z.string(),
      run: () => 'pinned',
    }),
  ],
  listener: { tls: { cert: env('TLS_CERT'), key: env('TLS_KEY'), clients: { ca: CLIENT_CA } } },
})

const started = (dataDir: string, more: Record<string, string> = {}): Promise<RunningHub> =>
  startHub({
    definition,
    dataDir,
    env: { TLS_CERT: HUB_CERT, TLS_KEY: HUB_KEY, ...more },
    log: collectingLog(),
    port: 0,
  })

/** Status and body of a POST by a sender who believes the hub's certificate. */
function sent(hub: RunningHub, path: string, shows: { cert?: string; key?: string } = {}): Promise<[number, string]> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: hub.port, path, method: 'POST', ca: HUB_CERT, agent: false, ...shows }
    const asked = request({ ...options, headers: { 'content-type': 'application/json' } }, (answer) => {
      let text = ''
      answer.setEncoding('utf8').on('data', (more: string) => (text += more))
      answer.on('end', () => resolve([answer.statusCode ?? 0, text]))
    })
    asked.on('error', reject)
    asked.end('{}')
  })
}

describe('a hub that ends TLS itself', () => {
  test('knows a sender by the certificate that its authority issued, and by a fingerprint', async () => {
    using folder = temporaryFolder()
    await using hub = await started(folder.path)
    expect(hub.url).toBe(`https://127.0.0.1:${hub.port}`)
    const client = { cert: CLIENT_CERT, key: CLIENT_KEY }
    const stranger = { cert: STRANGER_CERT, key: STRANGER_KEY }
    expect(await sent(hub, '/subject', client)).toEqual([200, '"known"'])
    // Anybody can write a name into a certificate of their own.
    expect((await sent(hub, '/subject', stranger))[0]).toBe(401)
    expect(await sent(hub, '/fingerprint', stranger)).toEqual([200, '"pinned"'])
    expect((await sent(hub, '/fingerprint', client))[0]).toBe(401)
    const [status, text] = await sent(hub, '/subject')
    expect([status, (JSON.parse(text) as { code: string }).code]).toEqual([401, 'intake.unauthenticated'])
  })

  test('is found by the commands of its machine, which know it by its certificate and no other', async () => {
    using folder = temporaryFolder()
    // One that an authority issued, whom this machine does not know, and for another name than that by which it is reached.
    await using hub = await started(folder.path, { TLS_CERT: CLIENT_CERT, TLS_KEY: CLIENT_KEY })
    const status = async (): Promise<{ code: number; out: string; err: string }> => {
      let [out, err] = ['', '']
      const code = await runCommand(['--data', folder.path, '--json', 'status'], {
        env: {},
        stdout: { write: (text: string) => (out += text) },
        stderr: { write: (text: string) => (err += text) },
        on() {},
        exit(): never {
          throw new Error('exit')
        },
      })
      return { code, out, err }
    }
    expect(await status()).toMatchObject({ code: 0, out: expect.stringContaining('"running":true') })
    const { writeHubFile } = await import('./hub-file.ts')
    writeHubFile(folder.path, { url: hub.url, pid: process.pid, startedAtMs: 0, certificate: STRANGER_CERT })
    expect(await status()).toMatchObject({ code: 3, err: expect.stringContaining('hub.not-running') })
  })

  test('is not disturbed by who speaks no TLS, or breaks off', async () => {
    using folder = temporaryFolder()
    await using hub = await started(folder.path)
    const ends = [...Array(20).keys()].map(
      (i) =>
        new Promise<void>((resolve) => {
          const socket = connect(hub.port, '127.0.0.1', () => {
            socket.write(i % 2 === 0 ? 'POST /subject HTTP/1.1\r\nHost: a\r\n\r\n' : Buffer.from([22, 3, 1, 2, 0, 1]))
            if (i % 4 === 1) socket.destroy()
          })
          socket.on('error', () => {})
          socket.on('close', () => resolve())
          socket.resume()
          if (i % 4 === 3) setTimeout(() => socket.destroy(), 20)
        }),
    )
    await Promise.all(ends)
    expect(await sent(hub, '/subject', { cert: CLIENT_CERT, key: CLIENT_KEY })).toEqual([200, '"known"'])
  })

  test.each([
    ['another key', HUB_CERT, CLIENT_KEY],
    ['no certificate', 'nonsense', HUB_KEY],
  ])('does not start with %s', async (_, cert, key) => {
    using folder = temporaryFolder()
    const failing = started(folder.path, { TLS_CERT: cert, TLS_KEY: key })
    await expect(failing).rejects.toMatchObject({ code: 'config.tls' })
  })

  test('a key that stands in the config by its path is refused at once', () => {
    expect(() =>
      defineHub({
        apps: { nobody: http({ baseUrl: 'http://127.0.0.1:9' }) },
        listener: { tls: { cert: '/etc/tls/cert.pem', key: env('KEY') } },
      }),
    ).toThrow(/listener\.tls\.cert: PEM is needed/)
  })
})

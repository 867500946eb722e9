import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openApp, temporaryFolder } from './apps/testing.ts'
import { warehouse } from './apps/warehouse.ts'

const ROOT = join(import.meta.dirname, '../..')
const SECRET = 'the-secret-of-this-test'

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

async function command(args: readonly string[], env: Record<string, string>) {
  const child = spawn(
    process.execPath,
    [
      '--conditions=latchwork-source',
      join(ROOT, 'src/cli/main.ts'),
      ...args,
      '--config',
      join(ROOT, 'examples/demo/latchwork.config.ts'),
    ],
    {
      env: { PATH: process.env.PATH ?? '', DESK_URL: 'http://127.0.0.1:9', DESK_TOKEN: 'x', DESK_SECRET: 'x', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  const said = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk) => (said.stdout += String(chunk)))
  child.stderr.on('data', (chunk) => (said.stderr += String(chunk)))
  const [code] = await once(child, 'close')
  return { code: code as number, ...said }
}

interface Report {
  readonly failed: number
  readonly objects: readonly {
    readonly object: string
    readonly probes: readonly { code: string; result: string; probe: string }[]
  }[]
}

/** Certifies a warehouse, as it is and as it is declared, and looks at what is left in it. */
async function certified(legacy: { readonly is: boolean; readonly isDeclared: boolean }) {
  using data = temporaryFolder()
  const port = await freePort()
  await using app = await openApp(warehouse, {
    legacy: legacy.is,
    webhook: { url: `http://127.0.0.1:${port}/hooks/warehouse`, secret: SECRET },
  })
  const env = {
    WAREHOUSE_URL: app.url,
    WAREHOUSE_TOKEN: warehouse.token.initial,
    WAREHOUSE_SECRET: SECRET,
    ...(legacy.isDeclared && { LEGACY_WAREHOUSE: '1' }),
  }
  const options = ['certify', 'warehouse', '--data', data.path, '--port', String(port), '--json']
  const unconfirmed = await command(options, env)
  const { code, stdout, stderr } = await command([...options, '--yes', '--wait', '4'], env)
  const checked = await command(['check', '--data', data.path, '--values', '10'], env)
  const left = await Promise.all(['clients', 'items', 'shipments'].map((object) => app.call('GET', `/${object}`)))
  return {
    unconfirmed,
    code,
    stderr,
    report: JSON.parse(stdout) as Report,
    checked: checked.stdout.split('\n').filter((line) => /warehouse +(clients|items|shipments)/.test(line)),
    left: left.flatMap(({ body }) => body.items ?? body.data ?? []),
  }
}

test('a warehouse that does what is declared passes every probe of its letters, and is left as it was', async () => {
  const { unconfirmed, code, report, checked, left } = await certified({ is: false, isDeclared: false })
  expect([unconfirmed.code, unconfirmed.stderr.includes('certify.unconfirmed')]).toEqual([1, true])
  expect(report.objects.map(({ object }) => object)).toEqual(['clients', 'items', 'shipments'])
  const results = report.objects.flatMap(({ probes }) => probes.map(({ result }) => result))
  expect([code, report.failed, new Set(results)]).toEqual([0, 0, new Set(['holds'])])
  expect(results.length).toBeGreaterThan(40)
  expect(checked).toHaveLength(3)
  for (const line of checked) expect(line).toMatch(/V1 to V12 +\d{4}-\d\d-\d\d$/)
  expect(left).toEqual([])
}, 60_000)

test('an older warehouse that is declared as one passes what it claims; the rest is said to be untried', async () => {
  const { code, report } = await certified({ is: true, isDeclared: true })
  const results = report.objects.flatMap(({ probes }) => probes.map(({ result }) => result))
  expect([code, new Set(results)]).toEqual([0, new Set(['holds', 'untried'])])
}, 60_000)

test('an older warehouse that is declared as a capable one is found out, letter by letter', async () => {
  const { code, report, checked } = await certified({ is: true, isDeclared: false })
  expect(code).toBe(7)
  for (const { probes } of report.objects) {
    const failed = new Set(probes.filter(({ result }) => result === 'fails').map((probe) => probe.code))
    for (const letter of ['create', 'correlation', 'token', 'condition', 'image'])
      expect(failed).toContain(`certify.${letter}`)
  }
  for (const line of checked) expect(line).toMatch(/\d+ failed$/)
}, 60_000)

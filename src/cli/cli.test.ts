import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { collectingLog, environment, eventually, FakeStore, personHub, temporaryFolder } from '../server/fixture-hub.ts'
import { type RunningHub, startHub } from '../server/hub.ts'
import { hubFilePath } from '../server/hub-file.ts'
import { run } from './program.ts'

/** The command line: where processes matter as processes, otherwise in this one, which is a hundred times faster. */

const MAIN = join(import.meta.dirname, 'main.ts')
const CONFIG = join(import.meta.dirname, 'fixture-hub.config.ts')

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

const running = new Set<ChildProcess>()
const store = new FakeStore()
let env: Record<string, string> = {}

beforeAll(async () => {
  env = environment(await store.listen())
})
afterAll(async () => {
  for (const child of running) child.kill('SIGKILL')
  await store.close()
})

function launch(
  args: readonly string[],
  more: Readonly<Record<string, string>> = {},
): { child: ChildProcess; ended: Promise<Ended>; stdout: () => string } {
  const child = spawn(process.execPath, ['--conditions=latchwork-source', MAIN, ...args], {
    env: { PATH: process.env.PATH ?? '', ...env, ...more },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.add(child)
  const said = { stdout: '', stderr: '' }
  child.stdout?.on('data', (chunk) => (said.stdout += String(chunk)))
  child.stderr?.on('data', (chunk) => (said.stderr += String(chunk)))
  const ended = once(child, 'close').then(([code]) => {
    running.delete(child)
    return { code: code as number | null, ...said }
  })
  return { child, ended, stdout: () => said.stdout }
}

const spawned = (...args: string[]): Promise<Ended> => launch(args).ended

class Exited extends Error {}

/** A command in this process, at a terminal or not. */
async function inside(
  args: readonly string[],
  terminal: { readonly isTTY?: boolean; readonly env?: Record<string, string> } = {},
): Promise<Ended> {
  const said = { stdout: '', stderr: '' }
  const output = (name: 'stdout' | 'stderr') => ({
    isTTY: terminal.isTTY === true,
    columns: 100,
    write: (text: string) => void (said[name] += text),
  })
  const code = await run(args, {
    env: { ...env, ...terminal.env },
    stdout: output('stdout'),
    stderr: output('stderr'),
    on: () => {},
    exit: () => {
      throw new Exited()
    },
  })
  return { code, ...said }
}

const latchwork = (...args: string[]): Promise<Ended> => inside(args)

/** A hub as a process; resolves when it says that it is ready. */
async function launchHub(dataDir: string): Promise<{ child: ChildProcess; ended: Promise<Ended>; url: string }> {
  const { child, ended, stdout } = launch(['start', '--json', '--config', CONFIG, '--data', dataDir, '--port', '0'])
  const isOver = ended.then(({ stderr }) => Promise.reject(new Error(stderr)))
  const line = await Promise.race([
    eventually(
      async () => stdout(),
      (text) => text.includes('\n'),
    ),
    isOver,
  ])
  return { child, ended, url: (JSON.parse(line) as { url: string }).url }
}

const tell = (url: string, record: object): Promise<Response> =>
  fetch(`${url}/hooks/shop`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(record),
  })

describe('a hub as a process', () => {
  test('survives kill -9, is missed while it is gone, and takes up what it had acknowledged', async () => {
    using folder = temporaryFolder()
    const first = await launchHub(folder.path)
    expect((await tell(first.url, { id: 1, rev: 1, name: 'Ada', city: 'Faro', event: 'e1' })).status).toBe(202)
    first.child.kill('SIGKILL')
    await first.ended
    expect(existsSync(hubFilePath(folder.path))).toBe(true)
    const release = await spawned('release', 'person', 'shop:1', '--data', folder.path)
    expect(release).toMatchObject({
      code: 3,
      stdout: '',
      stderr: expect.stringMatching(/^hub\.not-running: .*has ended without a word.*latchwork start/),
    })

    const second = await launchHub(folder.path)
    const links = async (): Promise<unknown[]> =>
      (JSON.parse((await spawned('xref', 'list', '--json', '--data', folder.path)).stdout) as { items: unknown[] })
        .items
    expect(await eventually(links, (items) => items.length === 2)).toMatchObject([
      { app: 'shop', nativeId: '1' },
      { app: 'store' },
    ])

    const beside = await spawned('start', '--config', CONFIG, '--data', folder.path, '--port', '0')
    expect(beside).toMatchObject({ code: 5, stderr: expect.stringMatching(/^store\.in-use: .*another hub/m) })

    second.child.kill('SIGTERM')
    expect(await second.ended).toMatchObject({ code: 0 })
    expect(existsSync(hubFilePath(folder.path))).toBe(false)
  })
})

describe('the commands that read', () => {
  const folder = temporaryFolder()
  let hub: RunningHub

  beforeAll(async () => {
    hub = await startHub({ definition: personHub(), dataDir: folder.path, env, log: collectingLog(), port: 0 })
    await tell(hub.url, { id: 7, rev: 1, name: 'Bea', city: 'Ulm', event: 'a' })
    await tell(hub.url, { id: 8, rev: 1, name: '', city: 'Ulm', event: 'b' })
    await eventually(
      async () => hub.engine.stats(),
      (stats) => stats.writes.applied === 1 && hub.engine.isIdle(),
    )
  })
  afterAll(async () => {
    await hub.stop()
    folder[Symbol.dispose]()
  })

  const cases: readonly (readonly [command: string, text: RegExp, json: object])[] = [
    [
      'status',
      /2 links[\s\S]*replay <seq>[\s\S]*config\.value-invalid/,
      { counts: { records: 1, links: 2 }, parkedEntries: [{ nativeId: '8', code: 'config.value-invalid' }] },
    ],
    [
      'xref list',
      /^app\s+object\s+native id[\s\S]*\nshop\s+persons\s+7\s+person\s+\S+\s+open\n/,
      { items: [{ app: 'shop', nativeId: '7' }, { app: 'store' }], isCut: false },
    ],
    ['xref list --app shop --limit 5', /persons/, { items: [{ app: 'shop' }] }],
    ['conflicts', /^no conflicts\n$/, { items: [], isCut: false }],
    [
      'explain person shop:7',
      /person shop:7[\s\S]*in step[\s\S]*created[\s\S]*shop:7 is new[\s\S]*applied/,
      { head: expect.arrayContaining([expect.objectContaining({ path: 'name', value: 'Bea' })]) },
    ],
    [
      'explain person shop:8',
      /belongs to no record[\s\S]*latchwork replay \d+/,
      { key: null, held: [{ code: 'config.value-invalid' }] },
    ],
  ]

  test.each(cases)('%s', async (command, text, json) => {
    const args = [...command.split(' '), '--data', folder.path]
    const [plain, data] = await Promise.all([latchwork(...args), latchwork(...args, '--json')])
    expect(plain).toMatchObject({ code: 0, stdout: expect.stringMatching(text) })
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that no escape sequence is there is the point.
    expect(plain.stdout).not.toMatch(/\u001b/)
    expect(data).toMatchObject({ code: 0, stderr: '' })
    expect(JSON.parse(data.stdout)).toMatchObject(json)
  })

  test('are coloured at a terminal, unless NO_COLOR says otherwise', async () => {
    const args = ['xref', 'list', '--data', folder.path]
    const plain = await inside(args)
    const coloured = await inside(args, { isTTY: true })
    expect(coloured.stdout).toContain('\u001b[2mapp')
    expect((await inside(args, { isTTY: true, env: { NO_COLOR: '1' } })).stdout).toBe(plain.stdout)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colour is to be taken out.
    expect(coloured.stdout.replace(/\u001b\[[0-9;]*m/g, '')).toBe(plain.stdout)
  })

  test('ask a hub by its address, and say so when none is there', async () => {
    expect(await latchwork('status', '--json', '--url', hub.url)).toMatchObject({ code: 0 })
    expect(await latchwork('status', '--url', 'http://127.0.0.1:9')).toMatchObject({
      code: 3,
      stderr: expect.stringMatching(/^hub\.not-running: no hub answers at http:\/\/127\.0\.0\.1:9/),
    })
  })

  test('name what they do not know', async () => {
    expect(await latchwork('explain', 'person', 'shop:404', '--data', folder.path)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^query\.unknown-record: no person is known under shop:404.*xref list/),
    })
    const asJson = await latchwork('explain', 'persn', 'shop:7', '--data', folder.path, '--json')
    expect(JSON.parse(asJson.stderr)).toMatchObject({
      error: { code: 'query.invalid', message: expect.stringContaining('there are: person') },
    })
    expect(asJson).toMatchObject({ code: 2, stdout: '' })
    expect(await latchwork('replay', '999', '--data', folder.path)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^query\.unknown-record: .*latchwork status/),
    })
    expect(await latchwork('release', 'person', 'shop:7', '--data', folder.path)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^query\.unknown-record: nothing of person shop:7 is set aside/),
    })
  })

  test('answer from the files when no hub runs', async () => {
    await hub.stop()
    const offline = await latchwork('xref', 'list', '--data', folder.path)
    expect(offline).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('persons'),
      stderr: expect.stringContaining('no hub runs'),
    })
    const explained = await latchwork('explain', 'person', 'shop:7', '--data', folder.path, '--config', CONFIG)
    expect(explained).toMatchObject({ code: 0, stdout: expect.stringContaining('in step') })
    expect(await latchwork('replay', '2', '--data', folder.path)).toMatchObject({ code: 3 })
  })
})

describe('what cannot be understood', () => {
  test.each<[string, string[], number, RegExp]>([
    ['no such command', ['strat'], 2, /unknown command 'strat'.*start/s],
    ['no such option', ['status', '--jsn'], 2, /unknown option '--jsn'.*--json/s],
    ['a missing argument', ['explain', 'person'], 2, /missing required argument/],
    ['a record without its application', ['explain', 'person', '7'], 2, /query\.invalid: "7" is not <app>:<id>/],
    ['a port that is none', ['start', '--port', '70000'], 2, /0 to 65535/],
    ['a folder without state', ['status', '--data', '/nowhere'], 3, /^hub\.not-running: .*latchwork start/],
  ])('%s', async (_what, args, code, text) => {
    expect(await latchwork(...args)).toMatchObject({ code, stdout: '', stderr: expect.stringMatching(text) })
  })

  const INDEX = pathToFileURL(join(import.meta.dirname, '..', 'index.ts')).href
  const HTTP = pathToFileURL(join(import.meta.dirname, '..', 'connectors', 'http', 'index.ts')).href
  const start = `import { defineHub } from '${INDEX}'\nimport { http } from '${HTTP}'\n`

  test.each<[string, string | null, string]>([
    ['is not there', null, 'config.not-found: there is no config at '],
    ['is not TypeScript', 'export default {{{\n', 'config.invalid: '],
    ['exports nothing', 'export const hub = 1\n', 'config.not-a-hub: '],
    ['throws', `${start}throw new Error('no luck today')\n`, 'no luck today'],
    ['imports what is not there', `import 'nothing-of-this-name'\n`, 'nothing-of-this-name'],
    ['has an unknown key', `${start}export default defineHub({ app: {}, sync: [] })\n`, "Did you mean 'apps'?"],
    [
      'has an unknown key of an application',
      `${start}export default defineHub({ apps: { shop: http({ baseurl: 'http://x' }) }, sync: [] })\n`,
      "Did you mean 'baseUrl'?",
    ],
  ])('a config that %s', async (_what, text, message) => {
    using folder = temporaryFolder()
    const file = join(folder.path, 'latchwork.config.ts')
    if (text !== null) writeFileSync(file, text)
    const ended = await spawned('start', '--config', file, '--data', join(folder.path, 'data'), '--port', '0')
    expect(ended).toMatchObject({ code: 4, stdout: '', stderr: expect.stringContaining(message) })
    expect(ended.stderr).toContain(file)
    // A text for people, not a stack; nothing was made.
    expect(ended.stderr).not.toMatch(/^\s+at /m)
    expect(existsSync(join(folder.path, 'data'))).toBe(false)
  })
})

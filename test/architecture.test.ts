import { describe, expect, test } from 'vitest'
import { bareCode, type Import, importsOf, projectFiles, read } from './support/sources.ts'

/**
 * The rules of docs/architecture.md, section "Import rules". A layer may import the layers named for it, and itself; `types` may be imported
 * only as types, which are gone at run time.
 */
interface Layer {
  readonly name: string
  readonly holds: (path: string) => boolean
  readonly may: readonly string[] | 'anything'
  readonly types?: readonly string[]
  readonly rule: string
}

const inFolder = (folder: string) => (path: string) => path.startsWith(`src/${folder}/`)
const STAGES = ['intake', 'journal', 'resolve', 'latch', 'merge', 'deliver']
const stage = (name: string): Layer => ({
  name,
  holds: inFolder(name),
  may: ['model', 'ports', 'errors', 'lib'],
  rule: 'a stage imports model, ports, errors and lib, and never another stage',
})
const beneath = (name: string, may: readonly string[]): Layer => ({
  name,
  holds: inFolder(name),
  may,
  rule: 'model, ports, errors and lib import nothing above them',
})

const LAYERS: readonly Layer[] = [
  // Tests beside the code, and fakes for them, may use what they need; nothing that is shipped may import them.
  { name: 'test', holds: isTestCode, may: 'anything', rule: '' },
  beneath('lib', []),
  beneath('errors', ['lib']),
  beneath('model', ['errors', 'lib']),
  beneath('ports', ['model', 'errors', 'lib']),
  ...STAGES.map(stage),
  {
    name: 'engine',
    holds: inFolder('engine'),
    may: ['model', 'ports', 'errors', 'lib', ...STAGES],
    rule: 'the engine composes the stages; it knows no adapter, no config and no server',
  },
  {
    name: 'stores',
    holds: inFolder('stores'),
    may: ['model', 'ports', 'errors', 'lib'],
    rule: 'a store is an adapter: it imports ports, model, errors and lib, never a stage or the engine',
  },
  {
    name: 'connector config',
    holds: (path) => /^src\/connectors\/[^/]+\/(config|index)\.ts$/.test(path),
    may: ['model', 'ports', 'errors', 'lib', 'connectors', 'config'],
    rule: "a connector's config.ts is what people write bindings with: it may import the config's tools, never a stage or the engine",
  },
  {
    name: 'connectors',
    holds: inFolder('connectors'),
    may: ['model', 'ports', 'errors', 'lib'],
    rule: 'a connector is an adapter: it imports ports, model, errors and lib, never a stage, the engine or (outside its config.ts) the config',
  },
  {
    name: 'config',
    holds: inFolder('config'),
    may: ['model', 'errors', 'lib'],
    types: ['connectors'],
    rule: 'the config imports model, errors and lib, and the option types of a connector as types only',
  },
  {
    name: 'public api',
    holds: (path) => path === 'src/index.ts',
    may: ['config', 'errors', 'model'],
    rule: 'the public API is a list of names of config, errors and model',
  },
  {
    name: 'server',
    holds: inFolder('server'),
    may: ['model', 'ports', 'errors', 'lib'],
    types: ['engine'],
    rule: 'the server is an outer layer over the ports; it is handed what it serves, and knows the engine at most by its types',
  },
  {
    name: 'hub',
    holds: inFolder('hub'),
    may: ['model', 'ports', 'errors', 'lib', 'config', 'connectors', 'connector config', 'stores', 'engine', 'server'],
    rule: 'the hub wires config, adapters, engine and server together; it knows no command line',
  },
  {
    name: 'cli',
    holds: inFolder('cli'),
    may: [
      'model',
      'ports',
      'errors',
      'lib',
      'config',
      'connectors',
      'connector config',
      'stores',
      'engine',
      'server',
      'hub',
      'public api',
    ],
    rule: 'the command line is the outermost layer; it imports no stage, and nothing but tests imports it',
  },
  {
    name: 'testing',
    holds: inFolder('testing'),
    may: 'anything',
    rule: '',
  },
]

function isTestCode(path: string): boolean {
  return (
    path.startsWith('src/') && (/\.(test|types|test-config)\.ts$/.test(path) || /\/(fake-|fixture-?)[^/]*$/.test(path))
  )
}

const layerOf = (path: string): Layer | undefined => LAYERS.find((layer) => layer.holds(path))
const files = projectFiles()
const sources = files.filter((path) => path.startsWith('src/') && path.endsWith('.ts'))
const shipped = sources.filter((path) => !isTestCode(path) && !path.startsWith('src/testing/'))

describe('import rules', () => {
  test('every source file belongs to a layer', () => {
    expect(sources.filter((path) => layerOf(path) === undefined)).toEqual([])
  })

  test('a layer imports only what its rule allows', () => {
    expect(sources.flatMap(importsOf).flatMap(broken)).toEqual([])
  })

  test('src imports nothing of examples, bench, test or scripts', () => {
    const outside = sources
      .flatMap(importsOf)
      .filter(({ to }) => /^(examples|bench|test|scripts|docs)\//.test(to))
      .map(({ from, to }) => `${from} → ${to}`)
    expect(outside).toEqual([])
  })

  test('the package stands on what package.json names', () => {
    const { dependencies } = JSON.parse(read('package.json')) as { dependencies: Record<string, string> }
    const foreign = shipped
      .flatMap(importsOf)
      .filter(({ to }) => !to.startsWith('src/') && !to.startsWith('node:'))
      .filter(({ to }) => dependencies[packageOf(to)] === undefined)
      .map(({ from, to }) => `${from} → ${to}: not among the dependencies of package.json`)
    expect(foreign).toEqual([])
  })
})

function broken({ from, to, typeOnly }: Import): string[] {
  const here = layerOf(from)
  const there = layerOf(to)
  if (here === undefined || there === undefined || here.may === 'anything') return []
  const same = here.name === there.name && folderOf(from) === folderOf(to)
  if (same || here.may.includes(there.name)) return []
  // The two halves of one connector are one folder; only the outer half may look at the config.
  if (here.name.startsWith('connector') && folderOf(from) === folderOf(to) && there.name === 'connectors') return []
  if (typeOnly && here.types?.includes(there.name)) return []
  const what =
    there.name === 'test' || there.name === 'testing' ? 'nothing that is shipped imports test code' : here.rule
  return [`${from} → ${to}: ${what}`]
}

/** The folder that counts as one: a layer's own, and each adapter for itself (`src/connectors/http`, not `src/connectors`). */
function folderOf(path: string): string {
  const [src = '', layer = '', adapter = '', file] = path.split('/')
  const perAdapter = layer === 'connectors' || layer === 'stores'
  return perAdapter && file !== undefined ? `${src}/${layer}/${adapter}` : `${src}/${layer}`
}

const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')

/** Who may use time and chance directly, and why. Everyone else takes the ports Clock and Random, so that the simulator can run it. */
const TIME_AND_CHANCE: Readonly<Record<string, string>> = {
  'src/lib/system-clock.ts': 'the one place that reads the system clock and randomness',
  'src/stores/sqlite/journal.ts':
    'setImmediate gathers the appends of one turn into one commit; no duration depends on it',
  'src/server/': 'the listener closes slow sockets in real time; it is never simulated',
  'src/hub/': 'wires the system clock in; never simulated',
  'src/cli/': 'draws progress on a terminal in real time; never simulated',
  'src/testing/simulator/virtual-clock.ts': 'setImmediate lets the promises of one virtual moment run out',
  'src/testing/simulator/main.ts': 'measures how fast the simulator itself is',
}
const CLOCK =
  /\bDate\.now\b|\bnew Date\(\s*\)|\bMath\.random\b|\bset(?:Timeout|Interval|Immediate)\b|\bperformance\.now\b|\brandomUUID\b|\bprocess\.(?:nextTick|hrtime)\b/

describe('rules of the source', () => {
  test('only the system clock reads time and chance', () => {
    const allowed = (path: string): boolean => Object.keys(TIME_AND_CHANCE).some((entry) => path.startsWith(entry))
    const wrong = sources
      .filter((path) => !isTestCode(path) && !allowed(path))
      .flatMap((path) => linesWith(path, CLOCK))
    expect(wrong).toEqual([])
  })

  test('every exception to the clock rule is still needed', () => {
    const unneeded = Object.keys(TIME_AND_CHANCE).filter((entry) => {
      const held = sources.filter((path) => path.startsWith(entry) && !isTestCode(path))
      return held.length > 0 && !entry.endsWith('/') && held.every((path) => linesWith(path, CLOCK).length === 0)
    })
    expect(unneeded).toEqual([])
  })

  test('no default export and no export *', () => {
    expect(shipped.flatMap((path) => linesWith(path, /^\s*export\s+(default\b|\*)/))).toEqual([])
  })

  test('no bare Error: what reaches people is a SyncError with a code', () => {
    const core = shipped.filter((path) =>
      /^src\/(model|errors|resolve|latch|merge|deliver|engine|stores|config)\//.test(path),
    )
    expect(core.flatMap((path) => linesWith(path, /\bthrow new (?:Type|Range)?Error\(/))).toEqual([])
  })

  test('no file is longer than 500 lines', () => {
    const code = files.filter((path) => /\.(ts|tsx|mjs|js)$/.test(path))
    const long = code
      .map((path) => ({ path, lines: read(path).split('\n').length - 1 }))
      .filter(({ lines }) => lines > 500)
      .map(({ path, lines }) => `${path} has ${lines} lines: find the seam and split it`)
    expect(long).toEqual([])
  })

  test('no path of one machine stands in a file', () => {
    const text = files.filter((path) => !/\.(png|ico|woff2?|db)$/.test(path) && path !== 'package-lock.json')
    const wrong = text.flatMap((path) =>
      linesWith(path, /(?<![\w.~:/-])\/(?:home|Users|work|root|mnt|private)\/[\w.-]+/, read),
    )
    expect(wrong).toEqual([])
  })
})

/** The lines that match, as `file:line: text`; by default in code without its comments and strings. */
function linesWith(path: string, pattern: RegExp, textOf = (from: string): string => bareCode(read(from))): string[] {
  return textOf(path)
    .split('\n')
    .flatMap((line, i) => (pattern.test(line) ? [`${path}:${i + 1}: ${line.trim()}`] : []))
}

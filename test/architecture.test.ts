import { describe, expect, test } from 'vitest'
import { MUTANTS } from '../src/testing/simulator/canary/mutants.ts'
import { rotten } from './support/planted.ts'
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

const BENEATH_SERVER = [
  'model',
  'ports',
  'errors',
  'lib',
  'formats',
  'engine',
  'contact',
  'flow',
  'stores',
  'connectors',
  'connector config',
  'config',
  'check',
  'public api',
]

const LAYERS: readonly Layer[] = [
  // Tests beside the code, and fakes for them, may use what they need; nothing that is shipped may import them.
  { name: 'test', holds: isTestCode, may: 'anything', rule: '' },
  beneath('lib', []),
  beneath('errors', ['lib']),
  beneath('model', ['errors', 'lib']),
  beneath('ports', ['model', 'errors', 'lib']),
  {
    name: 'formats',
    holds: inFolder('formats'),
    may: ['model', 'errors', 'lib'],
    rule: 'formats turn bytes into plain data and back; they import model, errors and lib',
  },
  ...STAGES.map(stage),
  {
    name: 'engine',
    holds: inFolder('engine'),
    may: ['model', 'ports', 'errors', 'lib', ...STAGES],
    rule: 'the engine composes the stages; it knows no adapter, no config and no server',
  },
  {
    name: 'contact',
    holds: inFolder('contact'),
    may: ['model', 'ports', 'errors', 'lib', 'engine', ...STAGES],
    rule: 'first contact and comparison use the stages as the engine does, and know no adapter, no config and no server',
  },
  {
    name: 'flow',
    holds: inFolder('flow'),
    may: ['model', 'ports', 'errors', 'lib'],
    rule: 'flows import model, ports, errors and lib; what a run may do in applications is given to them',
  },
  {
    name: 'stores',
    holds: inFolder('stores'),
    may: ['model', 'ports', 'errors', 'lib'],
    rule: 'a store is an adapter: it imports ports, model, errors and lib, never a stage or the engine',
  },
  {
    name: 'connector config',
    holds: (path) => /^src\/connectors\/[^/]+\/(config(-[a-z]+)?|index)\.ts$/.test(path),
    may: ['model', 'ports', 'errors', 'lib', 'formats', 'connectors', 'config'],
    rule: "a connector's config.ts is what people write bindings with: it may import the config's tools, never a stage or the engine",
  },
  {
    name: 'connectors',
    holds: inFolder('connectors'),
    may: ['model', 'ports', 'errors', 'lib', 'formats'],
    rule: 'a connector is an adapter: it imports ports, model, errors, lib and formats, never a stage, the engine or (outside its config.ts) the config',
  },
  {
    name: 'config',
    holds: inFolder('config'),
    may: ['model', 'errors', 'lib'],
    types: ['connectors'],
    rule: 'the config imports model, errors and lib, and the option types of a connector as types only',
  },
  {
    name: 'check',
    holds: inFolder('check'),
    may: ['model', 'ports', 'errors', 'lib', 'config'],
    rule: 'the check tries a compiled config with made-up values, and an application through a port; it knows no engine, no adapter and no server',
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
    may: [...BENEATH_SERVER],
    rule: 'the server wires config, adapters and engine together; it imports no stage and knows no command line',
  },
  {
    name: 'cli',
    holds: inFolder('cli'),
    may: [...BENEATH_SERVER, 'server', 'check', 'testing'],
    rule: 'the command line is the outermost layer; it imports no stage, runs the simulator where it is asked to, and nothing that is shipped imports it',
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

/** What connectors to databases, and those to brokers, share: too much for single files beside their folders. An outer half uses the outer half. */
const SHARED = ['tables', 'change-table', 'polling', 'broker'].map((name) => `src/connectors/${name}`)

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

  test('the check sees what it forbids, and lets pass what it allows', () => {
    const from = (path: string, to: string, typeOnly = false): string[] => broken({ from: path, to, typeOnly })
    expect(from('src/merge/fold.ts', 'src/deliver/plan.ts', true)).toHaveLength(1)
    expect(from('src/model/ids.ts', 'src/ports/store.ts', true)).toHaveLength(1)
    expect(from('src/stores/sqlite/store.ts', 'src/stores/memory/store.ts')).toHaveLength(1)
    expect(from('src/connectors/http/target.ts', 'src/config/mapping.ts')).toHaveLength(1)
    expect(from('src/connectors/http/target.ts', 'src/engine/engine.ts')).toHaveLength(1)
    expect(from('src/config/app.ts', 'src/connectors/http/options.ts')).toHaveLength(1)
    expect(from('src/connectors/sqlite/target.ts', 'src/connectors/http/target.ts')).toHaveLength(1)
    expect(from('src/connectors/sqlite/source.ts', 'src/connectors/tables/config.ts')).toHaveLength(1)
    expect(from('src/engine/engine.ts', 'src/testing/index.ts', true)).toHaveLength(1)
    expect(from('src/config/app.ts', 'src/connectors/http/options.ts', true)).toEqual([])
    expect(from('src/connectors/http/config.ts', 'src/config/mapping.ts')).toEqual([])
    expect(from('src/connectors/sqlite/config.ts', 'src/connectors/tables/config.ts')).toEqual([])
    expect(from('src/connectors/sqlite/connector.ts', 'src/connectors/change-table/app.ts')).toEqual([])
    expect(from('src/stores/sqlite/journal.ts', 'src/stores/input-place.ts')).toEqual([])
    expect(from('src/engine/decide.ts', 'src/merge/fold.ts')).toEqual([])
  })

  test('src imports nothing of examples, bench, test or scripts', () => {
    const outside = sources
      .flatMap(importsOf)
      .filter(({ to }) => /^(examples|bench|test|scripts|docs)\//.test(to))
      .map(({ from, to }) => `${from} → ${to}`)
    expect(outside).toEqual([])
  })

  test('the package stands on what package.json names', () => {
    const manifest = JSON.parse(read('package.json')) as Record<string, Record<string, string>>
    // Drivers are optional peers: adapters import them when they are asked for, and say what to install.
    const dependencies = { ...manifest.dependencies, ...manifest.peerDependencies }
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
  // What the adapters of one kind share stands beside their folders.
  if (here.name === there.name && folderOf(to) === `src/${here.name}`) return []
  if (SHARED.includes(folderOf(to)) && here.name.startsWith('connector') && there.name.startsWith('connector')) {
    if (here.name === there.name || there.name === 'connectors') return []
  }
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
  'src/stores/sqlite/messages.ts': 'a search lets everything else have its turn; no duration depends on it',
  'src/stores/postgres/journal.ts':
    'setImmediate gathers the appends of one turn into one call; no duration depends on it',
  'src/testing/simulator/virtual-clock.ts': 'setImmediate lets the promises of one virtual moment run out',
  'src/testing/simulator/main.ts': 'measures how fast the simulator itself is',
  'src/testing/simulator/canary/hunt.ts': 'gives up on a planted fault that makes a run hang',
  'src/testing/simulator/canary/command.ts': 'says how far the hunt is',
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
    const unneeded = Object.keys(TIME_AND_CHANCE).filter(
      (path) => !sources.includes(path) || linesWith(path, CLOCK).length === 0,
    )
    expect(unneeded).toEqual([])
  })

  test('no default export and no export *', () => {
    expect(shipped.flatMap((path) => linesWith(path, /^\s*export\s+(default\b|\*)/))).toEqual([])
  })

  // The config's codecs throw a plain TypeError; whoever calls a codec makes it `mapping.decode-failed` or `mapping.encode-failed`.
  test('no bare Error: what reaches people is a SyncError with a code', () => {
    const core = shipped.filter((path) => /^src\/(model|errors|resolve|latch|merge|deliver|engine|stores)\//.test(path))
    expect(core.flatMap((path) => linesWith(path, /\bthrow new (?:Type|Range)?Error\(/))).toEqual([])
  })

  // A test file is a list of cases, read one at a time; it may be longer.
  test('no file is longer than 500 lines, no test than 800', () => {
    const code = files.filter((path) => /\.(ts|tsx|mjs|js)$/.test(path))
    const long = code
      .map((path) => ({ path, lines: read(path).split('\n').length - 1 }))
      .filter(({ path, lines }) => lines > (/\.test\.ts$|-suite\.ts$/.test(path) ? 800 : 500))
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

// Whoever changes one of these places moves the planted fault along (src/testing/simulator/canary): the rule that it breaks must still be broken by it.
test('every planted fault finds its place in the source, exactly once', () => {
  expect(MUTANTS.flatMap(rotten)).toEqual([])
})

/** The lines that match, as `file:line: text`; by default in code without its comments and strings. */
function linesWith(path: string, pattern: RegExp, textOf = (from: string): string => bareCode(read(from))): string[] {
  return textOf(path)
    .split('\n')
    .flatMap((line, i) => (pattern.test(line) ? [`${path}:${i + 1}: ${line.trim()}`] : []))
}

import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { HubDefinition } from '../config/define-hub.ts'
import {
  type CompareOptions,
  type CompareState,
  Comparison,
  type Difference,
  type EntityResult,
  type RehearsedEntity,
  type RehearsedThing,
  rehearse as rehearsing,
  type VerifiedEntity,
  verify as verifying,
} from '../contact/index.ts'
import { SyncError } from '../errors/index.ts'
import { systemClock } from '../lib/system-clock.ts'
import { asEntityName } from '../model/ids.ts'
import { decodeData, encodeData, type Value } from '../model/value.ts'
import { connectorsOf } from '../server/connectors.ts'
import { createLog } from '../server/log.ts'
import { resolveApp } from '../server/secrets.ts'
import { openStorageReader } from '../server/storage.ts'
import { requireHub } from './access.ts'
import { loadConfig } from './config-file.ts'
import { EXIT } from './exit-codes.ts'
import type { CommandContext } from './program.ts'
import { barText, Progress } from './progress.ts'
import type { Terminal } from './terminal.ts'

export interface CompareCommandOptions {
  readonly entity?: string[]
  readonly rate?: number
  /** Things listed at the most. */
  readonly limit: number
  readonly resume?: boolean
}

/** How often a running comparison writes down where it is. */
const CHECKPOINT_MS = 15_000

/** Compares all applications before the first write, and says what day one would do. */
export async function rehearse(context: CommandContext, own: CompareCommandOptions): Promise<number> {
  await using bench = await Bench.open(context, own, 'rehearse')
  const things: RehearsedThing[] = []
  const entities: RehearsedEntity[] = []
  const options = {
    ...bench.options(null),
    onThing: (thing: RehearsedThing) => void (things.length < own.limit && things.push(thing)),
  }
  for await (const entity of bench.run((comparison) => rehearsing(options, comparison), options)) {
    bench.progress.clear()
    entities.push(entity)
    if (!context.terminal.isJson) context.terminal.note(rehearsedText(entity, context.terminal))
  }
  context.terminal.result({ entities, things }, () => things.map(thingText).join('\n'))
  return EXIT.ok
}

/** Proves that all applications hold the same, or says where they do not. */
export async function verify(
  context: CommandContext,
  own: CompareCommandOptions & { readonly repair?: boolean },
): Promise<number> {
  await using bench = await Bench.open(context, own, 'verify')
  const hub = own.repair === true ? requireHub({ ...context.options, env: context.process.env }) : null
  const store = await bench.reader()
  const differences: Difference[] = []
  const entities: VerifiedEntity[] = []
  const repair = async ({ key, app, nativeId, entity }: Difference): Promise<void> => {
    const object = bench.definition.model.entities.get(entity)?.bindings.get(app)?.object ?? ''
    const path = (parts: readonly string[]) => parts.map(encodeURIComponent).join('/')
    if (key !== null) await hub?.post(`/api/lanes/${path([key, app])}/reread`)
    else if (nativeId !== null) await hub?.post(`/api/hints/${path([app, object, nativeId])}`)
  }
  const options = {
    ...bench.options(store),
    store,
    onDifference: (difference: Difference) => void (differences.length < own.limit && differences.push(difference)),
    ...(hub === null ? {} : { repair }),
  }
  for await (const entity of bench.run((comparison) => verifying(options, comparison), options)) {
    bench.progress.clear()
    entities.push(entity)
    if (!context.terminal.isJson) context.terminal.note(verifiedText(entity, context.terminal))
  }
  const count = (of: (entity: VerifiedEntity) => number): number =>
    entities.reduce((sum, entity) => sum + of(entity), 0)
  const isEqual = count((one) => one.differences.length + one.pending) === 0
  const totals = {
    equal: isEqual,
    differences: count((one) => one.differences.length),
    pending: count((one) => one.pending),
    inFlight: count((one) => one.inFlight),
    repaired: count((one) => one.repaired),
  }
  const shown = entities.map(({ differences: all, ...entity }) => ({ ...entity, differences: all.length }))
  context.terminal.result({ ...totals, entities: shown, things: differences }, () =>
    [
      ...differences.map(differenceText),
      isEqual ? 'all applications are equal' : `${totals.differences} differences`,
    ].join('\n'),
  )
  return isEqual ? EXIT.ok : EXIT.different
}

/** What day one would write, for the backfill to ask about. */
export async function rehearsedWrites(
  context: CommandContext,
  own: CompareCommandOptions,
): Promise<{ readonly creates: number; readonly updates: number; readonly records: number; readonly text: string }> {
  await using bench = await Bench.open(context, own, 'rehearse')
  let [creates, updates, records] = [0, 0, 0]
  const texts: string[] = []
  const options = bench.options(null)
  for await (const entity of bench.run((comparison) => rehearsing(options, comparison), options)) {
    texts.push(rehearsedText(entity, context.terminal))
    for (const write of Object.values(entity.writes)) {
      creates += write.creates
      updates += write.updates
    }
    for (const count of Object.values(entity.records)) records += count
  }
  bench.progress.clear()
  return { creates, updates, records, text: texts.join('\n') }
}

/** The applications and the store, opened for reading beside a hub that may run. */
class Bench implements AsyncDisposable {
  readonly definition: HubDefinition
  readonly progress: Progress
  readonly #context: CommandContext
  readonly #own: CompareCommandOptions
  readonly #connectors: CompareOptions['connectors']
  readonly #file: string
  readonly #abort = new AbortController()
  readonly #startedMs = systemClock.monotonicMs()
  readonly #records = new Map<string, number>()
  #comparison: Comparison | null = null
  #checkpointMs = systemClock.monotonicMs()
  #reader: Awaited<ReturnType<typeof openStorageReader>> | null = null

  static async open(context: CommandContext, own: CompareCommandOptions, name: string): Promise<Bench> {
    const { options, process } = context
    const definition = await loadConfig(options.config)
    const apps = [...definition.apps.values()].map((app) => resolveApp(app, process.env))
    const log = createLog(process.stderr, systemClock, 'error', false)
    const connectors = connectorsOf(apps, { clock: systemClock, log })
    return new Bench(context, own, definition, connectors, join(options.data, `${name}.state`))
  }

  private constructor(
    context: CommandContext,
    own: CompareCommandOptions,
    definition: HubDefinition,
    connectors: CompareOptions['connectors'],
    file: string,
  ) {
    this.#context = context
    this.#own = own
    this.definition = definition
    this.#connectors = connectors
    this.#file = file
    this.progress = new Progress(context.terminal, context.process.stderr)
  }

  async reader(): Promise<Awaited<ReturnType<typeof openStorageReader>>> {
    const { options, process } = this.#context
    this.#reader ??= await openStorageReader(this.definition.store, options.data, process.env)
    return this.#reader
  }

  options(store: CompareOptions['store']): CompareOptions {
    const { entity, rate, resume } = this.#own
    for (const name of entity ?? []) {
      if (this.definition.model.entities.has(asEntityName(name))) continue
      const known = [...this.definition.model.entities.keys()].join(', ')
      throw new SyncError('query.invalid', `${name} is not an entity of the config; it has: ${known}`)
    }
    return {
      model: this.definition.model,
      connectors: this.#connectors,
      store,
      clock: systemClock,
      signal: this.#abort.signal,
      recordsPerSecond: rate ?? Number.POSITIVE_INFINITY,
      ...(entity === undefined ? {} : { entities: entity.map(asEntityName) }),
      ...(resume === true && existsSync(this.#file) ? { resume: readState(this.#file) } : {}),
      onProgress: ({ entity: name, app, records }) => {
        this.#records.set(`${name}\u0000${app}`, records)
        this.#checkpoint()
        const all = [...this.#records.values()].reduce((sum, count) => sum + count, 0)
        this.progress.say(() => `${name}  ${barText(all, null, systemClock.monotonicMs() - this.#startedMs)}`)
      },
    }
  }

  #checkpoint(): void {
    const nowMs = systemClock.monotonicMs()
    if (this.#comparison === null || nowMs - this.#checkpointMs < CHECKPOINT_MS) return
    this.#checkpointMs = nowMs
    writeState(this.#file, this.#comparison.state())
  }

  /** Runs a comparison; where it is is written down now and then and when it is interrupted, so that `--resume` goes on from there. */
  async *run<T>(begin: (comparison: Comparison) => AsyncGenerator<T>, options: CompareOptions): AsyncGenerator<T> {
    const comparison = new Comparison(options)
    this.#comparison = comparison
    this.#context.process.on('SIGINT', () => this.#abort.abort())
    try {
      yield* begin(comparison)
      rmSync(this.#file, { force: true })
    } catch (error) {
      if (!this.#abort.signal.aborted) throw error
      writeState(this.#file, comparison.state())
      throw new SyncError('compare.interrupted', 'interrupted; the same command with --resume goes on from here')
    } finally {
      this.#comparison = null
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.progress.clear()
    await this.#reader?.close()
    for (const { source, target } of this.#connectors.values()) {
      await source.close()
      await target.close()
    }
  }
}

/** A line of plain data, then the bytes of the table. Written aside and renamed, so that a half-written one is never read. */
function writeState(path: string, state: CompareState): void {
  const { current } = state
  const table = current?.table ?? new Uint8Array()
  const plain = { ...state, current: current === null ? null : { ...current, table: null } }
  mkdirSync(join(path, '..'), { recursive: true })
  writeFileSync(`${path}.new`, Buffer.concat([Buffer.from(`${encodeData(plain)}\n`), table]), { mode: 0o600 })
  renameSync(`${path}.new`, path)
}

function readState(path: string): CompareState {
  const bytes = readFileSync(path)
  const end = bytes.indexOf(10)
  const plain = decodeData(bytes.subarray(0, end).toString()) as CompareState
  if (plain.current === null) return plain
  return { ...plain, current: { ...plain.current, table: new Uint8Array(bytes.subarray(end + 1)) } }
}

function countsText({ entity, records, summary }: EntityResult, terminal: Terminal): string {
  const apps = Object.entries(records).map(([app, count]) => `${app} ${count}`)
  const partial = Object.entries(summary.partial).map(
    ([apps, count]) => `only in ${apps.replaceAll('+', ' and ')} ${count}`,
  )
  const facts = [
    `equal ${summary.equal}`,
    ...(summary.different > 0 ? [`different ${summary.different}`] : []),
    ...partial,
    ...(summary.doubled > 0 ? [`ambiguous ${summary.doubled}`] : []),
  ]
  return `${terminal.style('bold', entity)}  ${apps.join(', ')}\n  ${facts.join(', ')}`
}

function rehearsedText(entity: RehearsedEntity, terminal: Terminal): string {
  const writes = Object.entries(entity.writes)
    .filter(([, { creates, updates }]) => creates + updates > 0)
    .map(([app, { creates, updates }]) => `${app}: ${creates} creates, ${updates} updates`)
  const fields = Object.entries(entity.fields).map(([path, count]) => `${path} ${count}`)
  return [
    countsText(entity, terminal),
    ...(entity.unreadableCount > 0 ? [`  cannot be read: ${entity.unreadableCount}`] : []),
    ...(fields.length > 0 ? [`  fields that differ: ${fields.join(', ')}`] : []),
    `  day one would write ${writes.length === 0 ? 'nothing' : writes.join('; ')}${entity.exact ? '' : ' (creates counted, updates at least)'}`,
  ].join('\n')
}

function verifiedText(entity: VerifiedEntity, terminal: Terminal): string {
  const { differences, inFlight, pending, repaired } = entity
  const more = [
    ...(inFlight > 0 ? [`${inFlight} were under way and are equal now`] : []),
    ...(pending > 0 ? [`${pending} still being worked on`] : []),
    ...(repaired > 0 ? [`${repaired} repaired`] : []),
    `${differences.length} differences`,
  ]
  return `${countsText(entity, terminal)}\n  looked at one by one: ${more.join(', ')}`
}

const shown = (value: Value | undefined): string => (value === undefined ? 'nothing' : encodeData(value))

function thingText({ kind, records, writes, conflicts, message }: RehearsedThing): string {
  const ids = Object.entries(records).flatMap(([app, list]) => list.map((id) => `${app}:${id}`))
  const lines = writes.map(({ app, kind: how, nativeId, values, before }) => {
    const changes = Object.entries(values).map(([path, value]) =>
      how === 'create' ? `${path} = ${shown(value)}` : `${path} ${shown(before[path])} → ${shown(value)}`,
    )
    return `    ${how} in ${app}${nativeId === null ? '' : ` ${nativeId}`}: ${changes.join(', ')}`
  })
  const lost = conflicts.map(
    ({ path, loserApp, loserValue, winnerApp, policy }) =>
      `    ${path} of ${loserApp} (${shown(loserValue)}) loses against ${winnerApp} by ${policy}`,
  )
  return [`${kind}  ${ids.join('  ')}${message === null ? '' : `\n    ${message}`}`, ...lines, ...lost].join('\n')
}

function differenceText({ entity, key, app, nativeId, kind, fields, message }: Difference): string {
  const values = fields.map(({ path, found, agreed }) => `\n    ${path}: ${shown(found)}, agreed ${shown(agreed)}`)
  return `${kind}  ${entity} ${app}:${nativeId ?? '-'}${key === null ? '' : `  (${key})`}\n    ${message}${values.join('')}`
}

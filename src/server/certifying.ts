import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Ear, NoSample, type ProbeResult, Prober, told } from '../check/probes.ts'
import { Samples } from '../check/samples.ts'
import { declaredEntities } from '../check/sites.ts'
import type { HubDefinition } from '../config/define-hub.ts'
import { SyncError } from '../errors/index.ts'
import type { Change } from '../model/change.ts'
import type { AppId, EntityName, FeedPosition, NativeId } from '../model/ids.ts'
import type { Connector, Source } from '../ports/app.ts'
import type { Clock, Log } from '../ports/clock.ts'
import { connectorsOf } from './connectors.ts'
import { createListener } from './listener.ts'
import { lettersOf } from './promises.ts'
import { type Environment, resolveApp } from './secrets.ts'

/** The probes of one application, all its objects in turn, and what came of them. */

export interface CertifyOptions {
  readonly definition: HubDefinition
  readonly app: AppId
  readonly env: Environment
  readonly clock: Clock
  readonly log: Log
  /** Where the sandbox sends its notifications: as those of a hub. null: none are taken. */
  readonly listen: { readonly port: number; readonly host: string } | null
  /** How long a notification is waited for. */
  readonly waitMs: number
  /** What makes the records of this run its own. */
  readonly tag: string
  readonly signal: AbortSignal
  readonly onObject: (object: CertifiedObject) => void
}

export interface CertifiedObject {
  readonly object: string
  readonly entity: EntityName
  /** As declared. */
  readonly letters: string
  readonly probes: readonly ProbeResult[]
}

/** What a certification found, as it is kept in the data folder. */
export interface Profile {
  readonly app: AppId
  readonly atMs: number
  readonly objects: readonly CertifiedObject[]
}

export async function certifyApp(options: CertifyOptions): Promise<Profile> {
  const { definition, app, env, clock, log, tag, signal } = options
  const given = definition.apps.get(app)
  if (given === undefined)
    throw new SyncError(
      'certify.unknown-app',
      `there is no application '${app}' in this config. It has ${[...definition.apps.keys()].join(', ')}.`,
      { place: { app } },
    )
  const connector = connectorsOf([resolveApp(given, env)], { clock, log }).get(app) as Connector
  const ears = new Ears(connector, options)
  const probers: Prober[] = []
  const anchors = new Map<string, NativeId>()
  const objects: CertifiedObject[] = []
  try {
    await ears.open()
    for (const declared of byReference(definition)) {
      const binding = declared.model.bindings.get(app)
      if (binding === undefined) continue
      const prober = new Prober({
        connector,
        samples: new Samples(declared, binding, tag),
        tag,
        ear: ears.of(binding.capabilities.feed === 'F2' && connector.source.listens.length > 0),
        deafBecause: 'no notification can be heard: give --port, and let the sandbox send them there',
        referred: (entity) => anchors.get(entity),
        signal,
      })
      probers.push(prober)
      const probes = await probesOf(prober, `${app}/${binding.object}`)
      if (prober.anchor !== null) anchors.set(declared.model.name, prober.anchor)
      const letters = lettersOf(binding.capabilities)
      objects.push({ object: binding.object, entity: declared.model.name, letters, probes })
      options.onObject(objects.at(-1) as CertifiedObject)
    }
  } finally {
    // What refers to others goes first.
    for (const prober of probers.reverse()) await prober.clean().catch(() => undefined)
    await ears.close()
    await connector.target.close()
    await connector.source.close()
  }
  return { app, atMs: clock.nowMs(), objects }
}

async function probesOf(prober: Prober, where: string): Promise<readonly ProbeResult[]> {
  try {
    return await prober.run()
  } catch (error) {
    if (!(error instanceof NoSample)) throw error
    throw new SyncError(
      'certify.no-sample',
      `${where}: a plain record could not be made in the sandbox: ${told(error.outcome)}. Give the schema of its records, or correct it, so that values are made up which it takes.`,
      { place: { at: where } },
    )
  }
}

/** Entities to which others refer come before these. */
function byReference(definition: HubDefinition): ReturnType<typeof declaredEntities> {
  const entities = declaredEntities(definition)
  const done = new Set<string>()
  const sorted: (typeof entities)[number][] = []
  for (let round = 0; round < entities.length; round++)
    for (const one of entities) {
      if (done.has(one.model.name)) continue
      const fields = [one.model.fields, ...Object.values(one.model.parts).map((part) => part.fields)].flatMap(
        Object.values,
      )
      const isReady = fields.every(
        ({ reference }) => reference === undefined || reference === one.model.name || done.has(reference),
      )
      if (!isReady && round < entities.length - 1) continue
      done.add(one.model.name)
      sorted.push(one)
    }
  return sorted
}

const READ_MAX = 500
const PAUSE_MS = 100

/** All that an application tells while it is probed: what it sends, and what its feeds show. */
class Ears {
  readonly #source: Source
  readonly #options: CertifyOptions
  readonly #heard: { readonly change: Change; readonly isSent: boolean }[] = []
  readonly #listener: ReturnType<typeof createListener> | null
  readonly #stop = new AbortController()
  readonly #reading: Promise<void>[] = []
  #refusing = 0

  constructor({ source }: Connector, options: CertifyOptions) {
    this.#source = source
    this.#options = options
    const { clock, log, definition } = options
    this.#listener =
      options.listen === null || source.listens.length === 0
        ? null
        : createListener({
            sources: [source],
            onAccept: async (_app, accepted) => {
              if (this.#refusing > 0) {
                this.#refusing--
                throw new SyncError('intake.stopping', 'this notification is refused to see whether it comes again', {
                  retryAfterMs: 1_000,
                })
              }
              for (const change of accepted.changes) this.#heard.push({ change, isSent: true })
              return accepted.reply
            },
            limits: {
              bodyBytesMax: definition.limits.bodyBytesMax,
              headersTimeoutMs: 10_000,
              requestTimeoutMs: 30_000,
            },
            log,
            clock,
          })
  }

  async open(): Promise<void> {
    const { listen } = this.#options
    if (listen !== null && this.#listener !== null) {
      await this.#listener.listen(listen.port, listen.host).catch((error: Error) => {
        throw new SyncError(
          'hub.listen-failed',
          `cannot listen on ${listen.host}:${listen.port}: ${error.message}. Stop the hub there, or give another --port.`,
        )
      })
    }
    for (const { feed } of this.#source.feeds) this.#reading.push(this.#follow(feed))
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#reading)
    await this.#listener?.close()
  }

  /** Of what is sent to us, or of feeds; null where neither can be heard. */
  of(isSent: boolean): Ear | null {
    if (isSent ? this.#listener === null : this.#source.feeds.length === 0) return null
    return {
      mark: () => this.#heard.length,
      wait: (nativeId, since, isWanted) => this.#wait(isSent, nativeId, since, isWanted),
      refuse: isSent ? (count) => void (this.#refusing = count) : null,
    }
  }

  async #wait(
    isSent: boolean,
    nativeId: NativeId,
    since: number,
    isWanted: (change: Change) => boolean,
  ): Promise<Change | undefined> {
    const { clock, waitMs } = this.#options
    const untilMs = clock.monotonicMs() + waitMs
    for (;;) {
      const found = this.#heard
        .slice(since)
        .find((one) => one.isSent === isSent && one.change.nativeId === nativeId && isWanted(one.change))
      if (found !== undefined) return found.change
      if (clock.monotonicMs() >= untilMs) return undefined
      await this.#pause()
    }
  }

  async #follow(feed: string): Promise<void> {
    let position: FeedPosition | null = null
    while (!this.#stop.signal.aborted) {
      try {
        const page: Awaited<ReturnType<Source['read']>> = await this.#source.read(
          feed,
          position,
          READ_MAX,
          this.#stop.signal,
        )
        for (const change of page.changes) this.#heard.push({ change, isSent: false })
        position = page.position
        if (!page.more) await this.#pause()
      } catch (error) {
        if (this.#stop.signal.aborted) return
        this.#options.log.log('warn', `the feed ${feed} could not be read: ${SyncError.from(error).message}`)
        await this.#pause()
      }
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => void this.#options.clock.timer(PAUSE_MS, resolve))
  }
}

const fileOf = (dataDir: string, app: string): string => join(dataDir, 'profiles', `${app}.json`)

export function keepProfile(dataDir: string, profile: Profile): string {
  const file = fileOf(dataDir, profile.app)
  mkdirSync(join(dataDir, 'profiles'), { recursive: true })
  writeFileSync(`${file}.new`, `${JSON.stringify(profile, null, 2)}\n`)
  renameSync(`${file}.new`, file)
  return file
}

/** What is kept of the last certification of an application; null when there is none. */
export function readProfile(dataDir: string, app: string): Profile | null {
  try {
    return JSON.parse(readFileSync(fileOf(dataDir, app), 'utf8')) as Profile
  } catch {
    return null
  }
}

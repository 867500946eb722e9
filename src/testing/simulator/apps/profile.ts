import type { Capabilities } from '../../../model/capabilities.ts'
import type { AppId, EntityName, ObjectId } from '../../../model/ids.ts'
import type { OwnApp } from '../own/world.ts'
import type { Rng } from '../rng.ts'
import type { AppObject } from './mapping.ts'

/** Kinds of application, each a set of capability letters of docs/protocol.md section 1. */
export type Flavour =
  | 'hook'
  | 'thin'
  | 'poll'
  | 'log'
  | 'log-values'
  | 'log-mark'
  | 'log-blind'
  | 'thin-blind'
  | 'poll-blind'
  | 'hook-part'
  | 'log-part'
  | 'log-blind-part'
  | 'hook-lag'

export const FLAVOURS_BY_CLASS = {
  A: ['hook', 'thin', 'poll', 'log', 'log-values'],
  B: ['log-mark'],
  'B-': ['log-blind'],
  C: ['thin-blind', 'poll-blind'],
  R1: ['hook-lag'],
  I1: ['hook-part', 'log-part', 'log-blind-part'],
} as const satisfies Record<string, readonly Flavour[]>

/** How far an application may be behind a request that its caller gave up on; the longest late application that the network makes, and a margin. */
export const FENCE_MS = 7000

export interface AppProfile {
  readonly app: AppId
  readonly index: number
  /** Its flavour, or the letters of a config's application. */
  readonly flavour: string
  readonly capabilities: Capabilities
  readonly notify: 'webhook' | 'log' | 'poll' | 'none'
  /** revision: counted per record. log: a position in the application's log. etag: opaque. content: an etag that equal content shares. */
  readonly tokens: 'revision' | 'log' | 'etag' | 'content' | 'none'
  /** How a thin or polled feed tells of a deletion. */
  readonly deleteNotice: 'deleted' | 'hint'
  /** Whether saving a record as it was makes a new version and a notification, or nothing. */
  readonly noopSave: 'version' | 'silent'
  /** Whether it refuses to create a second record with the same code. */
  readonly isCodeUnique: boolean
  /** Whether its API refuses texts that its own users may enter. */
  readonly isStrict: boolean
  /** How often a polling source looks, and how many rows it takes at once. */
  readonly pollEveryMs: number
  readonly pageSize: number
  /** How far reads are behind what was written (R1). */
  readonly readLagMs: number
  /** What the application's clock is ahead of true time, ms; null when it does not say when a change happened. */
  readonly clockAheadMs: number | null
  readonly nativeId: (n: number) => string
  readonly objects: ReadonlyMap<EntityName, AppObject>
  readonly objectsById: ReadonlyMap<ObjectId, AppObject>
}

type Letters = Pick<
  Capabilities,
  'feed' | 'token' | 'condition' | 'conditionOn' | 'create' | 'mark' | 'image' | 'idempotency'
> &
  Partial<Pick<Capabilities, 'read'>>

const LETTERS: Readonly<Record<Flavour, Letters>> = {
  hook: { feed: 'F2', token: 'T2', condition: 'C2', create: 'K2', mark: 'M0', image: 'I2', idempotency: 'all' },
  thin: { feed: 'F2', token: 'T1', condition: 'C2', create: 'K2', mark: 'M0', image: 'I0', idempotency: 'all' },
  poll: { feed: 'F1', token: 'T1', condition: 'C2', create: 'K2', mark: 'M0', image: 'I2', idempotency: 'all' },
  log: { feed: 'F3', token: 'T2', condition: 'C2', create: 'K1', mark: 'M0', image: 'I2', idempotency: 'none' },
  'log-values': {
    feed: 'F3',
    token: 'T2',
    condition: 'C2',
    conditionOn: 'patch',
    create: 'K2',
    mark: 'M2',
    image: 'I2',
    idempotency: 'all',
  },
  'log-mark': { feed: 'F3', token: 'T2', condition: 'C0', create: 'K1', mark: 'M2', image: 'I2', idempotency: 'none' },
  'log-blind': { feed: 'F3', token: 'T2', condition: 'C0', create: 'K1', mark: 'M0', image: 'I2', idempotency: 'none' },
  'hook-part': { feed: 'F2', token: 'T2', condition: 'C2', create: 'K2', mark: 'M0', image: 'I1', idempotency: 'all' },
  'log-part': {
    feed: 'F3',
    token: 'T2',
    condition: 'C2',
    conditionOn: 'patch',
    create: 'K2',
    mark: 'M2',
    image: 'I1',
    idempotency: 'all',
  },
  'log-blind-part': {
    feed: 'F3',
    token: 'T2',
    condition: 'C0',
    create: 'K1',
    mark: 'M2',
    image: 'I1',
    idempotency: 'none',
  },
  'hook-lag': {
    feed: 'F2',
    token: 'T2',
    condition: 'C2',
    create: 'K2',
    mark: 'M0',
    image: 'I2',
    read: 'R1',
    idempotency: 'all',
  },
  'thin-blind': {
    feed: 'F2',
    token: 'T0',
    condition: 'C0',
    create: 'K2',
    mark: 'M0',
    image: 'I0',
    idempotency: 'create',
  },
  'poll-blind': {
    feed: 'F1',
    token: 'T0',
    condition: 'C0',
    create: 'K2',
    mark: 'M0',
    image: 'I2',
    idempotency: 'create',
  },
}

const NATIVE_IDS: readonly ((n: number) => string)[] = [
  (n) => 'ord-' + n,
  (n) => String(n).padStart(5, '0'),
  (n) => 'W' + (1000 + n * 7),
  (n) => `${n.toString(16)}f-${(n * 7919).toString(36)}`,
]

export interface ProfileChoices {
  readonly clockSkew: boolean
  readonly validation: boolean
}

export function drawProfile(
  app: AppId,
  index: number,
  flavour: Flavour,
  objects: readonly AppObject[],
  choices: ProfileChoices,
  random: Rng,
): AppProfile {
  const letters = drawLetters(flavour, random)
  const notify = letters.feed === 'F3' ? 'log' : letters.feed === 'F1' ? 'poll' : 'webhook'
  return {
    app,
    index,
    flavour,
    capabilities: {
      ...letters,
      read: letters.read ?? 'R2',
      correlation: letters.create === 'K1' || random.chance(0.6),
      reply: { token: letters.token !== 'T0' && random.chance(0.85), image: random.chance(0.4) },
      batchMax: random.pick([1, 1, 3, 8]),
      concurrency: random.pick([1, 2, 4]),
      atomicGroups: false,
      fenceMs: FENCE_MS,
    },
    notify,
    tokens: tokensOf(letters, notify, random),
    deleteNotice: random.chance(0.5) ? 'deleted' : 'hint',
    noopSave: random.chance(0.5) ? 'version' : 'silent',
    isCodeUnique: random.chance(0.5),
    isStrict: choices.validation && random.fork('strict').chance(0.5),
    pollEveryMs: random.pick([50, 200, 1000, 3000]),
    pageSize: random.pick([1, 3, 50]),
    readLagMs: letters.read === 'R1' ? random.fork('lag').pick([100, 500, 2500]) : 0,
    clockAheadMs: random.chance(0.3) ? null : choices.clockSkew ? random.int(-2000, 2000) : 0,
    nativeId: NATIVE_IDS[index % NATIVE_IDS.length] as (n: number) => string,
    objects: new Map(objects.map((object) => [object.spec.name, object])),
    objectsById: new Map(objects.map((object) => [object.object, object])),
  }
}

/** An application of a config: what it offers is given, its habits are drawn. Its ids are digits, as they may be kept as numbers. */
export function ownProfile(own: OwnApp, index: number, clockSkew: boolean, random: Rng): AppProfile {
  const { app, capabilities, objects } = own
  const notify =
    capabilities.feed === 'F3' ? 'log' : capabilities.feed === 'F1' ? 'poll' : own.isTold ? 'webhook' : 'none'
  return {
    app,
    index,
    flavour: own.letters,
    capabilities,
    notify,
    tokens:
      capabilities.token === 'T0'
        ? 'none'
        : capabilities.token === 'T1'
          ? 'etag'
          : notify === 'log'
            ? 'log'
            : 'revision',
    deleteNotice: random.chance(0.5) ? 'deleted' : 'hint',
    noopSave: random.chance(0.5) ? 'version' : 'silent',
    isCodeUnique: random.chance(0.5) && objects.every(({ isMatched }) => isMatched),
    isStrict: false,
    pollEveryMs: random.pick([50, 200, 1000, 3000]),
    pageSize: random.pick([1, 3, 50]),
    readLagMs: 0,
    clockAheadMs: random.chance(0.3) ? null : clockSkew ? random.int(-2000, 2000) : 0,
    nativeId: (n) => String((index + 1) * 100_000 + n * 7),
    objects: new Map(objects.map((object) => [object.spec.name, object])),
    objectsById: new Map(objects.map((object) => [object.object, object])),
  }
}

/** The same flavour is met with and without what it need not have. */
function drawLetters(flavour: Flavour, random: Rng): Letters {
  const letters = LETTERS[flavour]
  if (flavour === 'log-values' && random.chance(0.4)) return { ...letters, create: 'K1', idempotency: 'none' }
  if (flavour === 'poll' && random.chance(0.3)) return { ...letters, image: 'I0' }
  if ((flavour === 'hook' || flavour === 'thin') && random.chance(0.25)) return { ...letters, idempotency: 'create' }
  if ((flavour === 'thin-blind' || flavour === 'poll-blind') && random.chance(0.3)) {
    return { ...letters, create: 'K1', idempotency: 'none' }
  }
  return letters
}

function tokensOf(letters: Letters, notify: AppProfile['notify'], random: Rng): AppProfile['tokens'] {
  if (letters.token === 'T0') return 'none'
  if (letters.token === 'T1') return random.chance(0.3) ? 'content' : 'etag'
  return notify === 'log' ? 'log' : 'revision'
}

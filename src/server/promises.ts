import type { HubDefinition } from '../config/define-hub.ts'
import { type Capabilities, type CapabilityClass, classOf } from '../model/capabilities.ts'
import type { AppId, EntityName, ObjectId } from '../model/ids.ts'

/** What one object of an application offers, and what Latchwork therefore cannot promise for it. */
export interface ObjectPromises {
  readonly app: AppId
  readonly object: ObjectId
  readonly entity: EntityName
  readonly class: CapabilityClass
  readonly letters: string
  readonly notPromised: readonly NotPromised[]
}

export interface NotPromised {
  /** The promise of docs/protocol.md section 2. */
  readonly promise: string
  readonly why: string
  /** What the application would have to offer, and how the binding says so. */
  readonly earn: string
}

/** The promises per object, by the table of docs/protocol.md section 7. */
export function promisesOf(definition: HubDefinition): readonly ObjectPromises[] {
  return [...definition.model.entities.values()].flatMap((entity) =>
    [...entity.bindings.values()].map(({ app, object, capabilities }) => ({
      app,
      object,
      entity: entity.name,
      class: classOf(capabilities),
      letters: lettersOf(capabilities),
      notPromised: notPromisedBy(capabilities),
    })),
  )
}

export function notPromisedBy(c: Capabilities): readonly NotPromised[] {
  const missing: NotPromised[] = []
  const add = (promise: string, why: string, earn: string): void => void missing.push({ promise, why, earn })
  const hasFullLog = c.feed === 'F3' && c.image === 'I2'
  const seesAll = c.read === 'R2' || c.feed === 'F3' || c.feed === 'F2'
  if (!seesAll)
    add(
      'V2 convergence',
      'notifications may be lost and records cannot be read reliably: equal only up to the next comparison',
      'notifications that are resent until acknowledged, a poll, or records that can be read by their id',
    )
  if (c.condition !== 'C2' && !(hasFullLog && c.mark === 'M2')) {
    add(
      'V3 no lost update',
      hasFullLog
        ? 'writes carry no condition and no mark: an edit that returns to an older value while a write is under way may be taken for an echo'
        : 'writes carry no condition (If-Match): an edit made there between our read and our write is overwritten unseen. The window is counted',
      hasFullLog
        ? 'a mark in the log that names our own operations (M2), or writes that are refused when the old values differ'
        : 'writes that are refused when the version has changed: over HTTP `version` and `conditional: true`, in a database a version column or comparison by value',
    )
  }
  if (c.token !== 'T2' && c.read !== 'R2')
    add(
      'V4 no fabrication',
      'no ordered version and no reliable read: an old notification cannot be told from a new one',
      'a `version` that grows with each change of a record, or records that can be read by their id as they are now',
    )
  if (c.create === 'K0')
    add(
      'V6 no duplicate',
      'creates carry no idempotency key and no external id: one of unknown outcome is parked, for a person to look at',
      "`idempotency: 'create'` where the application takes an idempotency key, or `externalId` where it keeps an id of ours with each record",
    )
  if (c.token !== 'T2' && c.read !== 'R2')
    add(
      'V7 order',
      'notifications carry no ordered version, and records cannot be read',
      'a `version` that grows with each change of a record, or records that can be read by their id',
    )
  if (c.feed === 'F1' || c.feed === 'none')
    add(
      'V8 deletes',
      'nothing tells of a deletion in time; it is noticed when the record is next read',
      'a notification of deletions, or a log or change table that names them',
    )
  return missing
}

/** The letters of docs/protocol.md section 1, in its order: `F2 T2 C2 K2 M0 I2 R2`. */
export const lettersOf = (c: Capabilities): string =>
  [c.feed === 'none' ? 'no feed' : c.feed, c.token, c.condition, c.create, c.mark, c.image, c.read].join(' ')

/** The same reason once per application, for a line in the log. */
export function limitedApps(promises: readonly ObjectPromises[]): readonly {
  readonly app: AppId
  readonly class: CapabilityClass
  readonly objects: readonly ObjectId[]
  readonly notPromised: readonly NotPromised[]
}[] {
  const groups = Map.groupBy(
    promises.filter((one) => one.notPromised.length > 0),
    (one) => `${one.app} ${one.class} ${JSON.stringify(one.notPromised)}`,
  )
  return [...groups.values()].map((group) => {
    const [{ app, class: letter, notPromised }] = group as [ObjectPromises, ...ObjectPromises[]]
    return { app, class: letter, objects: group.map((one) => one.object), notPromised }
  })
}

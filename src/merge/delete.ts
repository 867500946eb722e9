import { hasAgreed } from '../model/basis.ts'
import type { BindingModel, EntityModel, SoftDelete } from '../model/entity.ts'
import type { AppId, JournalPosition } from '../model/ids.ts'
import { type Conflict, type Lane, nextHeadSeq, type RecordState } from '../model/record.ts'
import { type Path, splitPartPath, valuesEqual } from '../model/value.ts'
import { agreedBy, contestedValues } from './set-aside.ts'

export interface DeleteResult {
  readonly record: RecordState
  readonly lane: Lane
  readonly conflicts: readonly Conflict[]
  /** deleted: everywhere. quarantined: everywhere, after a while. soft: as a value of a field. detached: kept elsewhere, no longer followed here. recreated: put back here. known: it was deleted already. */
  readonly effect: 'deleted' | 'quarantined' | 'soft' | 'detached' | 'recreated' | 'known'
}

/**
 * Folds a deletion that an application tells us (docs/protocol.md step 10, hazard 14). By default it wins only when its application had seen everything: otherwise the
 * data is kept, the record is detached in the deleting application, and listed as a conflict. Pure.
 */
export function foldDelete(
  entity: EntityModel,
  binding: BindingModel,
  record: RecordState,
  lane: Lane,
  at: { readonly seq: JournalPosition; readonly atMs: number },
): DeleteResult {
  const without: Lane = {
    ...lane,
    exists: false,
    image: {},
    sent: {},
    overlays: [],
    unfolded: [],
    intent: null,
    reading: null,
    retry: null,
    waitsFor: null,
  }
  if (record.deleted) return { record, lane: without, conflicts: [], effect: 'known' }
  // Its users have deleted what they held of fields that are set aside: nothing of theirs waits for a decision any more.
  const kept = withoutClaims(record, lane.app)
  if (entity.softDelete !== undefined && binding.deletes === 'propagate') {
    return { ...softly(entity.softDelete, kept, lane, at), lane: { ...without, detached: true }, conflicts: [] }
  }
  const unseen = unseenBy(binding, record, lane)
  const policy = entity.deletes
  const log = (winner: 'delete' | 'update', paths: readonly Path[] = unseen): Conflict[] =>
    paths.map((path) => {
      const cell = record.head[path] as RecordState['head'][string]
      const deletion = { app: lane.app, value: null }
      const update = { app: cell.origin.app, value: cell.value }
      const [won, lost] = winner === 'delete' ? [deletion, update] : [update, deletion]
      return {
        key: record.key,
        entity: record.entity,
        path,
        loserApp: lost.app,
        loserValue: lost.value,
        winnerApp: won.app,
        winnerValue: won.value,
        reason: 'unseen',
        policy: `deletes: ${policy}`,
        seq: at.seq,
        atMs: at.atMs,
      }
    })
  if (policy === 'ignore' || binding.deletes === 'ignore') {
    return { record: kept, lane: { ...without, detached: true }, conflicts: [], effect: 'detached' }
  }
  if (policy === 'update-wins' && unseen.length > 0) {
    return {
      record: kept,
      lane: { ...without, nativeId: null, exists: null, incarnation: lane.incarnation + 1 },
      conflicts: log('update'),
      effect: 'recreated',
    }
  }
  if (policy === 'default' && unseen.length > 0 && isKeptElsewhere(entity, record, lane)) {
    return { record: kept, lane: { ...without, detached: true }, conflicts: log('update'), effect: 'detached' }
  }
  // What the deleting application does not map at all does not stop the deletion, but it is kept in the log like everything its user had not seen.
  const lost = [...unseen, ...invisibleTo(binding, record, lane), ...equalByChance(binding, record, lane)]
  const contested = contestedValues(record)
    .filter(({ app }) => app !== lane.app)
    .map(
      ({ path, app, value }): Conflict => ({
        key: record.key,
        entity: record.entity,
        path,
        loserApp: app,
        loserValue: value,
        winnerApp: lane.app,
        winnerValue: null,
        reason: 'unseen',
        policy: `deletes: ${policy}`,
        seq: at.seq,
        atMs: at.atMs,
      }),
    )
  return {
    record: {
      ...record,
      deleted: true,
      deletion: {
        app: lane.app,
        atMs: at.atMs,
        ...(entity.quarantineMs === undefined ? {} : { untilMs: at.atMs + entity.quarantineMs }),
      },
      headSeq: nextHeadSeq(record, at.seq),
      parkedPaths: NONE_PARKED,
    },
    lane: without,
    conflicts: [...log('delete', lost), ...contested],
    effect: entity.quarantineMs === undefined ? 'deleted' : 'quarantined',
  }
}

function withoutClaims(record: RecordState, app: AppId): RecordState {
  let { parkedPaths } = record
  for (const path in parkedPaths) parkedPaths = agreedBy(parkedPaths, path, app)
  return parkedPaths === record.parkedPaths ? record : { ...record, parkedPaths }
}

/** Another application has the record, or is about to get it. Where all have deleted it, each without having seen all of it, there is nowhere left to keep the data but the log. */
const isKeptElsewhere = (entity: EntityModel, record: RecordState, { app }: Lane): boolean =>
  [...entity.bindings.values()].some((binding) => {
    const other = record.lanes[binding.app]
    if (binding.app === app) return false
    return other === undefined || other.nativeId === null
      ? binding.createHere
      : !other.detached && other.exists !== false
  })

/** The deletion becomes a change of a field, made by who deleted. */
function softly(
  soft: SoftDelete,
  record: RecordState,
  lane: Lane,
  at: { readonly seq: JournalPosition; readonly atMs: number },
): Pick<DeleteResult, 'record' | 'effect'> {
  const value = soft.deleted
  if (valuesEqual(record.head[soft.field]?.value, value)) return { record, effect: 'soft' }
  const headSeq = nextHeadSeq(record, at.seq)
  const origin = { seq: headSeq, app: lane.app, timeMs: at.atMs, root: at.seq, hops: 0 }
  return {
    record: { ...record, head: { ...record.head, [soft.field]: { value, origin } }, headSeq },
    effect: 'soft',
  }
}

const NONE_PARKED: RecordState['parkedPaths'] = {}

/** Mapped paths of the head that the application did not hold when it deleted: changes its user had not seen. */
function unseenBy(binding: BindingModel, record: RecordState, lane: Lane): Path[] {
  const follows = followed(binding)
  const unseen: Path[] = []
  for (const path in record.head) {
    const value = record.head[path]?.value
    if (!follows(path) || valuesEqual(value, lane.sent[path])) continue
    if (value === false && path.endsWith(']') && lane.sent[path] === undefined) continue
    unseen.push(path)
  }
  return unseen
}

/** What others came back to: the deleter had the same value before them, but not from those who set it last. It does not stop the deletion, and is kept. */
function equalByChance(binding: BindingModel, record: RecordState, lane: Lane): Path[] {
  if (lane.basis === record.headSeq && lane.byChance.length === 0) return []
  const follows = followed(binding)
  return Object.keys(record.head).filter(
    (path) => follows(path) && valuesEqual(record.head[path]?.value, lane.sent[path]) && !hasAgreed(record, lane, path),
  )
}

/** Paths of the head that the application does not map, set by others. */
function invisibleTo(binding: BindingModel, record: RecordState, lane: Lane): Path[] {
  const follows = followed(binding)
  return Object.keys(record.head).filter(
    (path) => !follows(path) && record.head[path]?.origin.app !== lane.app && record.head[path]?.value !== null,
  )
}

/** Whether an application is told of a path. */
function followed(binding: BindingModel): (path: Path) => boolean {
  const mapped = new Set<string>()
  for (const mapping of binding.fields) if (mapping.direction !== 'in') mapped.add(mapping.field)
  return (path) => {
    const inPart = splitPartPath(path)
    if (inPart === undefined) return mapped.has(path)
    const part = binding.parts.find((one) => one.part === inPart.part)
    return (
      part !== undefined &&
      (inPart.field === '' || part.fields.some((field) => field.field === inPart.field && field.direction !== 'in'))
    )
  }
}

import { isLostWhenUnknown } from '../deliver/plan.ts'
import { SyncError } from '../errors/index.ts'
import type { MissingReference } from '../merge/references.ts'
import { isLogFed, tellsOurCreates } from '../model/capabilities.ts'
import { type CanonicalKey, compareTokens, type EntityName } from '../model/ids.ts'
import type { Lane, Link, RecordState } from '../model/record.ts'
import { valuesEquivalent } from '../model/value.ts'
import { type Resolution, resolve } from '../resolve/resolve.ts'
import { type Observation, renditionsSeen } from './decide.ts'
import { adoptCreate } from './evidence.ts'
import { canonicalKeyFor } from './keys.ts'
import { adoptLogged, observeBy } from './log-fed.ts'
import type { Prepared } from './prepared.ts'
import { proposeCandidates } from './proposing.ts'
import { emptyLane, type RecordWork } from './record-work.ts'

import { at, isBusy, laneReason, readReason, type Turn } from './turn.ts'

/** What applications told (docs/protocol.md 3.3): each observation resolved to its record and folded, or made to wait, or set aside. */
export class Observing {
  readonly #turn: Turn

  constructor(turn: Turn) {
    this.#turn = turn
  }

  arrive(prepared: Prepared): void {
    const behind = this.#turn.engine.waiting.behind(prepared)
    for (const superseded of behind.superseded) this.#turn.done(superseded)
    if (!behind.queued) this.observe(prepared)
  }

  /** Resolves and folds one observation, or makes it wait. */
  observe(prepared: Prepared): void {
    if (this.#turn.engine.waiting.first(prepared.ref) !== undefined) {
      const behind = this.#turn.engine.waiting.behind(prepared)
      for (const superseded of behind.superseded) this.#turn.done(superseded)
      if (behind.queued) return
    }
    if (prepared.broken !== null) return this.#turn.park(prepared, prepared.broken)
    const { binding } = prepared
    const link = this.#turn.batch.linkOf(prepared)
    const openCreates = this.#openCreates(prepared)
    const resolution = resolve(
      {
        binding,
        // A part of a record that nobody knows does not say which it is: it is read.
        kind: prepared.partial && link?.state !== 'live' ? 'hint' : prepared.kind,
        token: prepared.token,
        isRead: prepared.begunAfter !== null,
        correlation: prepared.correlation,
        matchKey: prepared.matchKey,
      },
      {
        link,
        correlated: prepared.correlation === undefined ? undefined : this.#turn.batch.state(prepared.correlation.key),
        matched: this.#matched(prepared),
        openCreates,
      },
    )
    this.#follow(prepared, resolution, link)
  }

  #openCreates(prepared: Prepared): readonly CanonicalKey[] {
    const { binding } = prepared
    if (tellsOurCreates(binding.capabilities)) return NONE
    const asked = this.#turn.askedCreates.get(prepared.ref)
    const open =
      asked === undefined ? this.#turn.engine.latches.openCreates(binding.app, binding.object) : new Set(asked)
    if (open.size === 0) return NONE
    const keys = prepared.holdKeys === null ? [...open] : prepared.holdKeys.filter((key) => open.has(key))
    return keys.filter((key) => {
      const record = this.#turn.batch.state(key)
      const lane = record?.lanes[binding.app]
      return record === undefined || (lane?.intent?.kind === 'create' && lane.park === null)
    })
  }

  #matched(prepared: Prepared): RecordState | undefined {
    if (prepared.matchKey === null) return undefined
    const key = this.#turn.batch.matched(prepared.entity.name, prepared.matchKey)
    const record = key === null ? undefined : this.#turn.batch.state(key)
    // Deleted in this very turn: it matches nothing any more, or what lives under its match key would be deleted with it.
    return record?.deleted === true ? undefined : record
  }

  #follow(prepared: Prepared, resolution: Resolution, link: Link | undefined): void {
    switch (resolution.to) {
      case 'record':
        return this.#observeLinked(prepared, resolution.key)
      case 'link':
        return this.#observeUnlinked(prepared, resolution.key, resolution.why, resolution.incarnation)
      case 'new':
        if (this.#adoptByState(prepared)) return
        return this.#observeNew(prepared, resolution.incarnation)
      case 'hold':
        if (this.#adoptByState(prepared)) return
        prepared.holdKeys = resolution.keys
        return this.#turn.hold(
          prepared,
          resolution.keys.map((key) => laneReason(key, prepared.binding.app)),
          'creates',
          resolution.keys,
          'one of our creates may have made it',
        )
      case 'read':
        this.#turn.wantRead(prepared.binding, prepared.nativeId, prepared.ref)
        return this.#turn.hold(prepared, [readReason(prepared.ref)], 'read', [prepared.ref], 'the record is being read')
      case 'tombstone':
        this.#turn.batch.addLink(tombstoneOf(prepared, link))
        this.#turn.count('tombstone')
        return this.#turn.done(prepared)
      case 'drop':
        if (link !== undefined) this.#raiseTombstone(prepared, link)
        this.#sayDropped(prepared, link, resolution.why)
        return this.#turn.done(prepared)
      case 'ambiguous': {
        const { app } = prepared.binding
        const other = this.#turn.batch.state(resolution.key)?.lanes[app]?.nativeId
        return this.#turn.park(
          prepared,
          new SyncError(
            'resolve.ambiguous',
            `${app}:${prepared.nativeId} matches ${prepared.entity.name} ${resolution.key}, which is ${app}:${other} already. Delete one of the two in ${app}, or change its ${prepared.entity.match?.join(', ')}.`,
          ),
        )
      }
    }
  }

  /**
   * In an application that can neither take an idempotency key nor keep a correlation id, a record that is exactly what a create of unknown outcome would have
   * made is taken to be it (hazard 4: hold, then match by fingerprint, else a person).
   */
  #adoptByState(prepared: Prepared): boolean {
    const { binding, image } = prepared
    if (image === null || !isLostWhenUnknown(binding)) return false
    for (const key of this.#turn.engine.latches.openCreates(binding.app, binding.object)) {
      const work = this.#turn.batch.work(key)
      const lane = work?.lane(binding)
      const intent = lane?.intent
      if (work === undefined || lane === undefined || intent?.kind !== 'create' || intent.state !== 'unknown') continue
      if (!Object.entries(intent.native).every(([path, value]) => valuesEquivalent(image[path], value))) continue
      const seen = this.#seen(prepared)
      return this.#turn.guarded(prepared, () => {
        adoptCreate(work, binding, lane, intent, prepared.nativeId, seen, this.#turn.batch)
        this.#turn.linked(binding, prepared.nativeId)
        this.#turn.laneFreed(work, binding)
        this.#finish(prepared, seen.missing)
      })
    }
    return false
  }

  /** A deletion that was known by other means tells which version it was: whatever is older is dead, too. */
  #raiseTombstone({ kind, token, binding }: Prepared, link: Link): void {
    if (kind !== 'deleted' || token === undefined || binding.capabilities.token !== 'T2') return
    if (link.token === null || compareTokens(token, link.token) > 0) this.#turn.batch.addLink({ ...link, token })
  }

  #sayDropped(prepared: Prepared, link: Link | undefined, why: string): void {
    const work = link?.key == null ? undefined : this.#turn.batch.work(link.key)
    const name = prepared.kind === 'deleted' ? 'echo' : 'stale'
    if (work === undefined) this.#turn.count(name)
    else work.say(prepared, prepared.binding.app, name, `${prepared.binding.app}:${prepared.nativeId}: ${why}`)
  }

  #observeLinked(prepared: Prepared, key: CanonicalKey): void {
    const { binding } = prepared
    const work = this.#turn.batch.work(key)
    if (work === undefined) {
      return this.#turn.park(
        prepared,
        new SyncError('internal.bug', `${binding.app}:${prepared.nativeId} is linked to ${key}, which does not exist`),
      )
    }
    const lane = work.lane(binding)
    const isOld = prepared.begunAfter !== null && prepared.seq <= lane.readSeq && lane.unfolded.length === 0
    if (isOld && isLogFed(binding.capabilities)) return this.#turn.done(prepared)
    // Met again after a restart; or it waited, and the answer that has come since is the repeated one to an old write: which of the two is newer, another look tells.
    if (lane.intent === null && (isOld || prepared.kind === 'hint')) return this.#hint(work, prepared, lane)
    if (isBusy(lane, binding)) {
      this.#turn.engine.waiting.wait(prepared, [laneReason(key, binding.app)])
      return
    }
    this.#fold(work, prepared)
  }

  /** The observation, with the first reference in it that could not be translated. */
  #seen(prepared: Prepared): Observation & { missing: MissingReference | null } {
    const { image, token, sourceTimeMs, mark, lineage } = prepared
    const instance = this.#turn.engine.info?.instanceId
    const isOurs = mark?.startsWith(`${instance}.`) === true
    const isRead = prepared.begunAfter !== null
    const seen: Observation & { missing: MissingReference | null } = {
      ...at(prepared),
      image,
      token,
      sourceTimeMs,
      isRead,
      isPartial: prepared.partial,
      asOf: prepared.begunAfter ?? undefined,
      mark,
      isOurs,
      ...(lineage === undefined || instance === undefined ? {} : { told: { instance, byNative: lineage } }),
      missing: null,
      onMissing: (reference) => {
        seen.missing ??= reference
      },
    }
    return seen
  }

  /** Something happened there: one read begun from now on answers it, and every hint until then. */
  #hint(work: RecordWork, prepared: Prepared, lane: Lane): void {
    const { token } = prepared.binding.capabilities
    // What could not be folded yet is looked at again, whatever the version says: another look may take its place.
    const known = lane.unfolded.length === 0 && lane.own.every((own) => own.token !== lane.token || own.renditionSeen)
    if (token === 'T1' && known && prepared.token !== undefined && prepared.token === lane.token) {
      work.say(prepared, lane.app, 'echo', `${lane.app} notifies of version ${lane.token}, which is known`)
      return this.#turn.done(prepared)
    }
    const reading = lane.reading ?? { why: 'hint' as const, afterSeq: prepared.seq, notBeforeMs: 0, tries: 0 }
    work.setLane({ ...lane, reading: { ...reading, afterSeq: prepared.seq, headSeq: work.state.headSeq } })
    if (lane.reading === null)
      work.say(prepared, lane.app, 'hint', `${lane.app} says that something changed; it is read`)
    this.#turn.done(prepared)
  }

  /** Folds into an idle, linked lane. */
  #fold(work: RecordWork, prepared: Prepared): void {
    this.#turn.guarded(prepared, () => {
      const seen = this.#seen(prepared)
      observeBy(work, prepared.binding, seen, this.#turn.batch)
      this.#turn.received(work)
      this.#turn.laneFreed(work, prepared.binding)
      this.#finish(prepared, seen.missing)
    })
  }

  /** Folded; or all but a reference, for which the entry goes on waiting: its record is linked, so that nothing is made twice meanwhile. */
  #finish(prepared: Prepared, missing: MissingReference | null): void {
    if (missing === null) this.#turn.done(prepared)
    else this.#turn.awaitReference(prepared, missing)
  }

  #observeUnlinked(prepared: Prepared, key: CanonicalKey, why: 'correlation' | 'match', incarnation: number): void {
    const { binding } = prepared
    const work = this.#turn.batch.work(key)
    if (work === undefined)
      return this.#turn.park(prepared, new SyncError('internal.bug', `${key} was resolved but is not loaded`))
    const lane = work.lane(binding)
    const seen = this.#seen(prepared)
    if (lane.intent !== null) {
      const replyWillTell = lane.intent.state === 'open' || binding.capabilities.idempotency !== 'none'
      if (replyWillTell || lane.intent.kind !== 'create') {
        this.#turn.engine.waiting.wait(prepared, [laneReason(key, binding.app)])
        return
      }
      const intent = lane.intent
      this.#turn.guarded(prepared, () => {
        if (isLogFed(binding.capabilities))
          adoptLogged(work, binding, intent, prepared.nativeId, seen, this.#turn.batch)
        else adoptCreate(work, binding, lane, intent, prepared.nativeId, seen, this.#turn.batch)
        this.#turn.linked(binding, prepared.nativeId)
        this.#turn.laneFreed(work, binding)
        this.#finish(prepared, seen.missing)
      })
      return
    }
    this.#turn.guarded(prepared, () => {
      this.#linkLane(work, prepared, incarnation)
      work.say(
        prepared,
        binding.app,
        'linked',
        why === 'match'
          ? `${binding.app}:${prepared.nativeId} is the same ${prepared.entity.name}: equal ${prepared.entity.match?.join(', ')}`
          : `${binding.app}:${prepared.nativeId} bears our correlation id`,
      )
      if (prepared.kind === 'hint') this.#hint(work, prepared, work.lane(binding))
      else observeBy(work, binding, seen, this.#turn.batch)
      this.#turn.received(work)
      this.#turn.linked(binding, prepared.nativeId)
      this.#finish(prepared, seen.missing)
    })
  }

  #observeNew(prepared: Prepared, incarnation: number): void {
    const { binding, entity } = prepared
    if (!binding.adoptHere) {
      this.#turn.count('unchanged')
      return this.#turn.done(prepared)
    }
    const key = canonicalKeyFor(this.#turn.engine.info?.instanceId ?? '', entity.name, prepared.seq, prepared.atMs)
    const work = this.#turn.batch.create(entity, key)
    const folded = this.#turn.guarded(prepared, () => {
      this.#linkLane(work, prepared, incarnation)
      work.say(prepared, binding.app, 'created', `${binding.app}:${prepared.nativeId} is new`)
      const seen = this.#seen(prepared)
      observeBy(work, binding, seen, this.#turn.batch)
      if (prepared.matchKey !== null) {
        this.#letGo(entity.name, prepared.matchKey)
        work.state = { ...work.state, matchKey: prepared.matchKey }
        work.matches.push({ matchKey: prepared.matchKey, key })
        this.#turn.batch.setMatch(entity.name, prepared.matchKey, key)
      }
      proposeCandidates(this.#turn, work, prepared)
      this.#turn.received(work)
      this.#turn.linked(binding, prepared.nativeId)
      this.#finish(prepared, seen.missing)
    })
    if (!folded) this.#turn.batch.undo(key)
  }

  /** A record that was deleted in this turn gives up its match key before another takes it. */
  #letGo(entity: EntityName, matchKey: string): void {
    const key = this.#turn.batch.matched(entity, matchKey)
    const work = key === null ? undefined : this.#turn.batch.work(key)
    if (work === undefined) return
    work.state = { ...work.state, matchKey: null }
    work.matches.push({ matchKey, key: null })
  }

  #linkLane(work: RecordWork, prepared: Prepared, incarnation: number): void {
    const { binding, nativeId } = prepared
    const before = work.lane(binding)
    // What was written to another record, in a former life, says nothing of how this one keeps our values.
    const own = renditionsSeen(before.own)
    work.setLane({ ...emptyLane(binding), nativeId, incarnation, nextOp: before.nextOp, own })
    work.link(binding, nativeId, incarnation, prepared)
  }
}

const NONE: readonly CanonicalKey[] = []

function tombstoneOf(prepared: Prepared, link: Link | undefined): Link {
  const { binding, nativeId, token, atMs } = prepared
  return {
    app: binding.app,
    object: binding.object,
    nativeId,
    entity: binding.entity,
    key: null,
    incarnation: link?.incarnation ?? 0,
    state: 'tombstone',
    token: token ?? null,
    atMs,
  }
}

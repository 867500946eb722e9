import { type Mutant, mutant } from './mutant.ts'

const OBSERVING = 'src/engine/observing.ts'
const DECIDE = 'src/engine/decide.ts'
const RESOLVE = 'src/resolve/resolve.ts'
const CORRELATED = '  return isMade || livesAgain(record, lane, around) ? record.key : undefined'
const FOLD = 'src/merge/fold.ts'
const PREPARED = 'src/engine/prepared.ts'
const CYCLE = 'src/engine/cycle.ts'

/** Rules of observing (docs/protocol.md 3.3): which record, is it news, whose change is it, what remains. */
export const OBSERVING_MUTANTS: readonly Mutant[] = [
  mutant(
    'boolean-latch',
    'section 0, 1: an observation of a lane with an open write waits and is folded; it is not dropped because a latch is closed',
    OBSERVING,
    `    if (isBusy(lane, binding)) {
      this.#turn.engine.waiting.wait(prepared, [laneReason(key, binding.app)])
      return
    }`,
    `    if (isBusy(lane, binding)) return this.#turn.done(prepared)`,
  ),
  mutant(
    'boolean-latch-at-the-door',
    'step 6, decision 51: while a write is under way only its own version is its echo; not whatever its application tells',
    'src/engine/door.ts',
    `if (known !== null || lane.intent?.state !== 'open') return known`,
    `if (known !== null || lane.intent?.state !== 'open') return known
    if (lane.intent !== null) return { key: link.key, verdict: 'echo', text: '' }`,
  ),
  mutant(
    'door-knows-newer-versions',
    'step 6, decision 51: what is acknowledged at the door is a version that is known, not one that is newer',
    DECIDE,
    `  if (order === 'newer') return null`,
    `  if (order === 'newer' && (isRead || lane.own.length === 0)) return null`,
  ),
  mutant(
    'busy-lane-folded',
    'step 4: a lane with a write or read under way makes its observations wait',
    OBSERVING,
    `    if (isBusy(lane, binding)) {
      this.#turn.engine.waiting.wait(prepared, [laneReason(key, binding.app)])
      return
    }`,
    '',
  ),
  mutant(
    'create-hold-skipped',
    'step 3: an unknown record of an application that keeps no correlation ids is held while a create of ours is open there',
    RESOLVE,
    `around.openCreates.length > 0 && !tellsOurCreates(subject.binding.capabilities)`,
    'false',
  ),
  mutant(
    'match-hold-skipped',
    'steps 3 and 16: a record that matches one whose create is open is held until that create is closed',
    RESOLVE,
    `  if (isFree(lane)) return { to: 'hold', keys: [record.key] }`,
    `  if (isFree(lane)) return { to: 'new', incarnation }`,
  ),
  mutant(
    'correlation-link-skipped',
    'step 3: a record that bears our correlation id is linked at once',
    RESOLVE,
    CORRELATED,
    '  return undefined',
  ),
  {
    name: 'hold-and-correlation-skipped',
    breaks: 'hazard 4: neither the hold nor the correlation id closes the race between a create and its notification',
    edits: [
      {
        file: RESOLVE,
        from: `around.openCreates.length > 0 && !tellsOurCreates(subject.binding.capabilities)`,
        to: 'false',
      },
      {
        file: RESOLVE,
        from: CORRELATED,
        to: '  return undefined',
      },
    ],
  },
  mutant(
    'copy-taken-for-its-original',
    'step 3: what bears the correlation id of a record that has lived there before is a copy of it, and matched like any record',
    RESOLVE,
    CORRELATED,
    '  return lane === undefined || isFree(lane) ? record.key : undefined',
  ),
  mutant(
    'correlated-record-taken-twice',
    'step 3: a correlation id links only where the record has no living counterpart',
    RESOLVE,
    CORRELATED,
    '  return record.key',
  ),
  mutant(
    'match-key-not-unique',
    'step 16: new records are made under a unique match key, so that two applications that create the same thing meet',
    OBSERVING,
    `    if (prepared.matchKey === null) return undefined`,
    '    return undefined',
  ),
  mutant(
    'ambiguous-linked',
    'step 16: a second record of one application that matches the same canonical is set aside for a person',
    RESOLVE,
    `  return { to: 'ambiguous', key: record.key }`,
    `  return { to: 'link', key: record.key, why: 'match', incarnation }`,
  ),
  {
    name: 'tombstone-forgotten',
    breaks: 'step 3: an image of a deleted record that is no newer than its deletion is dropped',
    edits: [
      { file: RESOLVE, from: `link !== undefined && isOfTheDead(subject, link)`, to: 'false' },
      {
        file: RESOLVE,
        from: `link !== undefined && !subject.isRead && !toldByLog(subject) && subject.binding.capabilities.read !== 'R0'`,
        to: 'false',
      },
    ],
  },
  mutant(
    'tombstone-not-read-again',
    'hazard 16: an image newer than a deletion as it was known may be older than the deletion itself; a read tells',
    RESOLVE,
    `link !== undefined && !subject.isRead && !toldByLog(subject) && subject.binding.capabilities.read !== 'R0'`,
    'false',
  ),
  mutant(
    'unlinked-deletion-forgotten',
    'step 3: the deletion of a record that was never linked leaves a tombstone',
    RESOLVE,
    `  if (subject.kind === 'deleted') return { to: 'tombstone' }`,
    `  if (subject.kind === 'deleted') return { to: 'drop', why: 'it is not known' }`,
  ),
  mutant(
    'stale-drop-off',
    'step 6: an image no newer than what is known is dropped',
    DECIDE,
    `    return order < 0 ? 'older' : order === 0 ? 'same' : 'newer'`,
    `    return order === 0 ? 'same' : 'newer'`,
  ),
  mutant(
    'token-order-ignored',
    'step 6: an ordered token says which of two states is older',
    DECIDE,
    `  if (seen.token === undefined || lane.token === null) return 'newer'`,
    `  return 'newer'`,
  ),
  mutant(
    'payload-interpreted-without-order',
    'step 5: without an ordered token a payload is only a hint, and the record is read',
    PREPARED,
    `  const ordered = token === 'T2' && change.token !== undefined`,
    `  const ordered = change.record !== undefined || token === 'T2'`,
  ),
  mutant(
    'hint-dropped',
    'step 5: a hint leads to a read',
    OBSERVING,
    `    if (lane.reading === null)
      work.say(prepared, lane.app, 'hint',`,
    `    if (prepared.seq % 4 === 0) work.setLane({ ...lane, reading: null })
    if (lane.reading === null)
      work.say(prepared, lane.app, 'hint',`,
  ),
  mutant(
    'read-begun-before-the-hint',
    'step 5: a read answers only the hints that came before it was begun',
    'src/engine/evidence.ts',
    `  const answered = reading !== null && begunAfter >= reading.afterSeq`,
    '  const answered = reading !== null',
  ),
  mutant(
    'rendition-off',
    'step 7: how an application keeps what we wrote is its rendition, and not a change',
    FOLD,
    `    if (own.how === 'late') return true
    if (!(change.path in own.patch))`,
    `    if (this.input.record !== null) return false
    if (!(change.path in own.patch))`,
  ),
  mutant(
    'rendition-of-anything',
    'step 15: a field is taken for our own write in doubt only when it is recognisably ours',
    FOLD,
    `    if (own.how === 'exact') return true`,
    '    if (own.how !== null) return true',
  ),
  mutant(
    'own-write-ring-off',
    'ladder, rung 2: a version token that one of our writes returned names that write',
    DECIDE,
    `  return token === undefined ? undefined : lane.own.find((write) => write.token === token)`,
    '  return undefined',
  ),
  mutant(
    'echo-expected',
    'hazard 2: nothing waits for an echo; the next news of a record after our write may be a change',
    DECIDE,
    `  const order = staleness(binding, lane, seen)`,
    `  if (!seen.isRead && seen.image !== null && lane.own[0]?.renditionSeen === false) {
    work.setLane({ ...lane, own: renditionsSeen(lane.own), token: seen.token ?? lane.token })
    return
  }
  const order = staleness(binding, lane, seen)`,
  ),
  mutant(
    'always-detached',
    'hazard 14: a deletion whose user had seen everything is carried over',
    'src/merge/delete.ts',
    `policy === 'ignore' || binding.deletes === 'ignore'`,
    'unseen.length === 0',
  ),
  mutant(
    'conflict-not-seen',
    'step 8: a change is accepted without more only if the head is what the application last agreed to',
    FOLD,
    'if (cell === undefined || hasAgreed(this.input.record, this.input.lane, path)) {',
    'if (cell === undefined || path !== undefined) {',
  ),
  mutant(
    'head-that-came-back',
    'step 8: a head that went away from a value and came back to it has changed (A-B-A)',
    'src/model/basis.ts',
    '    cell.origin.seq <= lane.basis &&',
    '',
  ),
  mutant(
    'conflict-loser-not-logged',
    'step 8: the value that loses is kept whole in the conflict log',
    FOLD,
    `this.#log(path, app, value, current.app, cell.value, reason, decision.by)`,
    '',
  ),
  mutant(
    'overwritten-head-not-logged',
    'step 8: so is the value of the head that an incoming one replaces against it',
    FOLD,
    `this.#log(path, current.app, cell.value, app, value, reason, decision.by)`,
    '',
  ),
  mutant(
    'loser-not-told',
    'step 8: the application whose value lost is written to',
    FOLD,
    `        this.sent[path] = value
        this.lost.push(path)`,
    `        this.sent[path] = cell.value
        this.lost.push(path)`,
  ),
  mutant(
    'edit-of-the-deleted-not-logged',
    'step 8: an edit of a record that was deleted goes to the conflict log',
    FOLD,
    `      this.#logLoser(path, value, cell, 'deleted')`,
    '',
  ),
  mutant(
    'policy-not-deterministic',
    'section 9: the same inputs give the same decision',
    'src/merge/policy.ts',
    `  if (delta > skewMs) return true
  if (delta < -skewMs) return false`,
    '  if (Math.abs(delta) > 0) return Math.random() < 0.5',
  ),
  mutant(
    'unseen-values-of-a-deletion-not-logged',
    'step 10: what the deleting user had not seen goes to the conflict log',
    'src/merge/delete.ts',
    `conflicts: [...log('delete', lost), ...contested],`,
    'conflicts: [],',
  ),
  mutant(
    'deletion-of-the-unlinked-record-at-link',
    'step 15 v: a tombstone is consulted when a create is linked',
    'src/engine/answers.ts',
    `known?.state === 'tombstone' && known.key === null`,
    'false',
  ),
  {
    name: 'waiting-room-overtaken',
    breaks: 'step 2: entries of one record are taken in journal order',
    edits: [
      {
        file: OBSERVING,
        from: `    if (this.#turn.engine.waiting.first(prepared.ref) !== undefined) {`,
        to: '    if (false) {',
      },
      {
        file: 'src/engine/waiting.ts',
        from: `    if (queue === undefined) return this.#behindReleased(entry)`,
        to: '    return NOT_BEHIND',
      },
    ],
  },
  mutant(
    'match-keys-not-kept',
    'step 16: the match key follows the head, and is free again when the record is deleted',
    CYCLE,
    `      if (matchKey !== work.state.matchKey) changed.push({ work, matchKey })`,
    '',
  ),
]

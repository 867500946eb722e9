import { type Mutant, mutant } from './mutant.ts'

const SETTLE = 'src/deliver/settle.ts'
const PLAN = 'src/deliver/plan.ts'
const EVIDENCE = 'src/engine/evidence.ts'
const DISPATCHER = 'src/engine/dispatcher.ts'

/** Rules of planning and sending (docs/protocol.md 3.4), and of writes in doubt. */
export const DELIVERING_MUTANTS: readonly Mutant[] = [
  mutant(
    'refresh-and-repeat',
    'step 14: a version conflict leads to a read that is folded, never to the same write on a refreshed token',
    EVIDENCE,
    `  if (lane.exists !== false || image !== null) observe(work, binding, seen, references)`,
    `  if (reading?.why === 'conflict' && image !== null) work.setLane({ ...work.lane(binding), token: seen.token ?? lane.token })
  else if (lane.exists !== false || image !== null) observe(work, binding, seen, references)`,
  ),
  mutant(
    'blind-instead-of-conditional',
    'step 13: a write carries the version that it is based on wherever the application has conditions',
    PLAN,
    `    baseToken: lane.token,`,
    `    baseToken: kind === 'delete' ? lane.token : null,`,
  ),
  mutant(
    'delete-unconditional',
    'step 13: deletes are conditional too',
    PLAN,
    `    baseToken: lane.token,`,
    `    baseToken: kind === 'delete' ? null : lane.token,`,
  ),
  mutant(
    'condition-at-connector-dropped',
    'step 13: what is sent carries the base of the intent',
    DISPATCHER,
    `    baseToken: intent.baseToken,`,
    `    baseToken: intent.tries > 0 ? null : intent.baseToken,`,
  ),
  mutant(
    'create-resent-blindly',
    'step 15 v: a create in doubt is sent again only under an idempotency key; otherwise it is looked for',
    SETTLE,
    `    if (idempotency !== 'none') return resend()`,
    '    return resend()',
  ),
  mutant(
    'create-fence-skipped',
    'step 15 v: a create in doubt is looked for only when it can no longer be applied',
    SETTLE,
    `return lookAfter(Math.max(delayMs, fenceMs), 'looked for by its correlation id')`,
    `return lookAfter(delayMs, 'looked for by its correlation id')`,
  ),
  mutant(
    'create-fence-skipped-after-restart',
    'step 15 v: so is one that was open when the hub died',
    EVIDENCE,
    `      binding.capabilities.condition === 'C0' ||
      lane.intent.kind === 'create'
`,
    '      false\n',
  ),
  mutant(
    'blind-write-fence-skipped',
    'step 15 iv: a blind write in doubt is decided only when it can no longer be applied',
    SETTLE,
    `lookAfter(condition === 'C2' ? delayMs : Math.max(delayMs, fenceMs), 'read')`,
    `lookAfter(delayMs, 'read')`,
  ),
  mutant(
    'doubt-taken-for-refusal',
    'step 14: time-out, reset and crash leave a write in doubt; it is not planned anew',
    SETTLE,
    `    case 'unknown':
      return unknown(`,
    `    case 'unknown':
      return retryLater(lane, intent, 'target.unavailable', 'no answer', undefined, context)
      return unknown(`,
  ),
  mutant(
    'doubt-taken-for-success',
    'step 15: a write in doubt is resolved by evidence',
    SETTLE,
    `    case 'unknown':
      return unknown(`,
    `    case 'unknown':
      if (intent.kind === 'update') return applied(record, lane, intent, binding, outcome, context)
      return unknown(`,
  ),
  mutant(
    'refusal-taken-for-success',
    'step 14: a refused write is tried again for as long as the need exists',
    SETTLE,
    `  if (isForGood) {`,
    `  if (outcome.handling !== 'park' && intent.kind === 'update')
    return { lane: { ...closed(lane), sent: applySent(lane.sent, intent.patch) }, verdict: 'retry', text: '' }
  if (isForGood) {`,
  ),
  {
    name: 'not-found-taken-for-deleted',
    breaks: 'step 14: "not found" is confirmed by a read before it counts as a deletion',
    edits: [
      {
        file: SETTLE,
        from: `      intent: endIntent(intent, 'answered'),
      reading: { why: 'gone', afterSeq: context.seq, notBeforeMs: 0, tries: 0 },
    },
    verdict: 'gone',`,
        to: `      intent: null,
    },
    gone: 'theirs',
    verdict: 'gone',`,
      },
      {
        file: 'src/engine/decide.ts',
        from: `  if (settled.gone !== undefined) {`,
        to: `  if (settled.gone === 'theirs') {
    work.setLane(settled.lane)
    observeDeletion(work, binding, work.lane(binding), { ...at, image: null, token: undefined, sourceTimeMs: undefined, isRead: true })
    return {}
  }
  if (settled.gone !== undefined) {`,
      },
    ],
  },
  mutant(
    'blind-write-on-an-old-read',
    'step 13: a record is read right before a blind write of it',
    PLAN,
    `(isBlind(binding) || lacksToken(lane, binding))`,
    'lacksToken(lane, binding)',
  ),
  mutant(
    'write-without-a-known-version',
    'step 13: without a version to be based on a record is read first',
    PLAN,
    `(isBlind(binding) || lacksToken(lane, binding))`,
    'isBlind(binding)',
  ),
  mutant(
    'possible-revert-not-kept',
    'step 15 iv: a value that a person may have put back while our write was in doubt goes to the conflict log',
    EVIDENCE,
    `  if (written && intent.state === 'unknown') keepPossibleReverts(work, intent, lane, seen)`,
    '',
  ),
  mutant(
    'written-on-what-is-known-to-be-old',
    'decision 12: nothing is written to a record of which something could not be folded',
    PLAN,
    `  if (context.blocked && lane.intent === null) return { lane, next: 'idle' }`,
    '',
  ),
  mutant(
    'newer-head-not-tried',
    'step 14: a head that moved on while a write was refused has its own attempt',
    SETTLE,
    `        text,
        intent.headSeq,`,
    `        text,
        Number.MAX_SAFE_INTEGER as typeof intent.headSeq,`,
  ),
  mutant(
    'reference-not-awaited',
    'step 12: a lane waits until the record that it refers to is in that application',
    'src/deliver/need.ts',
    `        missing ??= { entity: mapping.reference, key: value as CanonicalKey }
        return`,
    `        put({ ...mapping, reference: null }, prefix, value)
        return`,
  ),
  mutant(
    'need-of-everything',
    'step 12: need is what differs from what the application holds',
    'src/deliver/need.ts',
    `whole ? NOTHING : lane.sent`,
    'NOTHING',
  ),
  mutant(
    'delete-not-carried-over',
    'hazard 14: a deletion that had seen everything is carried to the other applications',
    PLAN,
    `  if (record.deleted) return lane.exists === true && binding.deletes === 'propagate' ? 'delete' : null`,
    '  if (record.deleted) return null',
  ),
  mutant(
    'deleted-record-created-elsewhere',
    'V8: a record that was deleted is not created where it had not come to yet',
    PLAN,
    `  if (record.deleted) return lane.exists === true`,
    `  if (record.deleted && lane.exists !== null) return lane.exists === true`,
  ),
  mutant(
    'outcome-of-another-write',
    'section 3.1: what carries an op id does nothing when the lane has another write open',
    'src/engine/decide.ts',
    `  if (intent === null || intent.op !== outcome.op || intent.state === 'readback') return {}`,
    `  if (intent === null || intent.state === 'readback') return {}`,
  ),
  mutant(
    'parked-for-good',
    'step 14: a newer head makes one fresh attempt on a parked lane',
    PLAN,
    `lane.waitsFor === null && !mayTry(lane.park, record)`,
    'lane.park !== null',
  ),
]

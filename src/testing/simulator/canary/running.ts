import { type Mutant, mutant } from './mutant.ts'

const ENGINE = 'src/engine/engine.ts'
const COMMITTING = 'src/engine/committing.ts'
const FEEDS = 'src/engine/feeds.ts'
const CYCLE = 'src/engine/cycle.ts'
const DISPATCHER = 'src/engine/dispatcher.ts'

/** Rules of intake, of the loop around the decision, and of recovery (docs/protocol.md 3.1, 3.2, section 5). */
export const RUNNING_MUTANTS: readonly Mutant[] = [
  mutant(
    'acknowledged-before-journalled',
    'step 1: a notification is acknowledged only when the journal has it',
    ENGINE,
    `    return this.append(changes.map((change) => this.newEntry({ type: 'notification', change }, dedupKeyOf(change))))`,
    `    void this.append(changes.map((change) => this.newEntry({ type: 'notification', change }, dedupKeyOf(change)))).catch(() => {})
    return changes.map(() => null)`,
  ),
  mutant(
    'feed-confirmed-before-journalled',
    "step 1: a feed's position is confirmed only when what was read is durable",
    FEEDS,
    `    await this.#engine.append(
      changes.map((change) => this.#engine.newNotification(change)),`,
    `    await connector.source.confirm(feed, position)
    await this.#engine.append(
      changes.map((change) => this.#engine.newNotification(change)),`,
  ),
  mutant(
    'feed-position-before-its-changes',
    'section 3.1: a feed position is durable together with what was read',
    FEEDS,
    `    await this.#engine.append(
      changes.map((change) => this.#engine.newNotification(change)),`,
    `    await this.#engine.append([], [{ app: connector.app, feed, position }])
    await this.#engine.append(
      changes.map((change) => this.#engine.newNotification(change)),`,
  ),
  mutant(
    'payload-hash-deduplication',
    "hazard 17: notifications are known again by their sender's delivery id, never by their content",
    'src/engine/keys.ts',
    `  change.deliveryId === undefined ? null : \`\${change.app}\\u0000\${change.object}\\u0000\${change.deliveryId}\``,
    `  JSON.stringify([change.nativeId, change.kind, change.record], (_, value) => (typeof value === 'bigint' ? String(value) : value))`,
  ),
  mutant(
    'sent-before-committed',
    'section 0, 4: an intent is durable before the first byte leaves',
    CYCLE,
    `    await this.#committing.commit()
    if (this.#engine.killed) return
    this.#committing.after()`,
    `    this.#committing.after()
    await this.#committing.commit()
    if (this.#engine.killed) return`,
  ),
  mutant(
    'intents-lost-at-restart',
    'hazard 11: intents are durable, and in doubt after a restart',
    'src/engine/evidence.ts',
    `  if (lane.intent === null || lane.intent.state !== 'open') return
  const settled`,
    `  if (lane.intent === null || lane.intent.state !== 'open') return
  if (lane.intent !== null) return work.setLane({ ...lane, intent: null })
  const settled`,
  ),
  mutant(
    'open-at-restart-not-in-doubt',
    'step 15: every intent that is found open at start is in doubt, whether it was sent or not',
    CYCLE,
    `    doubtAfterRestart(work, binding, { seq: this.#engine.cursor, atMs: this.#turn.nowMs })`,
    '    void doubtAfterRestart',
  ),
  mutant(
    'read-of-before-the-restart-believed',
    'section 3.1: a read that was begun before a restart says how things were, not how they are',
    'src/engine/answers.ts',
    `this.#turn.live.has(prepared.seq) ? input.begunAfter : BEFORE_RESTART,`,
    'input.begunAfter,',
  ),
  mutant(
    'open-lanes-not-taken-up',
    'section 5: open lanes are taken up again after a restart',
    ENGINE,
    `      if (page.length > 0) await Cycle.recover(this, page)`,
    '',
  ),
  mutant(
    'held-entries-lost-at-restart',
    'section 3.1: held entries are taken up again after a restart',
    ENGINE,
    `    if (held.length > 0) await Cycle.takeUpHeld(this, held)`,
    '',
  ),
  mutant(
    'held-entry-not-written',
    'section 3.1: an entry that waits for long stands among the held entries before the cursor moves on',
    'src/engine/turn.ts',
    `    prepared.heldFor = { waitsOn, waitsFor, code }`,
    `    if (waitsOn !== 'operator') this.held.pop()
    prepared.heldFor = { waitsOn, waitsFor, code }`,
  ),
  mutant(
    'cursor-past-waiting-entries',
    'decision 7: the cursor is a low-water mark; an entry that waits in memory keeps it back',
    COMMITTING,
    `      if (!written.has(prepared) && prepared.seq <= position) position = prepared.seq - 1`,
    '',
  ),
  mutant(
    'rev-not-raised',
    'section 3.1: every commit of a record raises its rev',
    COMMITTING,
    `      work.state = { ...work.state, rev: work.expectRev + 1 }`,
    `      work.state = { ...work.state, rev: Math.max(1, work.expectRev) }`,
  ),
  mutant(
    'released-lane-not-examined',
    'step 12: what waited for a lane is examined again when it is free',
    'src/engine/turn.ts',
    '    if (!isBusy(lane, binding)) this.engine.waiting.release(',
    '    if (!isBusy(lane, binding) && work.state.rev % 3 !== 0) this.engine.waiting.release(',
  ),
  mutant(
    'waiters-for-a-link-not-planned',
    'step 12: lanes that wait for a link are planned when it comes',
    'src/engine/committing.ts',
    `    for (const waiter of waiters) replan.add(waiter)`,
    '',
  ),
  mutant(
    'two-writes-of-a-lane',
    'section 0, 4: one open write per record and application',
    'src/deliver/plan.ts',
    `  if (lane.intent !== null) return { lane: parkLostCreate(record, lane, lane.intent, binding, context), next: 'intent' }`,
    `  if (lane.intent?.state === 'unknown') return { lane: parkLostCreate(record, lane, lane.intent, binding, context), next: 'intent' }`,
  ),
  mutant(
    'lane-free-before-its-answer-is-decided',
    'architecture: a lane stays in flight until what came back from it is decided',
    DISPATCHER,
    `      const answered = outcomes[i]`,
    `      this.#inFlight.delete(lane)
      const answered = outcomes[i]`,
  ),
  mutant(
    'written-before-the-feed-was-read',
    'decision 12: an application whose feed was never read is not written to before it has been read once',
    FEEDS,
    `    this.#engine.dispatcher.hold(app)`,
    '',
  ),
  mutant(
    'lane-behind-forgotten',
    'section 0, 7: a lane that needs a write and finds no free slot stays behind until it is written',
    COMMITTING,
    `    for (const { app, key } of this.#turn.behind) engine.markBehind(app, key)`,
    `    for (const { app, key } of this.#turn.behind) if (engine.counters.commits % 5 !== 0) engine.markBehind(app, key)`,
  ),
  {
    name: 'wall-clock-pauses',
    breaks: 'section 0, 9: clocks order nothing; a wall clock that was set back makes nobody wait for it',
    edits: [
      {
        file: 'src/engine/moments.ts',
        from: 'Math.min(Math.max(nowMs, wallMs + this.#aheadMs), nowMs + MAX_WAIT_MS)',
        to: 'Math.max(nowMs, wallMs + this.#aheadMs)',
      },
      {
        file: 'src/deliver/backoff.ts',
        from: `  notBeforeMs > nowMs && notBeforeMs - nowMs <= RETRY_CAP_MS`,
        to: '  notBeforeMs > nowMs',
      },
    ],
  },
  mutant(
    'one-call-at-a-time',
    'V10: a slow application delays only itself',
    DISPATCHER,
    `    for (let i = 0; i < group.length; i += batchMax) void this.#sendWrites(app, group.slice(i, i + batchMax))`,
    `    for (let i = 0; i < group.length; i += batchMax) this.queue = Promise.resolve(this.queue).then(() => this.#sendWrites(app, group.slice(i, i + batchMax)))`,
  ),
  {
    name: 'neither-epoch-nor-rev',
    breaks: 'steps 11 and 13, hazard 28: a commit of a process that has lost the store is refused',
    edits: [
      { file: 'src/stores/memory/store.ts', from: `    if (batch.epoch !== this.#epoch) {`, to: '    if (false) {' },
      { file: 'src/stores/memory/store.ts', from: `    if (stored !== expectRev) {`, to: '    if (false) {' },
    ],
  },
  mutant(
    'epoch-not-checked',
    'step 11: every commit names the epoch in which its process got the store',
    'src/stores/memory/store.ts',
    `    if (batch.epoch !== this.#epoch) {`,
    '    if (false) {',
  ),
  mutant(
    'parked-lane-not-listed',
    'V9: what is set aside is listed',
    'src/model/state/lane-state.ts',
    `    park: lane.park !== null && !lane.detached,`,
    '    park: false,',
  ),
]

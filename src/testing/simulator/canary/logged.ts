import type { Mutant } from './mutant.ts'

const SETTLE = 'src/deliver/settle.ts'
const LOG_FED = 'src/engine/log-fed.ts'

/** Faults in the rules for applications whose log alone says what they hold (docs/protocol.md step 9, hazards 9b and 13). */
export const LOGGED_MUTANTS: readonly Mutant[] = [
  {
    name: 'position-moved-past-unread-feed',
    breaks: 'step 9: what a log-fed application holds moves only with its log, never with the reply to a write of ours',
    classes: ['B'],
    edits: [
      {
        file: SETTLE,
        from: 'const logged = isLogFed(binding.capabilities) ? settleLogged(',
        to: 'const logged = isLogFed(binding.capabilities) && intent.kind === null ? settleLogged(',
      },
    ],
  },
  {
    name: 'condition-on-fields-taken-for-one-on-records',
    breaks: 'step 9: a write that looked at its own fields only may stand beside an unread edit of others',
    classes: ['log-values'],
    edits: [
      {
        file: SETTLE,
        from: 'const logged = isLogFed(binding.capabilities) ? settleLogged(',
        to: 'const logged = isLogFed(binding.capabilities) && intent.kind === null ? settleLogged(',
      },
    ],
  },
  {
    name: 'unknown-of-a-log-given-up-at-once',
    breaks: 'step 15 iii: a write in doubt is decided once the log has passed the fence, not before',
    classes: ['B'],
    edits: [
      {
        file: SETTLE,
        from: `  if (asksLog) return lookAfter(Math.max(delayMs, fenceMs), 'decided by what its log shows until then, looked at')
  if (read`,
        to: `  if (asksLog) return lookAfter(0, 'decided by what its log shows until then, looked at')
  if (read`,
      },
    ],
  },
  {
    name: 'mark-not-looked-at',
    breaks: '3.6 rung 1: an entry of the log that bears our mark is our write and nothing else',
    classes: ['B'],
    edits: [
      {
        file: LOG_FED,
        from: '    if (seen.mark === undefined) return null',
        to: '    if (seen.mark !== null) return null',
      },
    ],
  },
  {
    name: 'silent-write-expected-for-ever',
    breaks: 'step 14: a write that has left nothing in the log leaves no expectation behind',
    classes: ['B'],
    edits: [
      {
        file: LOG_FED,
        from: 'lane.overlays.filter((one) => one.seq <= begunAfter)',
        to: 'lane.overlays.filter(() => false)',
      },
    ],
  },
]

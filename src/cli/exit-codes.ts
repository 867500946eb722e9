import type { SyncError } from '../errors/index.ts'

/** What a command's exit status says. Stable; `latchwork --help` lists it. */
export const EXIT = {
  ok: 0,
  /** The command was understood and failed; the message begins with a code. */
  failure: 1,
  /** An unknown command, option or argument. */
  usage: 2,
  /** The command needs a running hub, and none answers. */
  noHub: 3,
  /** The config cannot be used. */
  config: 4,
  /** Another hub runs on the data folder. */
  inUse: 5,
  /** A comparison found applications that are not equal. */
  different: 6,
  /** What was tried does not hold: a law of a mapping, a promise in a simulated run, a declared capability. */
  broken: 7,
} as const

export const EXIT_HELP = `
Exit status: 0 done; 1 failed, the message begins with a code; 2 unknown command, option or argument;
3 no hub runs, or it cannot be reached; 4 the config cannot be used; 5 another hub runs on the data folder;
6 verify found applications that are not equal; 7 check, simulate or certify found what does not hold.`

export function exitCodeOf({ code }: SyncError): number {
  if (code === 'query.invalid') return EXIT.usage
  if (code === 'hub.not-running') return EXIT.noHub
  if (code.startsWith('config.')) return EXIT.config
  if (code === 'store.in-use') return EXIT.inUse
  return EXIT.failure
}

import { BELIEVING_MUTANTS } from './believing.ts'
import { DELIVERING_MUTANTS } from './delivering.ts'
import { LOGGED_MUTANTS } from './logged.ts'
import type { Mutant } from './mutant.ts'
import { OBSERVING_MUTANTS } from './observing.ts'
import { RUNNING_MUTANTS } from './running.ts'

/** All planted faults. Each must be caught: one that lives shows what the simulator cannot see. */
export const MUTANTS: readonly Mutant[] = [
  ...OBSERVING_MUTANTS,
  ...DELIVERING_MUTANTS,
  ...RUNNING_MUTANTS,
  ...LOGGED_MUTANTS,
  ...BELIEVING_MUTANTS,
]

import type { History, Violation } from '../history.ts'
import { Oracle } from '../oracle.ts'
import { checkAcknowledged } from './v1-acknowledged.ts'
import { checkConvergence } from './v2-convergence.ts'
import { judgeLosses } from './v3-no-lost-update.ts'
import { checkFabrication } from './v4-no-fabrication.ts'
import { checkHops } from './v5-bounded-hops.ts'
import { checkDuplicates } from './v6-no-duplicate.ts'
import { checkOrder } from './v7-order.ts'
import { checkDeletes } from './v8-deletes.ts'
import { checkNothingSilent } from './v9-nothing-silent.ts'
import { checkIsolation } from './v10-isolation.ts'
import { checkReferences } from './v11-references.ts'
import { checkRecovery } from './v12-recovery.ts'

export interface Judgement {
  readonly violation: Violation | null
  /** Losses in the window of applications with blind writes. */
  readonly declaredLosses: number
  /** Conflicts that an all-knowing hub would not have had. */
  readonly needlessConflicts: number
}

/** Judges a finished run. The checkers that name a cause come before those that see only its effects. */
export function judge(history: History): Judgement {
  const oracle = new Oracle(history)
  const losses = judgeLosses(oracle)
  const found: readonly (readonly [string, () => string | null])[] = [
    ['V1', () => checkAcknowledged(history)],
    ['V4', () => checkFabrication(oracle)],
    ['V6', () => checkDuplicates(oracle)],
    ['V8', () => checkDeletes(oracle)],
    ['V7', () => checkOrder(oracle)],
    ['V3', () => losses.lost],
    ['V11', () => checkReferences(oracle)],
    ['V9', () => checkNothingSilent(oracle)],
    ['V10', () => checkIsolation(oracle)],
    ['V2', () => checkConvergence(oracle)],
    ['V5', () => checkHops(oracle)],
    ['V12', () => checkRecovery(history)],
  ]
  const counts = { declaredLosses: losses.declared, needlessConflicts: oracle.needlessConflicts }
  for (const [checker, check] of found) {
    const message = check()
    if (message !== null) return { violation: { checker, message }, ...counts }
  }
  return { violation: null, ...counts }
}

import type { Change } from '../../model/change.ts'
import type { AppId } from '../../model/ids.ts'

/** The hub as its applications see it: a place to post notifications to, that may be down, refuse, or die before it answers. */
export interface Gate {
  /** `answer` is called once: true when the notification was acknowledged. */
  post(app: AppId, changes: readonly Change[], answer: (acknowledged: boolean) => void): void
}

import type { AppId } from '../model/ids.ts'

/** first-contact: creates that nobody has asked for yet, when an application is read for the first time. */
export type BrakeKind = 'deletes' | 'writes' | 'first-contact'

/** What goes from one application to another. */
export interface Direction {
  readonly from: AppId
  readonly to: AppId
  readonly kind: BrakeKind
}

/** A brake that has tripped, or was let go by a person, as it stands in its note. */
export interface BrakeState extends Direction {
  readonly id: string
  readonly state: 'tripped' | 'released'
  /** How many had gone when it tripped, and how many may. */
  readonly count: number
  readonly limit: number
  readonly withinMs: number
  readonly sinceMs: number
  /** Once released, it does not trip again before this time: the rest of a wanted mass change goes through. */
  readonly untilMs: number | null
}

export const BRAKE_NOTE = 'brake'
export const brakeId = ({ from, to, kind }: Direction): string => `${from}>${to}:${kind}`

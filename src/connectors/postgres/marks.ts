import type { NativeId, ObjectId } from '../../model/ids.ts'

/**
 * The echo mark: what a transaction of ours writes into the log about itself (`pg_logical_emit_message`, an ordinary user's right). It stands in the same
 * transaction as the rows, so it is there exactly when they are, and names for each record the write that changed it.
 */

export const MARK_PREFIX = 'latchwork'

export interface MarkedWrite {
  readonly object: ObjectId
  readonly nativeId: NativeId
  readonly op: string
  /** For a create: the hub's id of the record. */
  readonly correlationId?: string
}

/** By object: native id, op id and correlation id (or '') in turn. Flat, because it is written once per transaction and bytes of the log are not free. */
export function writeMark(writes: readonly MarkedWrite[]): string {
  const byObject: Record<string, string[]> = {}
  for (const { object, nativeId, op, correlationId } of writes) {
    const list = (byObject[object] ??= [])
    list.push(nativeId, op, correlationId ?? '')
  }
  return JSON.stringify(byObject)
}

export interface Mark {
  readonly op: string
  readonly correlationId: string | undefined
}

/** The writes of one transaction; several messages of it add up. Content that is not ours to read marks nothing. */
export class TransactionMarks {
  readonly #marks = new Map<string, Mark>()

  add(content: string): void {
    let byObject: unknown
    try {
      byObject = JSON.parse(content)
    } catch {
      return
    }
    if (typeof byObject !== 'object' || byObject === null) return
    for (const [object, list] of Object.entries(byObject)) {
      if (!Array.isArray(list)) continue
      for (let i = 0; i + 2 < list.length; i += 3) {
        const [nativeId, op, correlationId] = [list[i], list[i + 1], list[i + 2]] as unknown[]
        if (typeof nativeId !== 'string' || typeof op !== 'string') continue
        this.#marks.set(object + '\u0000' + nativeId, {
          op,
          correlationId: typeof correlationId === 'string' && correlationId !== '' ? correlationId : undefined,
        })
      }
    }
  }

  of(object: string, nativeId: string): Mark | undefined {
    return this.#marks.get(object + '\u0000' + nativeId)
  }
}

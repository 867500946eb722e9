import type { Input } from '../model/change.ts'

/** What an input is about, as far as its kind says: the columns by which a journal may be searched, and the scope of a dedup key. */
export interface InputPlace {
  readonly app: string | null
  readonly object: string | null
  readonly nativeId: string | null
}

const NOWHERE: InputPlace = { app: null, object: null, nativeId: null }

export function inputPlace(input: Input): InputPlace {
  switch (input.type) {
    case 'notification':
      return input.change
    case 'read':
      return input.read
    case 'outcome':
      return { app: input.app, object: null, nativeId: null }
    case 'message':
      return { app: null, object: input.flow, nativeId: null }
    case 'operator': {
      const { operator } = input
      return operator.action === 'release' ? { app: operator.app, object: null, nativeId: null } : NOWHERE
    }
  }
}

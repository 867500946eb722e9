import type { DeletePolicy, SoftDelete } from '../model/entity.ts'
import type { Value } from '../model/value.ts'
import type { CompiledEntity } from './compile-entity.ts'
import { checkKeys, isPlainObject, refuse, refuseUnknown } from './refuse.ts'

/** What becomes of a record in the others when one application deletes it: the forms in which a config says so. */

export interface Propagate {
  readonly kind: 'propagate'
  readonly unseen: 'keep' | 'delete' | 'recreate'
}

export interface Ignore {
  readonly kind: 'ignore'
}

export interface Quarantine {
  readonly kind: 'quarantine'
  readonly days: number
  readonly unseen: 'keep' | 'delete' | 'recreate'
}

export interface Soft<Field extends string> {
  readonly kind: 'softDelete'
  readonly field: Field
  readonly deleted: Value
  readonly live: Value
}

interface Unseen {
  /**
   * What happens when another application changed the record, and whoever deleted it had not seen that: `keep` (default) keeps the data and no longer follows the record where it was deleted,
   * `delete` deletes it everywhere, `recreate` creates it again where it was deleted. Whatever is given up is in the conflict log.
   */
  readonly unseen?: 'keep' | 'delete' | 'recreate'
}

/** A delete is carried to all. */
export const propagate = (options: Unseen = {}): Propagate => ({ kind: 'propagate', unseen: options.unseen ?? 'keep' })

/** A delete is never carried over; the record is no longer followed where it was deleted. */
export const ignore = (): Ignore => ({ kind: 'ignore' })

/** A month is long enough that somebody misses what is gone. */
const QUARANTINE_DAYS = 30

/** A delete is carried to the others only after some days; until then `latchwork undelete` takes it back. */
export const quarantine = (options: Unseen & { readonly days?: number } = {}): Quarantine => ({
  kind: 'quarantine',
  days: options.days ?? QUARANTINE_DAYS,
  unseen: options.unseen ?? 'keep',
})

/** A delete is carried to the others as a value of a field, such as `archived`: nothing is deleted there. Set back to `live` in one of them, the record is created again where it was deleted. */
export const softDelete = <const Field extends string>(
  field: Field,
  values: { readonly deleted?: Value; readonly live?: Value } = {},
): Soft<Field> => ({ kind: 'softDelete', field, deleted: values.deleted ?? true, live: values.live ?? false })

/** The words stand for the commonest of the forms above. */
export type DeletesOption<Field extends string> = DeletePolicy | Propagate | Ignore | Quarantine | Soft<Field>

export interface CompiledDeletes {
  readonly deletes: DeletePolicy
  readonly quarantineMs?: number
  readonly softDelete?: SoftDelete
}

/** Any of the forms, as JavaScript gives it. */
interface Form {
  readonly kind?: string
  readonly unseen?: unknown
  readonly days?: number
  readonly field?: string
  readonly deleted?: Value
  readonly live?: Value
}

const WORDS: readonly DeletePolicy[] = ['default', 'delete-wins', 'update-wins', 'ignore']
const BY_UNSEEN = { keep: 'default', delete: 'delete-wins', recreate: 'update-wins' } as const
const DAY_MS = 86_400_000

export function readDeletes(entity: string, given: unknown, compiled: CompiledEntity): CompiledDeletes {
  const where = `${entity}.deletes`
  if (given === undefined) return { deletes: 'default' }
  if (typeof given === 'string') {
    if (!WORDS.includes(given as DeletePolicy)) refuseUnknown(where, 'a delete policy', given, WORDS)
    return { deletes: given as DeletePolicy }
  }
  const form = (isPlainObject(given) ? given : {}) as Form
  switch (form.kind) {
    case 'ignore':
      return { deletes: 'ignore' }
    case 'propagate':
      return { deletes: readUnseen(where, form.unseen) }
    case 'quarantine': {
      const days = form.days ?? QUARANTINE_DAYS
      if (!(Number.isFinite(days) && days > 0))
        refuse(where, `${String(days)} days is no time`, 'Give a number above 0.')
      return { deletes: readUnseen(where, form.unseen), quarantineMs: days * DAY_MS }
    }
    case 'softDelete':
      return { deletes: 'default', softDelete: readSoft(where, form, compiled) }
    default:
      return refuse(
        where,
        'this is not a delete policy',
        'Give propagate(), ignore(), quarantine() or softDelete(field).',
      )
  }
}

function readUnseen(where: string, given: unknown): DeletePolicy {
  const unseen = given ?? 'keep'
  if (!Object.hasOwn(BY_UNSEEN, unseen as string))
    refuseUnknown(`${where}.unseen`, 'a way to treat unseen changes', String(unseen), Object.keys(BY_UNSEEN))
  return BY_UNSEEN[unseen as keyof typeof BY_UNSEEN]
}

function readSoft(where: string, form: Form, compiled: CompiledEntity): SoftDelete {
  checkKeys(where, form, ['kind', 'field', 'deleted', 'live'])
  const { field = '' } = form
  const model = Object.hasOwn(compiled.fields.models, field) ? compiled.fields.models[field] : undefined
  if (model === undefined) refuseUnknown(where, 'a field of this entity', field, Object.keys(compiled.fields.models))
  const fitting = (name: 'deleted' | 'live', value: Value): Value => {
    try {
      return model.validate(value)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      return refuse(
        `${where}.${name}`,
        `${JSON.stringify(value)} does not fit '${field}': ${reason}`,
        'Give a value of it.',
      )
    }
  }
  return { field, deleted: fitting('deleted', form.deleted ?? true), live: fitting('live', form.live ?? false) }
}

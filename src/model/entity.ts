import type { Capabilities } from './capabilities.ts'
import type { AppId, EntityName, ObjectId } from './ids.ts'
import type { Image, NativeRecord, Path, Value } from './value.ts'

/**
 * The compiled form of the config that the pure stages work with. `src/config` produces it from `defineHub`; its functions are pure.
 */

/** One canonical field of an entity or of one of its parts. */
export interface FieldModel {
  /** `email`, or for a part's field its name inside the part. */
  readonly name: string
  /** Set when the value is another entity's canonical key. */
  readonly reference?: EntityName
  /** Throws a SyncError `config.value-invalid` with the reason when the value does not fit the schema; returns the value to store. */
  readonly validate: (value: Value) => Value
  /** The schema takes a record without this field (nullable is a value; optional is absence). */
  readonly optional: boolean
}

export interface PartModel {
  readonly name: string
  /** The canonical field that tells elements apart. */
  readonly key: string
  readonly fields: Readonly<Record<string, FieldModel>>
}

/** What became of one field when two sides changed it: which value stands, or how both are taken together. */
export type Policy =
  | { readonly kind: 'latest'; readonly skewMs: number }
  | { readonly kind: 'prefer'; readonly apps: readonly AppId[] }
  /** Neither stands: the field is set aside, each application keeps its own, a person decides. */
  | { readonly kind: 'manual' }
  /** A number to which both sides added: both differences count. */
  | { readonly kind: 'counter' }
  /** A list used as a set: what either side added is in, what either took out is out. */
  | { readonly kind: 'addRemove' }
  /** The person's own function; pure. What it throws, or gives outside the schema, sets the field aside. */
  | { readonly kind: 'merge'; readonly merge: (sides: MergeSides) => Value }

/** What a merge function is given. `base` is what the incoming application last agreed to; undefined when it never did. */
export interface MergeSides {
  readonly base: Value | undefined
  readonly current: MergeSide
  readonly incoming: MergeSide
}

export interface MergeSide {
  readonly value: Value
  readonly app: string
  /** When the change was made, as far as is known (ms since 1970). */
  readonly atMs: number
}

export type DeletePolicy = 'default' | 'delete-wins' | 'update-wins' | 'ignore'

/** Where the latch of an application's lanes lives (docs/protocol.md section 0). */
export type Latching = 'memory' | 'table' | 'volatile'

export interface SoftDelete {
  readonly field: string
  readonly deleted: Value
  readonly live: Value
}

export interface EntityModel {
  readonly name: EntityName
  readonly fields: Readonly<Record<string, FieldModel>>
  readonly parts: Readonly<Record<string, PartModel>>
  /** Canonical fields that identify the same thing in two applications, or null. */
  readonly match: readonly string[] | null
  /** Sets of canonical fields by which two records may be the same thing: for people to decide. Absent: none. */
  readonly hints?: readonly (readonly string[])[]
  /** In the order of `sync`: the rank that breaks ties. */
  readonly bindings: ReadonlyMap<AppId, BindingModel>
  readonly policyDefault: Policy
  /** By canonical field name (`creditLimit`) or part field (`lines.qty`). */
  readonly policies: Readonly<Record<string, Policy>>
  readonly deletes: DeletePolicy
  /** A deletion is carried to the others only after this time; until then `undelete` takes it back without a trace there. */
  readonly quarantineMs?: number
  /** A deletion is carried to the others as a value of this field, never as a deletion. */
  readonly softDelete?: SoftDelete
  /** Raised when the mapping of this entity changes; a digest of its shape. */
  readonly mappingVersion: number
}

/**
 * One canonical field of one application. `in`: the app tells us, we never write it. `out`: we write it, what the app says of it is not a change.
 * A reference's `decode` gives the native id (text) of the referred record, and `encode` takes it; the engine translates to canonical keys.
 */
export interface FieldMapping {
  /** The canonical field name (inside its part, for a part). */
  readonly field: string
  /** The native fields it maps from and to. Dotted names reach into nested objects. */
  readonly natives: readonly string[]
  readonly direction: 'both' | 'in' | 'out'
  readonly reference: EntityName | null
  /** What is written may come back as less; a comparison of applications leaves it out. */
  readonly lossy?: true
  /** Native values by native name to the canonical value. A native that was not sent is absent. Throws when it cannot. */
  readonly decode: ((values: Readonly<Record<string, Value>>) => Value) | null
  /** The canonical value to native values by native name. Throws when it cannot. */
  readonly encode: ((value: Value) => Readonly<Record<string, Value>>) | null
}

export interface PartMapping {
  readonly part: string
  /** The native array. */
  readonly container: string
  /** The native field of an element that holds its key, and the key's native type. */
  readonly key: string
  readonly keyType: 'text' | 'number'
  readonly fields: readonly FieldMapping[]
}

/** A field that is derived from where a record is, and written into one application (src/deliver/writeback.ts). */
export interface Writeback {
  /** Its place in the head; no field of an entity begins with `@`. */
  readonly field: Path
  readonly of:
    | { readonly kind: 'id'; readonly app: AppId }
    | { readonly kind: 'status'; readonly synced: string; readonly failed: string }
}

/** One entity in one application. */
export interface BindingModel {
  readonly app: AppId
  readonly object: ObjectId
  readonly entity: EntityName
  readonly rank: number
  readonly capabilities: Capabilities
  readonly fields: readonly FieldMapping[]
  readonly parts: readonly PartMapping[]
  /** Fields derived for this application alone; each has a mapping among `fields`. */
  readonly writebacks?: readonly Writeback[]
  /** Whether the hub may create records of this entity in this application. */
  readonly createHere: boolean
  /** Whether a record that appears in this application becomes a new canonical record when nothing matches it. */
  readonly adoptHere: boolean
  /** Native values given only with a create. */
  readonly onCreate: Image
  /** Canonical fields without which a create is not attempted. */
  readonly createNeeds: readonly Path[]
  readonly deletes: 'propagate' | 'ignore'
  /** Absent: memory. */
  readonly latching?: Latching
  /**
   * The mapped native values of a record, flat. Fields that are not in the record are absent. For a part whose container is present
   * (an empty or null one too) the container's own name is true (`lines` = true), and each element has its presence path (`lines[3]` = true) and its fields. Throws SyncError `mapping.record-shape` when the record cannot be read.
   */
  readonly flatten: (record: NativeRecord) => Image
  /** The inverse: nested native data from flat values. A part container named in the image is written as a whole array, in key order. */
  readonly unflatten: (image: Image) => NativeRecord
}

/**
 * How much may go from one application to another before a person is asked. Deletes: more than `least`, and more than `percent` of all records, within `withinMs`.
 * null switches a brake off.
 */
export interface BrakeLimits {
  readonly deletes: { readonly least: number; readonly percent: number; readonly withinMs: number } | null
  readonly writesPerMinute: number | null
  /** What a first contact may create in one direction before a person is asked; null: anything. */
  readonly firstContactCreates: number | null
}

export interface HubModel {
  readonly entities: ReadonlyMap<EntityName, EntityModel>
  /** Which bindings follow an object of an application: usually one; two entities may share one object. */
  readonly bindingsOf: (app: AppId, object: ObjectId) => readonly BindingModel[]
  readonly mappingVersion: number
  /** Without it `BRAKES_DEFAULT` holds. */
  readonly brakes?: BrakeLimits
}

/**
 * A bulk job that goes wrong deletes hundreds; people who tidy up delete some. One percent is for large sets, where twenty deletions are a working day. Writes
 * are not braked by default: a first load is all writes, which is asked about by its creates: a hundred is what a person would make by hand in an afternoon.
 */
export const BRAKES_DEFAULT: BrakeLimits = {
  deletes: { least: 20, percent: 1, withinMs: 600_000 },
  writesPerMinute: null,
  firstContactCreates: 100,
}

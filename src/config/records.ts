import { SyncError } from '../errors/index.ts'
import type { PartMapping } from '../model/entity.ts'
import { type Image, type NativeData, type NativeRecord, type Path, partPath, type Value } from '../model/value.ts'

/**
 * Between nested native records and flat images. Hot path: called once or twice per change, so all names are split when the config
 * is read. Only own properties count: a body may have keys such as `__proto__`.
 */

type Node = { readonly [name: string]: unknown }
type Draft = { [name: string]: NativeData }

interface Accessor {
  readonly path: Path
  readonly segments: readonly string[]
  /** The first segment, or the only one. */
  readonly head: string
}

const accessorOf = (path: Path): Accessor => {
  const segments = path.split('.')
  return { path, segments, head: segments[0] as string }
}

export interface RecordShape {
  /** For messages: `warehouse/clients`. */
  readonly where: string
  /** Mapped native fields outside parts; each once. */
  readonly natives: readonly Path[]
  /** Native names that only a create gives. */
  readonly extra: readonly Path[]
  readonly parts: readonly PartMapping[]
}

interface PartAccessor {
  readonly container: Accessor
  readonly prefix: string
  readonly key: Accessor
  readonly keyType: 'text' | 'number'
  readonly fields: readonly Accessor[]
  readonly fieldByPath: ReadonlyMap<Path, Accessor>
}

export function compileRecords(shape: RecordShape): {
  flatten: (record: NativeRecord) => Image
  unflatten: (image: Image) => NativeRecord
} {
  const fields = shape.natives.map(accessorOf)
  const parts = shape.parts.map(partAccessorOf)
  const setters = new Map([...shape.natives, ...shape.extra].map((path) => [path, accessorOf(path)]))
  const { where } = shape
  return {
    flatten: (record) => {
      if (!isNode(record)) fail(where, `a record is an object, this is ${nameOf(record)}`)
      const image: Record<Path, Value> = {}
      for (const field of fields) {
        const value = read(where, record, field)
        if (value !== undefined) image[field.path] = valueAt(where, field.path, value)
      }
      for (const part of parts) flattenPart(where, part, record, image)
      return image
    },
    unflatten: (image) => unflatten(setters, parts, image),
  }
}

function partAccessorOf(part: PartMapping): PartAccessor {
  const natives = [...new Set(part.fields.flatMap((field) => field.natives))]
  const fields = natives.map(accessorOf)
  return {
    container: accessorOf(part.container),
    prefix: part.container + '[',
    key: accessorOf(part.key),
    keyType: part.keyType,
    fields,
    fieldByPath: new Map(fields.map((field) => [field.path, field])),
  }
}

/** undefined: not sent. An object on the way that is null makes all below it null. */
function read(where: string, record: Node, accessor: Accessor): unknown {
  if (!Object.hasOwn(record, accessor.head)) return undefined
  let value = record[accessor.head]
  for (let i = 1; i < accessor.segments.length; i++) {
    if (value === null || value === undefined) return value
    if (!isNode(value)) fail(where, `${accessor.path} reaches into ${nameOf(value)}, an object is needed there`)
    const segment = accessor.segments[i] as string
    if (!Object.hasOwn(value, segment)) return undefined
    value = value[segment]
  }
  return value
}

function valueAt(where: string, path: Path, value: unknown): Value {
  if (typeof value !== 'object' || value === null) return value as Value
  if (Array.isArray(value) && value.every((item) => typeof item !== 'object' || item === null || Array.isArray(item))) {
    return value as Value
  }
  return fail(
    where,
    `${path} holds ${Array.isArray(value) ? 'a list of objects' : 'an object'}, a single value is needed`,
  )
}

function flattenPart(where: string, part: PartAccessor, record: Node, image: Record<Path, Value>): void {
  const elements = read(where, record, part.container)
  if (elements === undefined) return
  image[part.container.path] = true
  if (elements === null) return
  if (!Array.isArray(elements)) fail(where, `${part.container.path} is ${nameOf(elements)}, a list is needed`)
  for (const element of elements as readonly unknown[]) {
    if (!isNode(element)) fail(where, `${part.container.path} holds ${nameOf(element)}, each element is an object`)
    const key = keyAt(where, part, read(where, element, part.key))
    const path = part.keyType === 'number' ? part.prefix + key + ']' : partPath(part.container.path, key)
    if (image[path] !== undefined) fail(where, `${part.container.path} has two elements with ${part.key.path} ${key}`)
    image[path] = true
    for (const field of part.fields) {
      const value = read(where, element, field)
      if (value !== undefined) image[path + '.' + field.path] = valueAt(where, field.path, value)
    }
  }
}

function keyAt(where: string, part: PartAccessor, key: unknown): string {
  if (part.keyType === 'number') {
    if (Number.isSafeInteger(key) || typeof key === 'bigint') return String(key === 0 ? 0 : key)
  } else if (typeof key === 'string' && key !== '') return key
  const wanted = part.keyType === 'number' ? 'a whole number' : 'a text that is not empty'
  return fail(
    where,
    `an element of ${part.container.path} has ${nameOf(key)} as its key ${part.key.path}, ${wanted} is needed`,
  )
}

function unflatten(setters: ReadonlyMap<Path, Accessor>, parts: readonly PartAccessor[], image: Image): NativeRecord {
  const record: Draft = {}
  for (const path in image) {
    const setter = setters.get(path)
    if (setter !== undefined) write(record, setter, image[path] as Value)
  }
  for (const part of parts) {
    const elements = elementsOf(part, image)
    if (elements !== undefined) write(record, part.container, elements)
  }
  return record
}

/** The whole array of a container that the image names, in key order; undefined when the image says nothing of it. */
function elementsOf(part: PartAccessor, image: Image): NativeData[] | undefined {
  let named = Object.hasOwn(image, part.container.path)
  const drafts = new Map<string, Draft>()
  const absent = new Set<string>()
  for (const path in image) {
    if (!path.startsWith(part.prefix)) continue
    named = true
    const close = path.indexOf(']', part.prefix.length)
    const key = path.slice(part.prefix.length, close)
    const value = image[path] as Value
    if (close === path.length - 1) {
      if (value === false) absent.add(key)
      else draftOf(drafts, key)
      continue
    }
    const field = part.fieldByPath.get(path.slice(close + 2))
    if (field !== undefined) write(draftOf(drafts, key), field, value)
  }
  if (!named) return undefined
  const present = [...drafts]
    .filter(([key]) => !absent.has(key))
    .map(([key, draft]) => ({ key: unescaped(key), draft }))
  present.sort(part.keyType === 'number' ? byNumber : byText)
  for (const { key, draft } of present) write(draft, part.key, part.keyType === 'number' ? integerOf(key) : key)
  return present.map(({ draft }) => draft)
}

function draftOf(drafts: Map<string, Draft>, key: string): Draft {
  let draft = drafts.get(key)
  if (draft === undefined) drafts.set(key, (draft = {}))
  return draft
}

/** Names come from the config and are never `__proto__`, so plain assignment is safe. */
function write(record: Draft, { segments, head }: Accessor, value: NativeData): void {
  let at = record
  let name = head
  for (let i = 1; i < segments.length; i++) {
    const next = at[name]
    if (isNode(next)) at = next as Draft
    else at = at[name] = {} as Draft
    name = segments[i] as string
  }
  at[name] = value
}

const unescaped = (key: string): string => (key.includes('%') ? decodeURIComponent(key) : key)

function integerOf(key: string): number | bigint | string {
  const number = Number(key)
  if (Number.isSafeInteger(number)) return number
  return /^-?\d+$/.test(key) ? BigInt(key) : key
}

type Keyed = { readonly key: string }

const byText = (a: Keyed, b: Keyed): number => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)
/** Numbers beyond 2^53 compare as text when they are equal as floats; any fixed order will do. */
const byNumber = (a: Keyed, b: Keyed): number => Number(a.key) - Number(b.key) || byText(a, b)

const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null && !Array.isArray(value)

const nameOf = (value: unknown): string =>
  value === null
    ? 'null'
    : value === undefined
      ? 'nothing'
      : Array.isArray(value)
        ? 'a list'
        : typeof value === 'object'
          ? 'an object'
          : `a ${typeof value}`

function fail(where: string, reason: string): never {
  throw new SyncError('mapping.record-shape', `${where}: ${reason}. Compare one real record with the binding.`, {
    place: { at: where },
  })
}

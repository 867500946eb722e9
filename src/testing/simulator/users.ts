import type { EntityName } from '../../model/ids.ts'
import { type Path, partPath, type Value } from '../../model/value.ts'
import type { AppNode } from './app-node.ts'
import type { AppRecord } from './apps/app.ts'
import { type AppField, type AppObject, type AppPart, type Cells, elementKeys } from './apps/mapping.ts'
import { codeText } from './fields.ts'
import type { Rng } from './rng.ts'
import type { Action } from './workload.ts'
import type { World } from './world.ts'

/** What users remember of a value they could go back to. */
const REMEMBERED_MAX = 6
const PART_KEYS = 3
/** Codes of copies, and ids of what is done at once: beyond those of ordinary actions. */
const COPY_BASE = 100
const POUNCE_BASE = 2000
const POUNCES_MAX = 500

/** The users of one application: they look at a record, think, and save. They see their own application only. */
export class Users {
  readonly #node: AppNode
  readonly #world: World
  /** Earlier values, newest last, by record and path. */
  readonly #earlier = new Map<string, Value[]>()
  readonly #pouncedOn = new Set<string>()
  /** Actions that changed something. */
  edits = 0

  constructor(node: AppNode, world: World) {
    this.#node = node
    this.#world = world
  }

  act(action: Action): void {
    if (action.kind === 'create') {
      this.#create(action)
      return
    }
    if (action.kind === 'copy') {
      const original = this.#chooseGone(action) ?? this.#choose(action)
      if (original !== undefined) this.#copy(action, original)
      return
    }
    const record = this.#choose(action)
    if (record === undefined) return
    const seen = { cells: record.cells, seq: record.version.seq }
    if (action.thinkMs === 0) {
      this.#save(action, record, seen.cells, seen.seq)
      return
    }
    this.#world.underWay++
    this.#world.clock.timer(action.thinkMs, () => {
      this.#world.underWay--
      if (record.isLive) this.#save(action, record, seen.cells, seen.seq)
    })
  }

  /** Somebody has waited for a record that the hub has just made here, and changes or deletes it at once. Once for each thing, or the two would go on for ever. */
  pounce(record: AppRecord, random: Rng): void {
    const thing = String(record.thing)
    if (this.#pouncedOn.has(thing)) return
    this.#pouncedOn.add(thing)
    const action: Action = {
      id: POUNCE_BASE + this.#node.app.profile.index * POUNCES_MAX + this.#pouncedOn.size,
      atMs: 0,
      appIndex: this.#node.app.profile.index,
      entity: record.object.spec.name,
      kind: random.chance(0.5) ? 'delete' : 'edit',
      record: 0,
      field: random.int(0, 99),
      thinkMs: 0,
      random,
    }
    this.#world.underWay++
    this.#world.clock.timer(random.chance(0.5) ? random.int(0, 4) : random.int(0, 60), () => {
      this.#world.underWay--
      if (record.isLive) this.#save(action, record, record.cells, record.version.seq)
    })
  }

  /** A new thing with all that another has but its code. Where a search by correlation id is the only way to find a create, copies would be found in its place. */
  #copy(action: Action, record: AppRecord): void {
    const { app } = this.#node
    const thing = COPY_BASE + action.id
    const cells = { ...record.cells, code: codeText(thing) }
    this.edits++
    const takesIdAlong = app.profile.capabilities.create === 'K2'
    app.userCreates(
      record.object,
      cells,
      thing,
      { action: action.id, readSeq: null },
      takesIdAlong ? record : undefined,
    )
  }

  /** The wanted record, or any that this application has. */
  #choose(action: Action): AppRecord | undefined {
    const live = this.#node.app.live(action.entity)
    return live.find((record) => record.thing === action.record) ?? live[action.field % live.length]
  }

  /** Often one that was deleted: somebody takes up again what they had a copy of. */
  #chooseGone(action: Action): AppRecord | undefined {
    if (!action.random.chance(0.5)) return undefined
    const gone = [...this.#node.app.records.values()].filter(
      (record) => !record.isLive && record.object.spec.name === action.entity,
    )
    return gone[action.field % gone.length]
  }

  #create(action: Action): void {
    const live = this.#node.app.live(action.entity)
    if (live.some((record) => record.thing === action.record)) return
    const object = this.#node.app.profile.objects.get(action.entity)
    const identity = object?.identity(action.record)
    if (object === undefined || identity === undefined || this.#lacksReferred(object)) return
    const cells: Record<Path, Value> = { ...identity }
    for (const field of object.fields)
      if (field.isEntered && !(field.name in identity)) cells[field.name] = this.#newValue(object, field, action)
    for (const part of object.parts) {
      const count = action.random.int(0, PART_KEYS)
      for (let key = 1; key <= count; key++) this.#putElement(cells, object, part, String(key), action)
    }
    this.edits++
    const settled = object.settled({}, cells)
    this.#node.app.userCreates(object, settled, action.record, { action: action.id, readSeq: null })
  }

  #save(action: Action, record: AppRecord, seen: Cells, readSeq: number): void {
    const { app } = this.#node
    const user = { action: action.id, readSeq }
    if (action.kind === 'delete') {
      if (this.#isReferredTo(record) || !record.object.isDeletable) return
      this.edits++
      app.userDeletes(record, user)
      return
    }
    const next = this.#nextCells(action, record, seen)
    if (next !== record.cells) this.#remember(record)
    const { versions } = this.#world.history
    const before = versions.length
    app.userSaves(record, record.object.settled(record.cells, next), user)
    if (versions.length > before) this.edits++
  }

  #nextCells(action: Action, record: AppRecord, seen: Cells): Cells {
    switch (action.kind) {
      case 'noop':
        return { ...record.cells }
      case 'form':
        // The whole form is sent as it was read, with one field changed: what came in between is set back.
        return this.#edited(action, record.object, seen)
      case 'revert':
        return { ...record.cells, ...this.#earlierValue(action, record) }
      default:
        return this.#edited(action, record.object, record.cells)
    }
  }

  #edited(action: Action, object: AppObject, before: Cells): Cells {
    const fields = object.fields.filter((field) => field.isEdited)
    const choice = action.field % (fields.length + 2 * object.parts.length || 1)
    const part = object.parts[Math.floor((choice - fields.length) / 2)]
    if (choice >= fields.length) return part === undefined ? before : this.#editedPart(action, object, before, part)
    const field = fields[choice] as AppField
    const cells: Record<Path, Value> = { ...before, [field.name]: this.#newValue(object, field, action) }
    const second = action.random.pick(fields)
    if (action.random.chance(0.2)) cells[second.name] = this.#newValue(object, second, action)
    return cells
  }

  /** One element gets a new value, comes, or goes. */
  #editedPart(action: Action, object: AppObject, before: Cells, part: AppPart): Cells {
    const keys = elementKeys(before, part)
    const key = String(action.random.int(1, PART_KEYS))
    if (keys.includes(key) && action.random.chance(0.2)) return withoutElement(before, part, key)
    const cells: Record<Path, Value> = { ...before }
    if (!keys.includes(key)) this.#putElement(cells, object, part, key, action)
    else {
      const fields = part.fields.filter((field) => field.isEdited)
      if (fields.length === 0) return before
      const field = action.random.pick(fields)
      cells[`${partPath(part.name, key)}.${field.name}`] = this.#newValue(object, field, action)
    }
    return cells
  }

  #putElement(cells: Record<Path, Value>, object: AppObject, part: AppPart, key: string, action: Action): void {
    const path = partPath(part.name, key)
    cells[path] = true
    for (const field of part.fields)
      if (field.isEntered) cells[`${path}.${field.name}`] = this.#newValue(object, field, action)
  }

  #newValue(object: AppObject, field: AppField, action: Action): Value {
    return field.refersTo === undefined ? object.entered(field, action) : this.#reference(object, field, action.random)
  }

  #reference(object: AppObject, field: AppField, random: Rng): Value {
    const { refersTo, nullable } = field
    const live = this.#node.app.live(refersTo as EntityName)
    if (live.length === 0 || (nullable && random.chance(0.1))) return null
    return object.pointing(field, random.pick(live).nativeId)
  }

  /** A record that must refer to another cannot be made before there is one. */
  #lacksReferred(object: AppObject): boolean {
    const fields = [...object.fields, ...object.parts.flatMap((part) => part.fields)]
    return fields.some(
      ({ refersTo, nullable }) => refersTo !== undefined && !nullable && this.#node.app.live(refersTo).length === 0,
    )
  }

  #isReferredTo(record: AppRecord): boolean {
    return this.#world.history.referred.has(record.object.spec.name)
  }

  #remember(record: AppRecord): void {
    for (const field of record.object.fields) {
      if (!field.isEdited || field.kind === 'reference') continue
      const key = record.nativeId + ' ' + field.name
      const list = this.#earlier.get(key) ?? []
      const value = record.cells[field.name] as Value
      if (list.at(-1) !== value) list.push(value)
      if (list.length > REMEMBERED_MAX) list.shift()
      this.#earlier.set(key, list)
    }
  }

  /** A value that this record had before (A-B-A). */
  #earlierValue(action: Action, record: AppRecord): Cells {
    const fields = record.object.fields.filter((field) => field.isEdited && field.kind !== 'reference')
    const field = fields[action.field % fields.length]
    const list = field && this.#earlier.get(record.nativeId + ' ' + field.name)
    return field === undefined || list === undefined ? {} : { [field.name]: action.random.pick(list) }
  }
}

function withoutElement(before: Cells, part: AppPart, key: string): Cells {
  const path = partPath(part.name, key)
  const rest: Record<Path, Value> = {}
  for (const name in before) if (name !== path && !name.startsWith(path + '.')) rest[name] = before[name] as Value
  return rest
}

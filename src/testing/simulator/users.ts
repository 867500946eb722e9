import { type Path, partPath, type Value } from '../../model/value.ts'
import type { AppNode } from './app-node.ts'
import type { AppRecord } from './apps/app.ts'
import { type AppField, type AppObject, type AppPart, type Cells, elementKeys, encode } from './apps/mapping.ts'
import { CUSTOMER, codeText, freshValue, recordOfCode } from './fields.ts'
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
    const thing = String(record.cells.code)
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
    const cells = { ...record.cells, code: codeText(COPY_BASE + action.id) }
    this.edits++
    const takesIdAlong = app.profile.capabilities.create === 'K2'
    app.userCreates(record.object, cells, { action: action.id, readSeq: null }, takesIdAlong ? record : undefined)
  }

  /** The wanted record, or any that this application has. */
  #choose(action: Action): AppRecord | undefined {
    const live = this.#node.app.live(action.entity)
    return live.find((record) => recordOfCode(record.cells.code) === action.record) ?? live[action.field % live.length]
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
    const code = codeText(action.record)
    const live = this.#node.app.live(action.entity)
    if (live.some((record) => record.cells.code === code)) return
    const object = this.#node.app.profile.objects.get(action.entity) as AppObject
    const cells: Record<Path, Value> = { code }
    for (const field of object.fields) if (field.kind !== 'code') cells[field.name] = this.#newValue(field, action)
    if (object.part !== null) {
      const count = action.random.int(0, PART_KEYS)
      for (let key = 1; key <= count; key++) this.#putElement(cells, object.part, String(key), action)
    }
    this.edits++
    this.#node.app.userCreates(object, cells, { action: action.id, readSeq: null })
  }

  #save(action: Action, record: AppRecord, seen: Cells, readSeq: number): void {
    const { app } = this.#node
    const user = { action: action.id, readSeq }
    if (action.kind === 'delete') {
      if (this.#isReferredTo(record)) return
      this.edits++
      app.userDeletes(record, user)
      return
    }
    const next = this.#nextCells(action, record, seen)
    if (next !== record.cells) this.#remember(record)
    const { versions } = this.#world.history
    const before = versions.length
    app.userSaves(record, next, user)
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
    const fields = object.fields.filter((field) => field.kind !== 'code')
    const choices = fields.length + (object.part === null ? 0 : 2)
    if (action.field % choices >= fields.length) return this.#editedPart(action, before, object.part as AppPart)
    const field = fields[action.field % choices] as AppField
    const cells: Record<Path, Value> = { ...before, [field.name]: this.#newValue(field, action) }
    const second = action.random.pick(fields)
    if (action.random.chance(0.2)) cells[second.name] = this.#newValue(second, action)
    return cells
  }

  /** One element gets a new value, comes, or goes. */
  #editedPart(action: Action, before: Cells, part: AppPart): Cells {
    const keys = elementKeys(before, part)
    const key = String(action.random.int(1, PART_KEYS))
    if (keys.includes(key) && action.random.chance(0.2)) return withoutElement(before, part, key)
    const cells: Record<Path, Value> = { ...before }
    if (!keys.includes(key)) this.#putElement(cells, part, key, action)
    else {
      const field = action.random.pick(part.fields)
      cells[`${partPath(part.name, key)}.${field.name}`] = this.#newValue(field, action)
    }
    return cells
  }

  #putElement(cells: Record<Path, Value>, part: AppPart, key: string, action: Action): void {
    const path = partPath(part.name, key)
    cells[path] = true
    for (const field of part.fields) cells[`${path}.${field.name}`] = this.#newValue(field, action)
  }

  #newValue(field: AppField, action: Action): Value {
    if (field.kind === 'reference') return this.#reference(action.random)
    return field.normalise(encode(field, freshValue(field, action.id, action.random)))
  }

  #reference(random: Rng): Value {
    const customers = this.#node.app.live(CUSTOMER)
    return customers.length === 0 || random.chance(0.1) ? null : random.pick(customers).nativeId
  }

  #isReferredTo(record: AppRecord): boolean {
    return record.object.spec.name === CUSTOMER && this.#node.app.profile.objects.size > 1
  }

  #remember(record: AppRecord): void {
    for (const field of record.object.fields) {
      if (field.kind === 'code' || field.kind === 'reference') continue
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
    const fields = record.object.fields.filter((field) => field.kind !== 'code' && field.kind !== 'reference')
    const field = fields[action.field % fields.length] as AppField
    const list = this.#earlier.get(record.nativeId + ' ' + field.name)
    return list === undefined ? {} : { [field.name]: action.random.pick(list) }
  }
}

function withoutElement(before: Cells, part: AppPart, key: string): Cells {
  const path = partPath(part.name, key)
  const rest: Record<Path, Value> = {}
  for (const name in before) if (name !== path && !name.startsWith(path + '.')) rest[name] = before[name] as Value
  return rest
}

import { asAppId, asCanonicalKey, asNativeId, asOpId, type CanonicalKey } from '../../../model/ids.ts'
import type { Conflict, HeldEntry, Link, RecordState } from '../../../model/record.ts'
import type { Fields, Path, Value } from '../../../model/value.ts'
import { type Cells, type DrawnField, DrawnObject } from '../apps/mapping.ts'
import { CUSTOMER, codeText, customerSpec } from '../fields.ts'
import type { AppVersion, History, HubEnd } from '../history.ts'

const KEY = asCanonicalKey('c1')
const RECORD = 1

/** A history written by hand, step by step, for trying the checkers: one record, K1, in some applications, with the id `<app>-1` in each. */
export class Story {
  readonly history: History
  readonly #cells = new Map<string, Cells>()
  #seq = 0

  constructor(
    apps: readonly string[],
    more: { readonly blind?: readonly string[]; readonly deletes?: History['deletes']; readonly exact?: boolean } = {},
  ) {
    const object = plainObject()
    this.history = {
      apps: new Map(
        apps.map((app, rank) => [
          asAppId(app),
          {
            app: asAppId(app),
            rank,
            blind: more.blind?.includes(app) === true,
            repairs: false,
            contentTokens: false,
            lookMs: 0,
            strict: false,
            lagMs: 0,
            tellsCreates: true,
            objects: new Map([[CUSTOMER, object]]),
          },
        ]),
      ),
      deletes: more.deletes ?? 'default',
      referred: new Set(),
      refers: new Set(),
      versions: [],
      noopWrites: [],
      reads: [],
      acknowledged: [],
      heads: [],
      logged: [],
      writesAfterQuiet: [],
      exact: more.exact ?? true,
      doubts: false,
      calm: false,
      polled: false,
      startMs: 0,
      sluggish: null,
      end: null,
      recovered: null,
    }
  }

  user(action: number, app: string, values: Cells, native = '1'): this {
    return this.#version(app, native, values, { user: { action, readSeq: null }, hub: null })
  }

  hub(
    app: string,
    values: Cells,
    more: { readonly native?: string; readonly sentSeq?: number; readonly key?: CanonicalKey } = {},
  ): this {
    const hub = {
      op: asOpId(`op${this.#seq}`),
      key: more.key ?? KEY,
      sentAtMs: this.#seq,
      sentSeq: more.sentSeq ?? this.#seq,
      written: values as Fields,
    }
    return this.#version(app, more.native ?? '1', values, { user: null, hub })
  }

  userDeletes(action: number, app: string): this {
    return this.#deletion(app, '1', { user: { action, readSeq: null }, hub: null })
  }

  hubDeletes(app: string): this {
    return this.#deletion(app, '1', {
      user: null,
      hub: { op: asOpId(`op${this.#seq}`), key: KEY, sentAtMs: this.#seq, sentSeq: this.#seq, written: {} },
    })
  }

  /** The hub looks at the record; it has the answer at once. */
  reads(app: string): this {
    const object = plainObject().object
    this.history.reads.push({
      app: asAppId(app),
      object,
      nativeId: asNativeId(`${app}-1`),
      capturedSeq: this.#seq,
      receivedAtMs: this.#seq,
    })
    return this
  }

  head(path: Path, value: Value, app = 'a'): this {
    this.history.heads.push({ seq: ++this.#seq, app: asAppId(app), key: KEY, path, value })
    return this
  }

  /** Everything has come to rest, with this head. */
  rests(
    head: Fields | null,
    more: Partial<HubEnd> & { readonly losers?: readonly (readonly [Path, Value])[] } = {},
  ): History {
    const apps = [...this.history.apps.keys()]
    const { object } = plainObject()
    const links = apps.map(
      (app) =>
        ({
          app,
          object,
          nativeId: asNativeId(`${app}-1`),
          entity: CUSTOMER,
          key: KEY,
          incarnation: 0,
          state: 'live',
          token: null,
          atMs: 0,
        }) as Link,
    )
    const { losers, ...end } = more
    for (const [path, loserValue] of losers ?? [])
      this.history.logged.push({ seq: ++this.#seq, conflict: { key: KEY, path, loserValue } as Conflict })
    this.history.end = {
      states: [stateOf(head, links)],
      links,
      conflicts: (losers ?? []).map(
        ([path, loserValue]) => ({ key: KEY, entity: CUSTOMER, path, loserValue }) as Conflict,
      ),
      held: [] as HeldEntry[],
      openLanes: [],
      journalled: new Set(),
      ...end,
    }
    return this.history
  }

  #version(app: string, native: string, values: Cells, by: Pick<AppVersion, 'user' | 'hub'>): this {
    const place = app + native
    const before = this.#cells.get(place)
    const given = before === undefined ? { code: codeText(RECORD), ...values } : values
    const cells = { ...before, ...given }
    this.#cells.set(place, cells)
    const kind = before === undefined ? 'create' : 'update'
    return this.#push(
      app,
      native,
      kind,
      cells,
      Object.keys(given).filter((path) => cells[path] !== before?.[path]),
      by,
    )
  }

  #deletion(app: string, native: string, by: Pick<AppVersion, 'user' | 'hub'>): this {
    const cells = this.#cells.get(app + native) ?? {}
    this.#cells.delete(app + native)
    return this.#push(app, native, 'delete', cells, [], by)
  }

  #push(
    app: string,
    native: string,
    kind: AppVersion['kind'],
    cells: Cells,
    changed: readonly Path[],
    by: Pick<AppVersion, 'user' | 'hub'>,
  ): this {
    const seq = ++this.#seq
    this.history.versions.push({
      seq,
      atMs: seq,
      app: asAppId(app),
      object: plainObject().object,
      entity: CUSTOMER,
      nativeId: asNativeId(`${app}-${native}`),
      record: RECORD,
      kind,
      cells,
      changed,
      ...by,
    })
    return this
  }
}

/** An application that keeps everything as it is. */
function plainObject(): DrawnObject {
  const spec = customerSpec(false)
  const fields = spec.fields.map(
    (field): DrawnField => ({
      ...field,
      isEdited: field.kind !== 'code',
      isEntered: true,
      native: field.name,
      steps: [field.name],
      codec: 'same',
      normalise: (value) => value,
    }),
  )
  return new DrawnObject(spec, fields, [])
}

function stateOf(head: Fields | null, links: readonly Link[]): RecordState {
  const cells = Object.entries({ code: codeText(RECORD), ...head }).map(([path, value]) => [path, { value }])
  const lanes = links.map(({ app, nativeId }) => [app, { app, nativeId, exists: true, park: null, detached: false }])
  return {
    key: KEY,
    entity: CUSTOMER,
    deleted: head === null,
    head: Object.fromEntries(cells),
    lanes: Object.fromEntries(lanes),
    parkedPaths: {},
  } as unknown as RecordState
}

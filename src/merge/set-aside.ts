import type { AppId } from '../model/ids.ts'
import type { RecordState, SetAside } from '../model/record.ts'
import type { Path, Value } from '../model/value.ts'

type Parked = RecordState['parkedPaths']

/** Sets a field aside for an application whose value neither stands nor has lost. Both are kept where they are. */
export function setAsideFor(
  parked: Parked,
  path: Path,
  app: AppId,
  why: Pick<SetAside, 'code' | 'message'>,
  atMs: number,
): Parked {
  const known = parked[path]
  const apps = [...(known?.apps ?? []).filter((other) => other !== app), app]
  return { ...parked, [path]: { ...why, sinceMs: known?.sinceMs ?? atMs, apps } }
}

/** An application agrees to what stands: when it was the last that did not, the field is taken up again. */
export function agreedBy(parked: Parked, path: Path, app: AppId): Parked {
  const known = parked[path]
  if (known?.apps?.includes(app) !== true) return parked
  const apps = known.apps.filter((other) => other !== app)
  return apps.length === 0 ? without(parked, path) : { ...parked, [path]: { ...known, apps } }
}

export function without(parked: Parked, path: Path): Parked {
  const { [path]: _, ...rest } = parked
  return rest
}

/** Values that neither stand nor have lost: what the applications of a set-aside field hold. */
export function contestedValues(
  record: RecordState,
): readonly { readonly path: Path; readonly app: AppId; readonly value: Value }[] {
  return Object.entries(record.parkedPaths).flatMap(([path, { apps = [] }]) =>
    apps.flatMap((app) => {
      const value = record.lanes[app]?.sent[path]
      return value === undefined ? [] : [{ path, app, value }]
    }),
  )
}

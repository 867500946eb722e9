import type { BindingModel } from '../model/entity.ts'
import type { Image, Path, Value } from '../model/value.ts'
import { elementsOf } from './decode.ts'

/** Images with the parts that an observation says of them put in, and taken out. Pure. */

export const imageWithout = (image: Image, paths: readonly Path[]): Image =>
  Object.fromEntries(Object.entries(image).filter(([path]) => !paths.includes(path)))

/** What the app is now known to hold: the new values over the old ones, elements that are gone taken out. */
export function mergeImage(binding: BindingModel, before: Image, now: Image): Image {
  let merged: Record<Path, Value> | null = null
  for (const path in now) if (now[path] !== before[path]) (merged ??= { ...before })[path] = now[path] as Value
  for (const part of binding.parts) {
    if (now[part.container] !== true) continue
    for (const element of elementsOf(before, part.container)) {
      if (now[element] === true) continue
      const prefix = element + '.'
      merged ??= { ...before }
      for (const path of Object.keys(merged)) if (path === element || path.startsWith(prefix)) delete merged[path]
    }
  }
  return merged ?? before
}

import type { BindingModel } from '../model/entity.ts'
import type { JournalPosition, Token } from '../model/ids.ts'
import { type Intent, isThere, type Lane, type Overlay } from '../model/record.ts'
import { type Fields, type Image, mayBeRenditionOf, type Path, type Value } from '../model/value.ts'

/** What a log-fed application is known to hold: what its log has shown, and our own writes that the log has yet to show over it. The lane itself where there are none. Pure. */
export function withOverlays(lane: Lane, binding: BindingModel): Lane {
  if (lane.overlays.length === 0) return lane
  let image = lane.image
  let sent = lane.sent
  for (const overlay of lane.overlays) {
    if (overlay.kind === 'delete') continue
    image = replaceParts(binding, image, overlay.native)
    sent = applySent(withoutOthers(binding, sent, overlay), overlay.patch)
  }
  return { ...lane, image, sent, exists: isThere(lane) ? true : lane.exists === null ? null : false }
}

export const overlayOf = (intent: Intent, token: Token | null, seq: JournalPosition, atMs: number): Overlay => ({
  op: intent.op,
  kind: intent.kind,
  token,
  patch: intent.kind === 'delete' ? {} : intent.patch,
  native: intent.kind === 'delete' ? {} : intent.native,
  headSeq: intent.headSeq,
  root: intent.root,
  hops: intent.hops,
  seq,
  atMs,
})

/**
 * A write that has left nothing in the log changed nothing: the application held it already, in its own form (step 14, "nothing will echo"). Whatever it holds of it now stands for what we wrote.
 */
export function settleSilent(lane: Lane, overlay: Overlay, binding: BindingModel): Lane {
  const held: Record<Path, Value> = {}
  for (const mapping of binding.fields) {
    if (!(mapping.field in overlay.patch)) continue
    const isHeld = mapping.natives.every(
      (name) => !(name in overlay.native) || mayBeRenditionOf(overlay.native[name], lane.image[name]),
    )
    if (isHeld) held[mapping.field] = overlay.patch[mapping.field] as Value
  }
  return { ...lane, sent: { ...lane.sent, ...held } }
}

/** What an application stands for after it took a patch: elements that the patch removes go with their fields. */
export function applySent(sent: Fields, patch: Fields): Fields {
  const next: Record<Path, Value> = { ...sent, ...patch }
  for (const path in patch) {
    if (patch[path] !== false || !path.endsWith(']')) continue
    const prefix = path + '.'
    for (const name of Object.keys(next)) if (name.startsWith(prefix)) delete next[name]
  }
  return next
}

/** An image after our patch: elements that the patch takes out go with their fields; other elements of a touched part stay. */
export function afterPatch(binding: BindingModel, image: Image, native: Image): Image {
  const next: Record<Path, Value> = { ...image, ...native }
  for (const part of binding.parts) {
    if (native[part.container] !== true) continue
    for (const path in native) {
      if (native[path] !== false || !path.startsWith(part.container + '[') || !path.endsWith(']')) continue
      for (const name of Object.keys(next)) if (name === path || name.startsWith(path + '.')) delete next[name]
    }
  }
  return next
}

/** An image after a patch that carries the parts which it touches whole. */
export function replaceParts(binding: BindingModel, image: Image, native: Image): Image {
  const touched = binding.parts.filter((part) => native[part.container] === true)
  if (touched.length === 0) return { ...image, ...native }
  const kept = Object.entries(image).filter(([path]) => !touched.some((part) => path.startsWith(part.container + '[')))
  return { ...Object.fromEntries(kept), ...native }
}

/** Parts were written whole: elements that the write did not carry are gone. */
function withoutOthers(binding: BindingModel, sent: Fields, { patch, native }: Overlay): Fields {
  const touched = binding.parts.filter((part) => native[part.container] === true)
  if (touched.length === 0) return sent
  const isGone = (path: Path): boolean => {
    const element = path.slice(0, path.indexOf(']') + 1)
    return element !== '' && patch[element] !== true && touched.some((part) => path.startsWith(part.part + '['))
  }
  const next: Record<Path, Value> = {}
  for (const path in sent) if (!isGone(path)) next[path] = sent[path] as Value
  return next
}

/** A patch that says of the parts which it touches all that is in them: they are written whole, so all of it is ours. */
export function withWholeSent(binding: BindingModel, patch: Fields, sent: Fields): Fields {
  const touched = binding.parts.filter(({ part }) => Object.keys(patch).some((path) => path.startsWith(part + '[')))
  if (touched.length === 0) return patch
  const whole: Record<Path, Value> = { ...patch }
  for (const path in sent) {
    const element = path.slice(0, path.indexOf(']') + 1)
    if (element === '' || path in whole || patch[element] === false) continue
    if (touched.some(({ part }) => path.startsWith(part + '['))) whole[path] = sent[path] as Value
  }
  return whole
}

/** A patch with the parts that it touches as they are whole after it: arrays of parts are written whole. */
export function withWholeParts(binding: BindingModel, native: Image, after: Image): Image {
  if (!binding.parts.some((part) => native[part.container] === true)) return native
  const whole: Record<Path, Value> = {}
  for (const path in native) if (!path.includes('[')) whole[path] = native[path] as Value
  for (const part of binding.parts) {
    if (native[part.container] !== true) continue
    const prefix = part.container + '['
    for (const path in after) if (path.startsWith(prefix)) whole[path] = after[path] as Value
  }
  return whole
}

import { registerHooks } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { Mutant } from './mutant.ts'

const ROOT = new URL('../../../../', import.meta.url)

/**
 * Plants a fault in this thread: modules that are imported from now on have the mutant's source in place of the shipped one. Nothing on disk changes, and no shipped
 * module knows of it.
 */
export function plant(mutant: Mutant): void {
  const files = new Set(mutant.edits.map((edit) => fileURLToPath(new URL(edit.file, ROOT))))
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context)
      const path = url.startsWith('file:') ? fileURLToPath(url) : ''
      if (!files.has(path)) return loaded
      const text = typeof loaded.source === 'string' ? loaded.source : Buffer.from(loaded.source as Buffer).toString()
      return { ...loaded, source: applyEdits(mutant, text, (file) => fileURLToPath(new URL(file, ROOT)) === path) }
    },
  })
}

/** The source of one file with a mutant's edits. Throws when a snippet does not occur exactly once. */
export function applyEdits(mutant: Mutant, source: string, isThis: (file: string) => boolean): string {
  let text = source
  for (const { file, from, to } of mutant.edits) {
    if (!isThis(file)) continue
    const [before, after, ...more] = text.split(from)
    if (after === undefined || more.length > 0) {
      const times = after === undefined ? 'not at all' : `${more.length + 1} times`
      throw new RangeError(
        `the mutant ${mutant.name} looks for a snippet that occurs ${times} in ${file}; it has to occur once:\n${from}`,
      )
    }
    text = before + to + after
  }
  return text
}

import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, posix } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = dirname(dirname(fileURLToPath(new URL('.', import.meta.url))))

/** Every file that is in the repository or is about to be: tracked, or new and not ignored. Paths from the root, with `/`. */
export function projectFiles(): readonly string[] {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  })
  // Folders whose name begins with a dot are a tool's or somebody's own, but for the pipeline's.
  const isOurs = (path: string): boolean => path !== '' && !/(^|\/)\.(?!ci\/|github\/)[^/]+\//.test(path)
  return [...new Set(listed.split('\0'))].filter((path) => isOurs(path) && existsSync(`${root}/${path}`)).sort()
}

export const read = (path: string): string => readFileSync(`${root}/${path}`, 'utf8')

export interface Import {
  readonly from: string
  /** A path from the root for a relative import, otherwise the package as written. */
  readonly to: string
  /** Erased by the compiler: it binds nothing at run time. */
  readonly typeOnly: boolean
}

/** The imports and re-exports of a file, static and dynamic. Comments and plain strings that look like imports are left out. */
export function importsOf(path: string): readonly Import[] {
  const text = withoutComments(read(path))
  const found: Import[] = []
  const add = (specifier: string | undefined, typeOnly: boolean): void => {
    if (specifier === undefined) return
    const to = specifier.startsWith('.') ? posix.join(posix.dirname(path), specifier) : specifier
    found.push({ from: path, to, typeOnly })
  }
  for (const [, keyword, clause, specifier] of text.matchAll(
    /^(?:\s*)(import|export)\s+([^'"`;=]*?)\s*from\s*['"]([^'"]+)['"]/gm,
  )) {
    if (keyword !== undefined) add(specifier, isTypeOnly(clause ?? ''))
  }
  for (const [, specifier] of text.matchAll(/^\s*import\s*['"]([^'"]+)['"]/gm)) add(specifier, false)
  for (const [, specifier] of text.matchAll(/\bimport\(\s*['"]([^'"]+)['"]/g)) add(specifier, false)
  return found
}

/** `type {...}`, or braces in which every name is a type. */
function isTypeOnly(clause: string): boolean {
  if (/^type\b/.test(clause)) return true
  const names = /^\{([^}]*)\}$/.exec(clause.trim())?.[1]
  if (names === undefined) return false
  return names.split(',').every((name) => name.trim() === '' || /^type\s/.test(name.trim()))
}

/** The code with its comments blanked, line breaks kept, so that line numbers stay right. Strings and templates are stepped over. */
export function withoutComments(text: string): string {
  return text.replace(
    /\/\*[\s\S]*?\*\/|(?<![:\\])\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\[\s\S]|[^`\\])*`/g,
    (match) => (match.startsWith('/') ? match.replace(/[^\n]/g, ' ') : match),
  )
}

/** The code with comments, strings and templates blanked: what is left is names and punctuation. */
export function bareCode(text: string): string {
  return withoutComments(text).replace(/'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"/g, "''")
}

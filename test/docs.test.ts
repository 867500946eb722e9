import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ERROR_CODES } from '../src/errors/index.ts'
import { projectFiles, read, root } from './support/sources.ts'

const files = projectFiles()
const pages = files.filter((path) => /^(docs\/.*|[^/]+)\.md$/.test(path))

/** Codes that stand in the manual and that no code gives yet, with the reason. */
const CODES_TO_COME: Readonly<Record<string, string>> = {}

describe('errors', () => {
  test('docs/errors.md is what the source says', () => {
    expect(
      spawnSync(process.execPath, ['scripts/generate-docs.mjs', '--check'], { cwd: root, encoding: 'utf8' }).stdout,
    ).toBe('')
  })

  test('every code is given somewhere, or named here as one to come', () => {
    const sources = files.filter((path) => /^src\/.*\.ts$/.test(path) && !/\.test\.ts$|^src\/errors\//.test(path))
    const text = sources.map(read).join('\n')
    const isGiven = (code: string): boolean =>
      text.includes(`'${code}'`) ||
      (/^(journal|store)\./.test(code) && new RegExp(`\\$\\{\\w+\\}\\.[^\\n]*${code.split('.')[1]}`).test(text))
    const unused = Object.keys(ERROR_CODES).filter((code) => !isGiven(code))
    expect(unused.sort()).toEqual(Object.keys(CODES_TO_COME).sort())
  })
})

describe('decisions', () => {
  const decisions = files.filter((path) => /^docs\/decisions\/\d{4}-[\w-]+\.md$/.test(path))

  test('are numbered, each once', () => {
    const numbers = decisions.map((path) => Number(posix.basename(path).slice(0, 4)))
    expect(numbers).toEqual([...new Set(numbers)].filter((number) => number > 0))
  })

  test('are all listed', () => {
    const list = read('docs/decisions/README.md')
    expect(decisions.filter((path) => !list.includes(`](${posix.basename(path)})`))).toEqual([])
  })

  test('say context, choice and why not the others', () => {
    const wanted = ['## Context', '## Choice', '## Why not']
    const wrong = decisions.filter((path) => !wanted.every((heading) => read(path).includes(heading)))
    expect(wrong).toEqual([])
  })
})

describe('pages', () => {
  test('every relative link leads to a file, and every anchor to a heading', () => {
    expect(pages.flatMap(brokenLinks)).toEqual([])
  })

  test('every file of the project that a page names exists', () => {
    const named = pages.flatMap((page) =>
      [...read(page).matchAll(/`((?:src|test|scripts|docs|examples|bench|tools)\/[\w./*-]+)`/g)].map(([, path]) => ({
        page,
        path: path as string,
      })),
    )
    const missing = named
      .filter(({ path }) => !path.includes('*') && !existsSync(join(root, path)))
      .map(({ page, path }) => `${page} names ${path}`)
    expect(missing).toEqual([])
  })

  test('every npm script that a page names exists', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
    const named = pages.flatMap((page) =>
      [...read(page).matchAll(/`?npm run ([\w:-]+)/g)].map(([, name]) => name ?? ''),
    )
    expect(named.filter((name) => scripts[name] === undefined)).toEqual([])
  })

  test('every page of docs is reachable from the README', () => {
    const reached = new Set<string>(['README.md'])
    for (const page of reached) {
      for (const link of linksOf(page)) {
        const target = targetOf(page, link).path
        if (target.endsWith('.md') && pages.includes(target)) reached.add(target)
      }
    }
    expect(pages.filter((page) => page.startsWith('docs/') && !reached.has(page))).toEqual([])
  })
})

/** A block of TypeScript is checked when its first line says so; a block that goes on from the one before says `// continues`. */
describe('examples', () => {
  test('every block that says `// compiles` does', { timeout: 60_000 }, () => {
    const blocks = pages.flatMap(blocksOf)
    expect(blocks.length).toBeGreaterThan(0)
    // In node_modules, because the package must be found from there and other tools look away.
    const folder = join(root, 'node_modules', '.cache', `latchwork-docs-${process.pid}`)
    try {
      mkdirSync(folder, { recursive: true })
      for (const { name, code } of blocks) writeFileSync(join(folder, name), code)
      writeFileSync(
        join(folder, 'tsconfig.json'),
        JSON.stringify({
          extends: join(root, 'tsconfig.json'),
          compilerOptions: { types: [], noUnusedLocals: false, noUnusedParameters: false },
          include: [],
          files: blocks.map(({ name }) => name),
        }),
      )
      expect(typeErrors(folder)).toBe('')
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})

function typeErrors(folder: string): string {
  try {
    execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder, '--pretty', 'false'], {
      cwd: root,
      encoding: 'utf8',
      stdio: 'pipe',
    })
    return ''
  } catch (error) {
    return String((error as { stdout?: string }).stdout)
  }
}

function blocksOf(page: string): { name: string; code: string }[] {
  const blocks: { name: string; code: string }[] = []
  for (const [, code = ''] of read(page).matchAll(/^```ts\n([\s\S]*?)^```$/gm)) {
    const last = blocks.at(-1)
    if (code.startsWith('// compiles'))
      blocks.push({ name: `${page.replaceAll(/[/.]/g, '-')}-${blocks.length}.ts`, code })
    else if (code.startsWith('// continues') && last !== undefined) last.code += code
  }
  return blocks
}

const linksOf = (page: string): string[] =>
  [...withoutCode(read(page)).matchAll(/\[[^\]]*\]\(([^)\s]+)\)/g)]
    .map(([, link]) => link ?? '')
    .filter((link) => !/^[a-z]+:/.test(link))

const withoutCode = (text: string): string => text.replace(/^```[\s\S]*?^```$/gm, '').replace(/`[^`\n]*`/g, '')

function targetOf(page: string, link: string): { path: string; anchor: string | undefined } {
  const [path = '', anchor] = link.split('#')
  return { path: path === '' ? page : posix.join(posix.dirname(page), path), anchor }
}

function brokenLinks(page: string): string[] {
  return linksOf(page).flatMap((link) => {
    const { path, anchor } = targetOf(page, link)
    if (!existsSync(join(root, path))) return [`${page}: ${link} leads nowhere`]
    if (anchor !== undefined && path.endsWith('.md') && !anchorsOf(path).has(anchor))
      return [`${page}: ${link}: there is no such heading`]
    return []
  })
}

/** The anchors of a page's headings, as the usual hosts make them. */
const anchorsOf = (page: string): Set<string> =>
  new Set(
    [...read(page).matchAll(/^#{1,6} +(.+)$/gm)].map(([, heading = '']) =>
      heading
        .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .trim()
        .replace(/\s/g, '-'),
    ),
  )

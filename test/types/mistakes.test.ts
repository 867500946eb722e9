import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'

/**
 * `mistakes.types.ts` without the comments that expect errors, through the compiler: every error must be on the line that follows its
 * comment, with the text of the comment. In node_modules, because the package must be found from there and other tools look away.
 */
const root = join(import.meta.dirname, '..', '..')
const folder = join(root, 'node_modules', '.cache', `latchwork-types-${process.pid}`)
const marker = '// @ts-expect-error '

afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('every mistake in a config is a compile error on the wrong property, with a readable text', async () => {
  const source = readFileSync(join(import.meta.dirname, 'mistakes.types.ts'), 'utf8')
  const expected = source.split('\n').flatMap((line, i) => {
    const at = line.indexOf(marker)
    return at < 0 ? [] : [{ line: i + 2, text: line.slice(at + marker.length) }]
  })
  const errors = await compile(source.replaceAll(marker, '// '))
  expect(expected.length).toBeGreaterThan(30)
  expect(errors.map((error) => error.line)).toEqual(expected.map((error) => error.line))
  for (const { line, text } of expected) {
    expect(errors.find((error) => error.line === line)?.text, `line ${line}`).toContain(text)
  }
})

async function compile(source: string): Promise<{ readonly line: number; readonly text: string }[]> {
  mkdirSync(folder, { recursive: true })
  const options = {
    extends: join(root, 'tsconfig.json'),
    files: ['mistakes.ts'],
    include: [],
    compilerOptions: { types: [] },
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(options))
  writeFileSync(join(folder, 'mistakes.ts'), source)
  const output = await run(join(root, 'node_modules', '.bin', 'tsc'), ['-p', folder, '--pretty', 'false'])
  const errors: { line: number; text: string }[] = []
  for (const line of output.split('\n')) {
    const match = /mistakes\.ts\((\d+),\d+\): (error.*)$/.exec(line)
    if (match !== null) errors.push({ line: Number(match[1]), text: match[2] as string })
    else if (errors.length > 0) (errors.at(-1) as { text: string }).text += `\n${line}`
  }
  return errors
}

/** The compiler ends with a code other than 0 when it finds errors, which is what it is here for. */
function run(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(command, args, { cwd: root, maxBuffer: 10_000_000 }, (error, stdout) => {
      if (error !== null && typeof error.code !== 'number') reject(error)
      else resolve(stdout)
    })
  })
}

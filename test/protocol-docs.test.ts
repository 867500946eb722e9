import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { FLAVOURS_BY_CLASS } from '../src/testing/simulator/apps/profile.ts'
import { MUTANTS } from '../src/testing/simulator/canary/mutants.ts'
import { FAULT_NAMES } from '../src/testing/simulator/faults.ts'
import { ASPECTS } from '../src/testing/simulator/scenario.ts'
import { read, root } from './support/sources.ts'

/** docs/protocol.md promises, and says what holds each promise. Here what it says is held against what there is. */

const page = read('docs/protocol.md')
const section = (heading: string): string => {
  const from = page.indexOf(`\n${heading}`)
  const level = /^#+/.exec(heading)?.[0] ?? '##'
  const rest = page.slice(from + 1 + heading.length)
  const to = rest.search(new RegExp(`^#{2,${level.length}} `, 'm'))
  return from < 0 ? '' : rest.slice(0, to < 0 ? undefined : to)
}
const rows = (text: string): string[][] =>
  text
    .split('\n')
    .filter((line) => line.startsWith('|') && !/^\|[\s|-]+$/.test(line))
    .map((line) =>
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    )
const quoted = (text: string): string[] => [...text.matchAll(/`([^`]+)`/g)].map(([, name]) => name as string)

const promises = rows(section('## 2. Invariants')).filter(([name]) => name?.startsWith('**V'))
const hazards = rows(section('## 4. Hazards').split('### 4.1')[0] as string).filter(([id]) =>
  /^\d+[a-z]?$/.test(id ?? ''),
)
const planted = rows(section('### 4.1 Planted faults')).filter(([id]) => /^\d+[a-z]?$/.test(id ?? ''))
const checkers = readdirSync(join(root, 'src/testing/simulator/checkers'))
  .filter((file) => /^v\d+-/.test(file))
  .map((file) => file.replace('.ts', ''))

const mutants = new Set(MUTANTS.map(({ name }) => name))
const generators = new Set<string>([...FAULT_NAMES, ...ASPECTS, ...Object.values(FLAVOURS_BY_CLASS).flat()])
const isTest = (name: string): boolean => /^(src|test|examples)\/\S+$/.test(name) && existsSync(join(root, name))

describe('promises', () => {
  test('V1 to V12 are there, each with a checker of its own that judges every simulated run', () => {
    expect(promises.map(([name]) => /V\d+/.exec(name ?? '')?.[0])).toEqual(
      Array.from({ length: 12 }, (_, i) => `V${i + 1}`),
    )
    const judge = read('src/testing/simulator/checkers/index.ts')
    const wrong = promises.flatMap(([name = '', , heldBy = '']) => {
      const number = /V(\d+)/.exec(name)?.[1]
      const checker = quoted(heldBy).find((one) => one.startsWith(`v${number}-`))
      if (checker === undefined) return [`${name} names no checker`]
      return checkers.includes(checker) && judge.includes(`./${checker}.ts`)
        ? []
        : [`${name}: ${checker} judges nothing`]
    })
    expect(wrong).toEqual([])
  })

  test('every checker of a promise is named by it, and is tried on histories written by hand', () => {
    const named = new Set(promises.flatMap(([, , heldBy]) => quoted(heldBy ?? '')))
    expect(checkers.filter((name) => !named.has(name))).toEqual([])
    const tests = read('src/testing/simulator/checkers/checkers.test.ts')
    const untried = checkers.filter((name) => !tests.includes(`describe('V${/\d+/.exec(name)?.[0]}'`))
    expect(untried).toEqual([])
  })
})

describe('hazards', () => {
  test('all of them are there', () => {
    const numbers = Array.from({ length: 38 }, (_, i) => String(i + 1))
    expect(hazards.map(([id]) => id)).toEqual(numbers.flatMap((id) => (id === '9' ? ['9', '9a', '9b', '9c'] : [id])))
  })

  test('what their rows name exists', () => {
    const wrong = hazards.flatMap(([id, ...cells]) =>
      quoted(cells.at(-1) ?? '')
        .filter((name) => /^[a-z][a-zA-Z-]+$/.test(name) && !generators.has(name) && !mutants.has(name))
        .filter((name) => !KNOWN_WORDS.has(name))
        .map((name) => `hazard ${id} names \`${name}\`, which is no generator, aspect, flavour or planted fault`),
    )
    expect(wrong).toEqual([])
  })

  test('every planted fault stands beside one hazard, and every one that stands there is planted', () => {
    const listed = planted.flatMap(([, names]) => quoted(names ?? ''))
    expect([...listed].sort()).toEqual([...mutants].sort())
  })

  test('those that nothing brings about are listed as open, and no others', () => {
    const hasFault = new Set(planted.map(([id]) => id))
    const open = hazards
      .filter(([id, ...cells]) => {
        const names = quoted(cells.at(-1) ?? '')
        const isBroughtAbout = names.some((name) => generators.has(name) || mutants.has(name) || isTest(name))
        return !hasFault.has(id) && !isBroughtAbout
      })
      .map(([id]) => id)
    const said = /Hazards that nothing brings about yet[^:]*: ([^.]*)\./.exec(page)?.[1] ?? ''
    expect(said.split(', ').filter((id) => id !== '')).toEqual(open)
  })
})

/** Words of the protocol's own that stand in code font in those rows. */
const KNOWN_WORDS: ReadonlySet<string> = new Set(['generation'])

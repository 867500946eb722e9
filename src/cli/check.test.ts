import { join } from 'node:path'
import { expect, test } from 'vitest'
import { run } from './program.ts'

async function command(...args: string[]) {
  const said = { stdout: '', stderr: '' }
  const output = (name: 'stdout' | 'stderr') => ({ columns: 100, write: (text: string) => void (said[name] += text) })
  const exit = (): never => {
    throw new Error('a command does not end the process')
  }
  const code = await run(args, { env: {}, stdout: output('stdout'), stderr: output('stderr'), on: () => {}, exit })
  return { code, ...said }
}

const fixture = (name: string): string => join(import.meta.dirname, `fixture-${name}.config.ts`)

test('an undeclared loss ends with 7 and is named with its next step; declared, the same mapping holds', async () => {
  const found = await command('check', '--config', fixture('lossy'))
  expect(found.code).toBe(7)
  expect(found.stdout).toContain('check.lossy  person.name in warehouse: "a"')
  expect(found.stdout).toContain('declare it in warehouse: name: lossy(...)')
  const held = await command('check', '--config', fixture('lossy-declared'), '--json')
  expect(held.code).toBe(0)
  expect(JSON.parse(held.stdout)).toMatchObject({ mappings: { findings: [], entities: [{ entity: 'person' }] } })
})

test('what is not promised is printed for each application, with what would earn it', async () => {
  const config = join(import.meta.dirname, '../../examples/salesforce-outbound/latchwork.config.ts')
  const { code, stdout } = await command('check', '--config', config, '--values', '20')
  expect(code).toBe(0)
  expect(stdout).toContain('sales: not promised, V3 no lost update')
  expect(stdout).toContain('What would earn it: writes that are refused when the version has changed')
})

test('a simulation finds the undeclared loss, ends with 7 and prints a story with the lines that run it again', async () => {
  const found = await command('simulate', '--config', fixture('lossy'), '--seeds', '5')
  expect(found.code).toBe(7)
  expect(found.stdout).toMatch(/^V[24] {2}\d runs?, among them/)
  expect(found.stdout).toContain('made small')
  const lines = found.stdout.split('\n').filter((line) => line.includes('latchwork simulate'))
  expect(lines).toHaveLength(2)
  for (const line of lines) {
    const again = await command(...line.trim().split(' ').slice(1))
    expect(again.code).toBe(7)
    expect(again.stdout).toMatch(/: V[24]: /)
  }
})

test('a simulation of a config that holds ends with 0, and says what was tried', async () => {
  const { code, stdout } = await command('simulate', '--config', fixture('lossy-declared'), '--seeds', '20', '--json')
  expect(code).toBe(0)
  const report = JSON.parse(stdout) as { seeds: number; failed: number; userEdits: number }
  expect(report).toMatchObject({ seeds: 20, failed: 0, story: null })
  expect(report.userEdits).toBeGreaterThan(300)
})

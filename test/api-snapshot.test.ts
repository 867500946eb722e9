import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import * as api from '../src/index.ts'

/** The public names, checked in: a change of the API is seen in review as a change of `api-snapshot.txt` (`vitest -u` writes it). */
const source = readFileSync(join(import.meta.dirname, '..', 'src', 'index.ts'), 'utf8')

test('the public API is the one that was agreed', async () => {
  const text = publicNames(source).join('\n') + '\n'
  await expect(text).toMatchFileSnapshot('./api-snapshot.txt')
})

test('it is written by hand, name by name', () => {
  expect(source).not.toMatch(/export \*|export default/)
  const values = publicNames(source).filter((name) => !name.startsWith('type '))
  expect(Object.keys(api).sort()).toEqual([...values].sort())
})

function publicNames(text: string): string[] {
  const names = [...text.matchAll(/export (type )?\{([^}]*)\}/g)].flatMap(([, type = '', list = '']) =>
    list
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '')
      .map((name) => (name.startsWith('type ') ? name : type + name)),
  )
  return names.sort((a, b) => (a.replace('type ', '') < b.replace('type ', '') ? -1 : 1))
}

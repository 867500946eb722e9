import { expect, test } from 'vitest'
import { env, resolveText } from './env.ts'

const files: Readonly<Record<string, string>> = { '/run/secrets/token': 'from a file\n' }
const readFile = (path: string): string => {
  const text = files[path]
  if (text === undefined) throw new Error('no such file')
  return text
}

test.each([
  ['text stands for itself', 'http://desk', {}, 'http://desk'],
  ['a variable', env('TOKEN'), { TOKEN: 'direct' }, 'direct'],
  ['a variable that is empty', env('TOKEN', 'other'), { TOKEN: '' }, ''],
  [
    'the file that a variable names, without its last line break',
    env('TOKEN'),
    { TOKEN_FILE: '/run/secrets/token' },
    'from a file',
  ],
  ['the variable before the file', env('TOKEN'), { TOKEN: 'direct', TOKEN_FILE: '/run/secrets/token' }, 'direct'],
  ['the fallback last', env('TOKEN', 'fallback'), {}, 'fallback'],
])('%s', (_name, text, variables, expected) => {
  expect(resolveText(text, variables, readFile)).toBe(expected)
})

test('a variable that is not set, or names a file that cannot be read', () => {
  const missing = expect.objectContaining({ code: 'config.env-missing' })
  expect(() => resolveText(env('TOKEN'), {}, readFile)).toThrow(missing)
  expect(() => resolveText(env('TOKEN'), {}, readFile)).toThrow(/TOKEN is not set\. Set it, or set TOKEN_FILE/)
  expect(() => resolveText(env('TOKEN'), { TOKEN_FILE: '/nowhere' }, readFile)).toThrow(missing)
  expect(() => env('NOT A NAME')).toThrow(/cannot be the name/)
})

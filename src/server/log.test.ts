import { describe, expect, test } from 'vitest'
import { systemClock } from '../lib/system-clock.ts'
import type { LogLevel } from '../ports/clock.ts'
import { createLog, withoutSecrets } from './log.ts'

const clock = { ...systemClock, nowMs: () => Date.UTC(2026, 0, 2, 3, 4, 5, 6) }

function written(isTTY: boolean, level: LogLevel, colour?: boolean) {
  const lines: string[] = []
  const stream = { isTTY, write: (text: string) => void lines.push(text) }
  return { lines, log: createLog(stream, clock, level, colour) }
}

describe('a log', () => {
  test('is JSON where no person looks', () => {
    const { lines, log } = written(false, 'info')
    log.log('debug', 'too much')
    log.log('warn', 'the desk cannot be reached', { app: 'desk' })
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatch(/\n$/)
    expect(JSON.parse(lines[0] as string)).toEqual({
      level: 'warn',
      time: '2026-01-02T03:04:05.006Z',
      app: 'desk',
      message: 'the desk cannot be reached',
    })
  })

  test('is a line of text where one does', () => {
    const { lines, log } = written(true, 'debug', false)
    log.log('debug', 'a detail', { count: 3, nothing: undefined })
    expect(lines).toEqual(['03:04:05.006 debug a detail count=3\n'])
  })
})

test('secrets are taken out of messages, data, lists and errors', () => {
  const said: unknown[] = []
  const log = withoutSecrets({ log: (...all) => void said.push(all) }, ['s3cret-value', 'abc'])
  log.log('info', 'token s3cret-value!', {
    list: ['x s3cret-value'],
    inner: { deep: 's3cret-value' },
    error: new Error('with s3cret-value'),
    count: 7,
  })
  expect(JSON.stringify(said)).not.toContain('s3cret-value')
  expect(said).toMatchObject([
    ['info', 'token [secret]!', { list: ['x [secret]'], inner: { deep: '[secret]' }, count: 7 }],
  ])
  // A short text would be found inside ordinary words.
  log.log('info', 'abcdef')
  expect(said.at(-1)).toEqual(['info', 'abcdef', undefined])
})

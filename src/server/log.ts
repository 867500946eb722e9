import { styleText } from 'node:util'
import { pino } from 'pino'
import type { Clock, Log, LogLevel } from '../ports/clock.ts'

/** What a log is written to; `process.stderr` is one. */
export interface LogStream {
  readonly isTTY?: boolean
  write(text: string): unknown
}

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error']

/** One JSON object a line for programs, one line of text for a person at a terminal. */
export function createLog(
  stream: LogStream,
  clock: Clock,
  level: LogLevel = 'info',
  colour = stream.isTTY === true,
): Log {
  return stream.isTTY === true ? textLog(stream, clock, level, colour) : jsonLog(stream, clock, level)
}

function jsonLog(stream: LogStream, clock: Clock, level: LogLevel): Log {
  const timestamp = (): string => `,"time":"${new Date(clock.nowMs()).toISOString()}"`
  const formatters = { level: (label: string) => ({ level: label }) }
  const logger = pino(
    { level, base: null, timestamp, formatters, messageKey: 'message' },
    { write: (line) => void stream.write(line) },
  )
  return { log: (at, message, data) => logger[at](data ?? {}, message) }
}

const STYLES = { debug: 'dim', info: 'green', warn: 'yellow', error: 'red' } as const

function textLog(stream: LogStream, clock: Clock, level: LogLevel, colour: boolean): Log {
  const least = LEVELS.indexOf(level)
  const style = (name: Parameters<typeof styleText>[0], text: string): string =>
    colour ? styleText(name, text, { validateStream: false }) : text
  return {
    log(at, message, data = {}) {
      if (LEVELS.indexOf(at) < least) return
      const time = new Date(clock.nowMs()).toISOString().slice(11, 23)
      const rest = Object.entries(data)
        .filter(([, value]) => value !== undefined)
        .map(([name, value]) => ` ${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
      stream.write(
        `${style('dim', time)} ${style(STYLES[at], at.padEnd(5))} ${message}${style('dim', rest.join(''))}\n`,
      )
    },
  }
}

/** Shorter texts are left: they would be found inside ordinary words, and hide nothing worth hiding. */
const SECRET_CHARACTERS_MIN = 6

/** The log without the secrets, wherever in a message or its data they stand: an application may send one back in an error. */
export function withoutSecrets(log: Log, secrets: readonly string[]): Log {
  const hidden = [...new Set(secrets)].filter((secret) => secret.length >= SECRET_CHARACTERS_MIN)
  if (hidden.length === 0) return log
  const clean = (text: string): string => hidden.reduce((left, secret) => left.replaceAll(secret, '[secret]'), text)
  return {
    log(level, message, data) {
      log.log(level, clean(message), data === undefined ? undefined : cleanData(data, clean))
    },
  }
}

function cleanData(data: Readonly<Record<string, unknown>>, clean: (text: string) => string): Record<string, unknown> {
  const cleanValue = (value: unknown): unknown => {
    if (typeof value === 'string') return clean(value)
    if (value instanceof Error) return clean(value.stack ?? value.message)
    if (typeof value !== 'object' || value === null) return value
    return Array.isArray(value) ? value.map(cleanValue) : cleanData(value as Record<string, unknown>, clean)
  }
  return Object.fromEntries(Object.entries(data).map(([name, value]) => [name, cleanValue(value)]))
}

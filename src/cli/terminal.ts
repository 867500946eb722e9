import { styleText } from 'node:util'
import { SyncError } from '../errors/index.ts'
import { encodeData } from '../model/value.ts'

/** What of a process the commands use. */
export interface ProcessLike {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdout: Output
  readonly stderr: Output
  on(signal: 'SIGTERM' | 'SIGINT', listener: () => void): unknown
  exit(code: number): never
}

interface Output {
  readonly isTTY?: boolean
  readonly columns?: number
  write(text: string): unknown
}

export type Style = Parameters<typeof styleText>[0]

/** Where a command writes: data on stdout, everything else on stderr. Colour only where a person looks and has not said no. */
export class Terminal {
  readonly isJson: boolean
  readonly #process: ProcessLike
  readonly #hasColour: boolean

  constructor(process: ProcessLike, isJson: boolean) {
    this.#process = process
    this.isJson = isJson
    this.#hasColour = process.stdout.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== 'dumb'
  }

  /** Width that text may fill; wide where no person looks, so that nothing is cut that a program may search. */
  get columns(): number {
    return this.#process.stdout.isTTY === true ? (this.#process.stdout.columns ?? 80) : 200
  }

  style(style: Style, text: string): string {
    return this.#hasColour ? styleText(style, text, { validateStream: false }) : text
  }

  /** The command's result: `data` as one line of JSON with --json, otherwise the text. */
  result(data: unknown, text: () => string): void {
    const out = this.isJson ? encodeData(data) : text()
    this.#process.stdout.write(out.endsWith('\n') || out === '' ? out : `${out}\n`)
  }

  note(text: string): void {
    this.#process.stderr.write(`${text}\n`)
  }

  /** `code: message`; the place where it is known, and the stack only for who asked. */
  error(error: unknown, isDebug: boolean): SyncError {
    const known = SyncError.from(error)
    if (this.isJson)
      this.#process.stderr.write(
        `${encodeData({ error: { code: known.code, message: known.message, place: known.place } })}\n`,
      )
    else this.#process.stderr.write(`${this.style('red', known.code)}: ${known.message}\n`)
    if (isDebug)
      this.#process.stderr.write(
        `${known.stack ?? ''}\n${known.cause instanceof Error ? `caused by ${known.cause.stack}\n` : ''}`,
      )
    return known
  }
}

import { systemClock } from '../lib/system-clock.ts'
import type { Terminal } from './terminal.ts'

/** How often a long command says where it is: on a terminal in one line that changes, else as a line now and then. */
const EVERY_TTY_MS = 200
const EVERY_LINE_MS = 10_000

/** Progress of long work on stderr; data goes to stdout. Nothing with --json, and nothing before it would be noticed. */
export class Progress {
  readonly #terminal: Terminal
  readonly #isTty: boolean
  readonly #write: (text: string) => void
  #lastMs = systemClock.monotonicMs()
  #shown = false

  constructor(terminal: Terminal, stderr: { readonly isTTY?: boolean; write(text: string): unknown }) {
    this.#terminal = terminal
    this.#isTty = stderr.isTTY === true
    this.#write = (text) => void stderr.write(text)
  }

  say(text: () => string): void {
    if (this.#terminal.isJson) return
    const nowMs = systemClock.monotonicMs()
    if (nowMs - this.#lastMs < (this.#isTty ? EVERY_TTY_MS : EVERY_LINE_MS)) return
    this.#lastMs = nowMs
    this.#write(this.#isTty ? `\r\u001b[2K${text()}` : `${text()}\n`)
    this.#shown = true
  }

  clear(): void {
    if (this.#shown && this.#isTty) this.#write('\r\u001b[2K')
    this.#shown = false
  }
}

/** `[#######···] 712,000 of 1,000,000  23,411/s  12 s left` */
export function barText(done: number, total: number | null, elapsedMs: number): string {
  const rate = elapsedMs > 0 ? Math.round((done * 1_000) / elapsedMs) : 0
  const count = done.toLocaleString('en')
  if (total === null || total === 0) return `${count} records  ${rate.toLocaleString('en')}/s`
  const filled = Math.min(20, Math.floor((done / total) * 20))
  const leftS = rate > 0 ? Math.ceil(Math.max(0, total - done) / rate) : null
  const left = leftS === null ? '' : `  ${leftS} s left`
  return `[${'#'.repeat(filled)}${'·'.repeat(20 - filled)}] ${count} of ${total.toLocaleString('en')}  ${rate.toLocaleString('en')}/s${left}`
}

// What `npm test` and `npm run test:long` share: running one check after the other, counting, and the closing line. Plain JavaScript,
// because it is started by whatever Node the machine has; the checks themselves run on the Node of node_modules/.bin.
import { spawn } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { delimiter } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))
const bin = fileURLToPath(new URL('../node_modules/.bin', import.meta.url))
const colour = process.stdout.isTTY ? { FORCE_COLOR: '1' } : { NO_COLOR: '1' }
const env = { ...process.env, ...colour, PATH: `${bin}${delimiter}${process.env.PATH ?? ''}` }

/**
 * Runs a command. `capture` keeps stdout for the caller, otherwise it goes to the terminal; `limitMs` ends one that hangs; `more` is added to its environment.
 * Never rejects.
 */
export function run(command, args, { capture = false, quiet = false, limitMs, more = {} } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      env: { ...env, ...more },
      timeout: limitMs,
      stdio: ['ignore', capture || quiet ? 'pipe' : 'inherit', quiet ? 'pipe' : 'inherit'],
      shell: process.platform === 'win32',
    })
    let output = ''
    child.stdout?.on('data', (chunk) => (output += chunk))
    child.stderr?.on('data', (chunk) => (output += chunk))
    child.on('error', (error) => resolve({ code: 1, output: `${output}${error.message}\n` }))
    child.on('close', (code, signal) => {
      if (signal !== null)
        output += `${command} was ended by ${signal}${limitMs ? `; it has ${limitMs / 1000} s` : ''}\n`
      resolve({ code: code ?? 1, output })
    })
  })
}

/** Biome and tsc take some seconds; a minute is a hang, or a machine that nobody should test on. */
const CHECK_MAX_MS = 60_000

export class Tally {
  passed = 0
  failed = 0
  skipped = 0
  #startedMs = performance.now()

  /** Runs one check that counts as a test of its own; its output is shown only when it fails. */
  async check(name, command, args) {
    const startedMs = performance.now()
    const { code, output } = await run(command, args, { quiet: true, limitMs: CHECK_MAX_MS })
    this.count(name, code === 0, startedMs)
    if (code !== 0) process.stdout.write(`${output.trimEnd()}\n`)
    return code === 0
  }

  count(name, ok, startedMs = performance.now(), note = '') {
    if (ok) this.passed++
    else this.failed++
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
    process.stdout.write(`${ok ? 'ok    ' : 'FAILED'} ${name} (${seconds} s)${note === '' ? '' : `: ${note}`}\n`)
  }

  /** Prints the closing line, alone and last, and sets the exit code. */
  close() {
    const seconds = Math.round((performance.now() - this.#startedMs) / 1000)
    process.stdout.write(`all checks took ${seconds} s\n`)
    const skipped = this.skipped > 0 ? `, ${this.skipped} skipped` : ''
    process.stdout.write(`${this.passed} passed, ${this.failed} failed${skipped}\n`)
    process.exitCode = this.failed > 0 ? 1 : 0
  }
}

/** Runs the simulator over fresh seeds; one campaign counts as one test. Its report is the last line of its stdout. */
export async function simulate(tally, seeds, { more = [], limitMs } = {}) {
  const startedMs = performance.now()
  const jobs = String(availableParallelism())
  const { code, output } = await run(
    'node',
    [
      '--conditions=latchwork-source',
      'src/testing/simulator/main.ts',
      '--seeds',
      String(seeds),
      '--json',
      '--jobs',
      jobs,
      ...more,
    ],
    { capture: true, limitMs },
  )
  const report = lastJson(output)
  const ok = code === 0 && report !== undefined && report.failed === 0
  tally.count(`simulator, ${seeds} seeds`, ok, startedMs, report === undefined ? '' : summary(report))
  if (!ok) process.stdout.write(`${output.trimEnd().slice(-8000)}\n`)
}

const summary = ({ failed, seedsPerSecond, userEdits, crashes }) =>
  `${failed} failed, ${userEdits} user edits, ${crashes} crashes, ${Math.round(seedsPerSecond)} seeds/s`

function lastJson(output) {
  try {
    return JSON.parse(output.slice(output.lastIndexOf('\n{') + 1))
  } catch {
    return undefined
  }
}

import { parseArgs } from 'node:util'
import { systemClock } from '../../lib/system-clock.ts'
import { type Finding, fuzzOnce, SUBJECTS } from './formats.ts'

const USAGE = `node --conditions=latchwork-source src/testing/fuzz/main.ts [--seconds 60] [--from 1] [--only json,xml]

Fuzzes the parser of every format for so many seconds each, and says how long the slowest message took. --only with --from and --seconds 0 runs one seed.
`

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    from: { type: 'string', default: '1' },
    only: { type: 'string', default: Object.keys(SUBJECTS).join(',') },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) process.stdout.write(USAGE)
else process.exitCode = fuzz() ? 1 : 0

function fuzz(): boolean {
  const findings: Finding[] = []
  for (const kind of values.only.split(',')) {
    const endMs = systemClock.monotonicMs() + Number(values.seconds) * 1000
    let runs = 0
    let slowestMs = 0
    do {
      const startedMs = systemClock.monotonicMs()
      const finding = fuzzOnce(kind, Number(values.from) + runs)
      slowestMs = Math.max(slowestMs, systemClock.monotonicMs() - startedMs)
      if (finding !== null) findings.push(finding)
      runs++
    } while (systemClock.monotonicMs() < endMs && findings.length < 20)
    process.stdout.write(
      `${kind}: ${runs} messages, ${findings.filter((one) => one.kind === kind).length} findings, slowest ${slowestMs.toFixed(1)} ms\n`,
    )
  }
  for (const finding of findings) process.stdout.write(`${JSON.stringify(finding)}\n`)
  return findings.length > 0
}

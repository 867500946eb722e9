/**
 * Real processes and real faults, for a campaign:
 *
 *     node --conditions=latchwork-source examples/demo/faults/main.ts --kills 200 --rounds 3 --json
 */

import { parseArgs } from 'node:util'
import { ordeal } from './ordeal.ts'

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '10' },
    rounds: { type: 'string', default: '1' },
    outages: { type: 'string', default: '1' },
    'trouble-ms': { type: 'string', default: '5000' },
    rate: { type: 'string', default: '40' },
    seed: { type: 'string', default: '1' },
    mutant: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
})

const { problems, ...report } = await ordeal({
  kills: Number(values.kills),
  rounds: Number(values.rounds),
  outages: Number(values.outages),
  troubleMs: Number(values['trouble-ms']),
  rate: Number(values.rate),
  seed: Number(values.seed),
  ...(values.mutant !== undefined && { mutant: values.mutant }),
  note: (text) => void process.stderr.write(`${text}\n`),
})
for (const problem of problems.slice(0, 25)) process.stderr.write(`${problem}\n`)
const isRight =
  report.lost === 0 && report.duplicates === 0 && report.echoWrites === 0 && report.equal && report.settled
process.stdout.write(values.json ? `${JSON.stringify(report)}\n` : `${isRight ? 'holds' : 'DOES NOT HOLD'}\n`)
process.exitCode = isRight ? 0 : 1

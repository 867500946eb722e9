/**
 * Preloaded into a hub that is to die at one place of its own source (`node --import`): plants the place named by LATCHWORK_FAIL_POINT as the source is loaded. The process
 * dies there the LATCHWORK_FAIL_AT-th time that it comes by. LATCHWORK_MUTANT names a fault of the protocol to plant as well, to show that the verdict in the end sees it.
 */

import { MUTANTS } from '../../../src/testing/simulator/canary/mutants.ts'
import { plant } from '../../../src/testing/simulator/canary/plant.ts'
import { FAIL_POINTS } from './fail-points.ts'

const wanted = FAIL_POINTS.find(({ row }) => String(row) === process.env.LATCHWORK_FAIL_POINT)
let left = Number(process.env.LATCHWORK_FAIL_AT ?? 1)

const mutant = MUTANTS.find(({ name }) => name === process.env.LATCHWORK_MUTANT)
if (mutant !== undefined) plant(mutant)

if (wanted !== undefined) {
  Object.assign(globalThis, {
    latchworkFailPoint: () => {
      if (--left === 0) process.kill(process.pid, 'SIGKILL')
    },
  })
  plant({ name: wanted.name, breaks: 'the process', edits: wanted.edits })
}

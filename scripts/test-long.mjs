// `npm run test:long`: the long campaigns, for a night or a release. Same closing line as `npm test`.
// SEEDS sets the number of simulator seeds, FROM the first of them: seeds of another range than the last campaign's see other faults.
import { simulate, Tally } from './checks.mjs'

/** A fault of 1 in 33,000 seeds is seen with 95 % certainty. */
const SEEDS = Number(process.env.SEEDS ?? 100_000)

const tally = new Tally()
await simulate(tally, SEEDS, { more: ['--from', process.env.FROM ?? '1'] })
tally.close()

/** node --conditions=latchwork-source examples/postgres-http/main.ts */
import { runExample } from './run.ts'

for (const row of await runExample((text) => console.log(text))) console.log(row)
process.exit(0)

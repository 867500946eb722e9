/** node --conditions=latchwork-source examples/postgres-mariadb/main.ts */
import { runExample } from './run.ts'

for (const row of await runExample((text) => console.log(text))) console.log(row.join('  '))
process.exit(0)

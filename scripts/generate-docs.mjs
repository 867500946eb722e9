// Writes the pages of docs/ that are made from the source: today docs/errors.md, from src/errors/codes.ts.
// `node scripts/generate-docs.mjs` writes; with `--check` it only says whether they are current (exit code 1 when not).
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { ERROR_CODES } from '../src/errors/codes.ts'

/** Headings of the areas, which are the parts of the codes before the dot. */
const titles = {
  intake: 'Intake: what a sender is told',
  journal: 'Journal',
  store: 'Store',
  config: 'Config',
  mapping: 'Mapping',
  format: 'Formats',
  target: 'Writing to an application',
  source: 'Reading from an application',
  broker: 'Message brokers',
  resolve: 'Finding the record',
  merge: 'Merging',
  engine: 'Engine',
  query: 'Commands and queries',
  admin: 'Admin API',
  hub: 'Hub',
  internal: 'Internal',
}
const pages = [['docs/errors.md', formatted('docs/errors.md', errorsPage())]]
const isCheck = process.argv.includes('--check')
let stale = 0
for (const [path, text] of pages) {
  const url = new URL(`../${path}`, import.meta.url)
  if (isCheck) {
    if (currentText(url) === text) continue
    stale++
    process.stdout.write(`${path} is not current: run \`node scripts/generate-docs.mjs\`\n`)
  } else {
    writeFileSync(url, text)
    process.stdout.write(`wrote ${path}\n`)
  }
}
process.exitCode = stale > 0 ? 1 : 0

/** As `npm run format` would leave it, so that the page is current and in form at once. */
function formatted(path, text) {
  const biome = fileURLToPath(new URL('../node_modules/@biomejs/biome/bin/biome', import.meta.url))
  return execFileSync(process.execPath, [biome, 'format', `--stdin-file-path=${path}`], {
    input: text,
    encoding: 'utf8',
  })
}

function currentText(url) {
  try {
    return readFileSync(url, 'utf8')
  } catch {
    return null
  }
}

function errorsPage() {
  const areas = Map.groupBy(Object.entries(ERROR_CODES), ([code]) => code.slice(0, code.indexOf('.')))
  const head = `# Error codes

<!-- Made by scripts/generate-docs.mjs from src/errors/codes.ts. Change it there. -->

Every error of Latchwork is a \`SyncError\` with one of these codes. A code is stable for ever: it is never renamed and never means something
else. Over HTTP an error is \`application/problem+json\` with the code in \`code\`; in the log it stands in \`code\`; on a lane or held entry that is set
aside it stands in the listing of \`latchwork status\`.

What the engine does with an error depends on its *handling* alone:

| handling | what happens |
| --- | --- |
| \`retry\` | Nothing was lost and nothing is decided; it is tried again with growing pauses, for as long as it is needed. |
| \`park\` | The one record (or request) is set aside or refused, visibly; everything else goes on. |
| \`stop\` | The hub does not start, or stops: going on would do damage. |
| \`bug\` | A defect of Latchwork. The record concerned is parked, everything else goes on. |
`
  const sections = [...areas].map(([area, codes]) => {
    const entries = codes.map(
      ([code, { handling, status, manual }]) => `### ${code}\n\n*${handling}, HTTP ${status}.* ${manual}\n`,
    )
    return `## ${titles[area] ?? area}\n\n${entries.join('\n')}`
  })
  return `${head}\n${sections.join('\n')}`
}

#!/usr/bin/env node
// Looks at the Node version before anything else is loaded: an old one fails on the first import with a message that helps nobody.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)

if (major < 24 || (major === 24 && minor < 15)) {
  process.stderr.write(
    `latchwork needs Node 24.15 or newer; this is ${process.versions.node}. Install it from https://nodejs.org, or run through \`npm run latchwork --\`, which brings one along.\n`,
  )
  process.exitCode = 1
} else {
  const { run } = await import('./program.ts')
  process.exitCode = await run(process.argv.slice(2), process)
}

export {}

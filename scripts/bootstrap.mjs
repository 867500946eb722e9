// Runs before every npm script, under whatever Node the machine has: installs what the lockfile says when node_modules is
// missing or stale, and says so. Plain JavaScript, because an old Node cannot run TypeScript.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url))
const stamp = at('node_modules/.latchwork-installed')
const wanted = createHash('sha256')
  .update(readFileSync(at('package-lock.json')))
  .digest('hex')

if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== wanted) {
  process.stderr.write('latchwork: installing the packages of package-lock.json (once, about half a minute) ...\n')
  // Not `npm ci`: it refuses a lockfile that was made where the optional packages of other platforms cannot be had. `install` takes the locked versions too.
  execFileSync('npm', ['install', '--no-save', '--ignore-scripts', '--no-fund', '--no-audit', '--loglevel=error'], {
    cwd: at('.'),
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  })
  writeFileSync(stamp, wanted)
}

const node = at('node_modules/.bin/node')
const version = existsSync(node) ? execFileSync(node, ['--version'], { encoding: 'utf8' }).trim() : process.version
const [major, minor] = version.slice(1).split('.').map(Number)
if (major < 24 || (major === 24 && minor < 15)) {
  process.stderr.write(
    `latchwork: needs Node 24.15 or newer, found ${version}. No Node package exists for this platform (${process.platform}-${process.arch}); install Node 24 and run this again.\n`,
  )
  process.exit(1)
}

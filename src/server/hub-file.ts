import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** What a running hub leaves in its data folder, so that commands find it. */
export interface HubFile {
  readonly url: string
  readonly pid: number
  readonly startedAtMs: number
  /** Of a hub that speaks TLS: what it shows, by which commands on its machine know that it is it. PEM. */
  readonly certificate?: string
}

export const hubFilePath = (dataDir: string): string => join(dataDir, 'hub.json')
export const statePath = (dataDir: string): string => join(dataDir, 'state.db')
export const runsPath = (dataDir: string): string => join(dataDir, 'flows.db')
export const journalFolder = (dataDir: string): string => join(dataDir, 'journal')

/** Readable by its owner only: it says where the hub listens. Written aside and renamed, so that nobody reads half of it. */
export function writeHubFile(dataDir: string, file: HubFile): void {
  mkdirSync(dataDir, { recursive: true })
  const path = hubFilePath(dataDir)
  writeFileSync(`${path}.new`, `${JSON.stringify(file)}\n`, { mode: 0o600 })
  renameSync(`${path}.new`, path)
}

/** Removes the file, unless another hub has written its own meanwhile. */
export function removeHubFile(dataDir: string, pid: number): void {
  if (readHubFile(dataDir)?.pid === pid) rmSync(hubFilePath(dataDir), { force: true })
}

/** The file as it stands, whether that hub still runs or not; null when there is none. */
export function readHubFile(dataDir: string): HubFile | null {
  try {
    const file = JSON.parse(readFileSync(hubFilePath(dataDir), 'utf8')) as Partial<HubFile>
    if (typeof file.url !== 'string' || typeof file.pid !== 'number') return null
    const certificate = typeof file.certificate === 'string' ? { certificate: file.certificate } : {}
    return { url: file.url, pid: file.pid, startedAtMs: file.startedAtMs ?? 0, ...certificate }
  } catch {
    return null
  }
}

/** Whether the process that wrote the file is still there. A hub that was killed leaves its file behind. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

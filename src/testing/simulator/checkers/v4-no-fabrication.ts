import type { Oracle } from '../oracle.ts'

/** V4: every value that the hub wrote was put into that field by someone, and none takes the place of one that is known to supersede it. */
export function checkFabrication(oracle: Oracle): string | null {
  const finding = oracle.fabricated[0] ?? oracle.older[0]
  if (finding === undefined) return null
  const { version, text } = finding
  return `${version.hub?.op} wrote at ${version.atMs} ms into ${finding.path} of ${version.app} ${version.nativeId}: ${text}`
}

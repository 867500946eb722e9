import type { EntityModel, Policy } from '../model/entity.ts'
import type { AppId } from '../model/ids.ts'
import { type Path, splitPartPath } from '../model/value.ts'

/** One side of a conflict: who says so, since when. */
export interface Claim {
  readonly app: AppId
  readonly timeMs: number
}

/** The policy of a path: of its field, of its part's field (`lines.qty`), or the entity's default. */
export function policyOf(entity: EntityModel, path: Path): Policy {
  const direct = entity.policies[path]
  if (direct !== undefined) return direct
  const inPart = splitPartPath(path)
  if (inPart === undefined) return entity.policyDefault
  return (
    (inPart.field === '' ? undefined : entity.policies[`${inPart.part}.${inPart.field}`]) ??
    entity.policies[inPart.part] ??
    entity.policyDefault
  )
}

/**
 * Whether the incoming claim stands against the current one, when both sides changed a field: a named app first (`prefer`), else the later source time
 * outside the skew bound, else app rank, else app name. Total and deterministic; an app never loses against itself.
 */
export function incomingWins(entity: EntityModel, policy: Policy, incoming: Claim, current: Claim): boolean {
  if (incoming.app === current.app) return true
  if (policy.kind === 'prefer') {
    const left = rankIn(policy.apps, incoming.app)
    const right = rankIn(policy.apps, current.app)
    if (left !== right) return left < right
  }
  const skewMs = policy.kind === 'latest' ? policy.skewMs : 0
  const delta = incoming.timeMs - current.timeMs
  if (delta > skewMs) return true
  if (delta < -skewMs) return false
  const left = entity.bindings.get(incoming.app)?.rank ?? Number.MAX_SAFE_INTEGER
  const right = entity.bindings.get(current.app)?.rank ?? Number.MAX_SAFE_INTEGER
  return left !== right ? left < right : incoming.app < current.app
}

function rankIn(apps: readonly AppId[], app: AppId): number {
  const at = apps.indexOf(app)
  return at < 0 ? apps.length : at
}

/** The name of a policy for the conflict log. */
export const policyName = (policy: Policy): string =>
  policy.kind === 'prefer' ? `prefer(${policy.apps.join(', ')})` : policy.kind

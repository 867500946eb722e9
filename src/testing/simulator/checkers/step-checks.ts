import { type CanonicalKey, correlationOf } from '../../../model/ids.ts'
import type { WriteOp } from '../../../ports/app.ts'
import type { AppNode } from '../app-node.ts'
import type { World } from '../world.ts'

/**
 * Judged at the moment when a request leaves the hub, from outside it: no write without its durable intent, at most one request per record and application under
 * way, conditional wherever the application has conditions, and no larger batch than it takes.
 */
export function sendingChecks(
  node: AppNode,
  world: World,
): { leaves(ops: readonly WriteOp[]): void; returned(ops: readonly WriteOp[]): void } {
  const { app, capabilities } = node.app.profile
  const underWay = new Set<string>()
  const sent = new Set<string>()
  let calls = 0
  return {
    leaves(ops) {
      if (ops.length > capabilities.batchMax)
        world.fail('batch', `${app} takes ${capabilities.batchMax} writes a call, was given ${ops.length}`)
      // A slot is a write, so calls of several writes are fewer than that.
      if (++calls > capabilities.concurrency * capabilities.batchMax)
        world.fail('batch', `${app} has ${calls} calls under way`)
      for (const op of ops) {
        checkIntent(node, world, op)
        if (op.nativeId !== null)
          node.noteFollowed(op.object, op.nativeId, world.stored.get(keyOf(op))?.lanes[app]?.token ?? null)
        checkFreshness(node, world, op)
        if (underWay.has(keyOf(op)))
          world.fail('one-open-write', `${app} has two writes of ${keyOf(op)} under way, the second is ${op.op}`)
        underWay.add(keyOf(op))
        if (sent.has(op.op) && !op.resend)
          world.fail('one-open-write', `${op.op} left for ${app} a second time, although it was not in doubt`)
        sent.add(op.op)
        if (world.isQuiet) world.history.writesAfterQuiet.push({ app, op: op.op, atMs: world.clock.monotonicMs() })
      }
    },
    returned(ops) {
      calls--
      for (const op of ops) underWay.delete(keyOf(op))
    },
  }
}

const keyOf = (op: WriteOp): CanonicalKey => correlationOf(op.correlationId).key

/** The window of a blind write is the round trip of one read: longer ago than this is not right before it. */
const FRESH_MS = 500

/** Where an application takes no conditions and keeps no log, the record is read right before it is written. */
function checkFreshness(node: AppNode, world: World, op: WriteOp): void {
  const { app, capabilities } = node.app.profile
  const isBlind = capabilities.condition === 'C0' && capabilities.feed !== 'F3' && capabilities.read === 'R2'
  if (!isBlind || op.kind === 'create' || op.resend) return
  const sinceMs = world.clock.monotonicMs() - FRESH_MS
  const { reads } = world.history
  for (let i = reads.length - 1; i >= 0; i--) {
    const read = reads[i] as (typeof reads)[number]
    if (read.receivedAtMs < sinceMs) break
    if (read.app === app && read.nativeId === op.nativeId && read.object === op.object) return
  }
  world.fail(
    'fresh-read',
    `${op.op} (${op.kind}) left for ${app} blindly, and the record had not been read right before`,
  )
}

function checkIntent(node: AppNode, world: World, op: WriteOp): void {
  const { app, capabilities } = node.app.profile
  const intent = world.stored.get(keyOf(op))?.lanes[app]?.intent
  if (intent?.op !== op.op) {
    world.fail(
      'durable-intent',
      `${op.op} left for ${app}, but the store holds ${intent?.op ?? 'no intent'} for that lane`,
    )
  }
  const isByToken =
    capabilities.condition === 'C2' && capabilities.conditionOn !== 'patch' && capabilities.token !== 'T0'
  if (isByToken && op.kind !== 'create' && op.baseToken === null) {
    world.fail(
      'conditional-write',
      `${op.op} (${op.kind}) left for ${app} without a base token, although ${app} takes conditions`,
    )
  }
}

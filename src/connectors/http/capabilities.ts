import type { Capabilities } from '../../model/capabilities.ts'
import type { HttpAppOptions, HttpResource } from './options.ts'

/**
 * What one resource of an HTTP application offers, read off its declaration. A webhook counts as F2: its sender is expected to resend until we
 * acknowledge; where it does not, a reconcile is what finds the lost ones. One op a call, because every op is a request of its own: the slowest must
 * not hold back the outcomes of the others.
 */
export function httpCapabilities(
  app: Pick<HttpAppOptions, 'connectionsMax' | 'fenceMs'>,
  resource: HttpResource,
): Capabilities {
  return {
    feed: resource.notify !== null ? 'F2' : resource.poll !== null ? 'F1' : 'none',
    token: resource.version === null ? 'T0' : resource.version.ordered ? 'T2' : 'T1',
    condition: resource.conditional && resource.version !== null ? 'C2' : 'C0',
    create: resource.idempotency !== 'none' ? 'K2' : resource.externalId?.findParam != null ? 'K1' : 'K0',
    mark: 'M0',
    image: resource.notify !== null ? (resource.notify.idOnly ? 'I0' : 'I2') : resource.poll !== null ? 'I2' : 'I0',
    read: resource.read,
    correlation: resource.externalId !== null,
    idempotency: resource.idempotency,
    reply: {
      token: resource.version !== null && (resource.version.in === 'etag' || resource.replyImage),
      image: resource.replyImage,
    },
    batchMax: 1,
    concurrency: app.connectionsMax,
    atomicGroups: false,
    fenceMs: app.fenceMs,
  }
}

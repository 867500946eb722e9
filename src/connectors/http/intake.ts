import { SyncError } from '../../errors/index.ts'
import { parseJson } from '../../formats/index.ts'
import type { Change } from '../../model/change.ts'
import { type AppId, asNativeId, asToken } from '../../model/ids.ts'
import type { NativeData, NativeRecord } from '../../model/value.ts'
import type { Accepted, RawReply, RawRequest } from '../../ports/app.ts'
import type { HttpResource, HttpWebhook } from './options.ts'
import { compilePath, compilePlace, etagText, idText, timeMs, tokenText } from './place.ts'
import { createVerifier } from './verify.ts'

/** What a record says about itself, wherever it came from: a push, a read, a poll. */
export interface RecordFacts {
  readonly token?: Change['token'] & {}
  readonly correlationId?: string
  readonly sourceTimeMs?: number
}

/** Reads the facts of one resource's records; `etag` is the header of the message that carried the record. */
export function createFactsReader(
  resource: HttpResource,
): (record: NativeRecord, etag: string | undefined) => RecordFacts {
  const { version, externalId, updatedAt } = resource
  const versionOf = version?.in === 'field' ? compilePath(version.field) : null
  const correlationOf = externalId === null ? null : compilePath(externalId.field)
  const timeOf = updatedAt === null ? null : compilePath(updatedAt)
  return (record, etag) => {
    const facts: { -readonly [K in keyof RecordFacts]: RecordFacts[K] } = {}
    if (version !== null) {
      const raw = versionOf !== null ? versionOf(record) : etag === undefined ? undefined : etagText(etag)
      const text = tokenText(raw, version.ordered)
      if (text !== undefined) facts.token = asToken(text)
      else if (raw !== undefined && raw !== null)
        throw new SyncError(
          'intake.shape',
          `the version of a ${resource.object} is not a decimal number, which an ordered one must be`,
        )
    }
    const correlation = correlationOf?.(record)
    if (typeof correlation === 'string' && correlation !== '') facts.correlationId = correlation
    const time = timeOf === null ? undefined : timeMs(timeOf(record))
    if (time !== undefined) facts.sourceTimeMs = time
    return facts
  }
}

/** One webhook of one resource: from a raw request to the changes that it tells. Pure but for the time passed in. */
export function createIntake(
  app: AppId,
  resource: HttpResource,
  webhook: HttpWebhook,
): (request: RawRequest, nowMs: number) => Accepted {
  const verify = createVerifier(webhook.verify, webhook.path)
  const recordAt = compilePath(webhook.record)
  const idOf = compilePath(resource.id)
  const factsOf = createFactsReader(resource)
  const deliveryAt = webhook.deliveryId === null ? null : compilePlace(webhook.deliveryId)
  const deletedAt = webhook.deleted === null ? null : compilePlace(webhook.deleted.place)
  const reply: RawReply = { status: webhook.ackStatus, headers: {}, body: '' }

  const refused = (why: string): SyncError =>
    new SyncError(
      'intake.shape',
      `the body of a request to ${webhook.path} is JSON, but ${why}. Compare one real body with the binding.`,
      {
        place: { app, object: resource.object, path: webhook.path },
      },
    )

  const changeOf = (
    request: RawRequest,
    body: NativeData,
    element: unknown,
    index: number,
    isArray: boolean,
  ): Change => {
    const isDeleted = deletedAt !== null && isOneOf(deletedAt(request, body, element).value, webhook.deleted?.equals)
    const where = isArray ? ` (element ${index})` : ''
    // A deletion often says nothing but the id, which then stands in the envelope.
    const record = isRecord(element) ? element : isDeleted && element == null && isRecord(body) ? body : undefined
    const id = record === undefined ? (webhook.idOnly ? element : undefined) : idOf(record)
    const nativeId = idText(id, resource.idType)
    if (nativeId === undefined) {
      throw refused(
        record === undefined && !webhook.idOnly
          ? `there is no object at \`${webhook.record}\`${where}`
          : `the id \`${resource.id}\`${where} is missing or is not ${resource.idType === 'number' ? 'an integer' : 'a text or number of 1 to 512 characters'}`,
      )
    }
    const delivery = deliveryAt?.(request, body, element)
    const deliveryId = delivery === undefined ? undefined : idText(delivery.value, 'text')
    const base = {
      app,
      object: resource.object,
      nativeId: asNativeId(nativeId),
      ...(deliveryId === undefined
        ? {}
        : { deliveryId: isArray && delivery?.fromEnvelope ? `${deliveryId}/${index}` : deliveryId }),
    }
    if (webhook.idOnly || record === undefined) return { ...base, kind: 'hint' }
    const facts = factsOf(record, request.headers.etag)
    return isDeleted ? { ...base, kind: 'deleted', ...facts } : { ...base, kind: 'image', record, ...facts }
  }

  return (request, nowMs) => {
    verify(request, nowMs)
    checkContentType(request, webhook.path)
    const body = parseJson(request.body)
    const found = recordAt(body)
    if (!Array.isArray(found)) return { changes: [changeOf(request, body, found, 0, false)], reply }
    return { changes: found.map((element, index) => changeOf(request, body, element, index, true)), reply }
  }
}

const isRecord = (data: unknown): data is NativeRecord =>
  typeof data === 'object' && data !== null && !Array.isArray(data)

const isOneOf = (value: unknown, accepted: readonly (string | boolean)[] | undefined): boolean =>
  (typeof value === 'string' || typeof value === 'boolean') && accepted !== undefined && accepted.includes(value)

/** JSON by its name; a sender that names no type at all is taken at its word. Another charset than UTF-8 would be read wrongly. */
const jsonType = /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i
const foreignCharset = /;\s*charset\s*=\s*"?(?!utf-?8\b|us-ascii\b)/i

function checkContentType(request: RawRequest, path: string): void {
  const type = request.headers['content-type']
  if (type === undefined || type === 'application/json') return
  if (jsonType.test(type) && !foreignCharset.test(type)) return
  throw new SyncError(
    'intake.unsupported-type',
    `the request to ${path} has the content type ${type.slice(0, 100)}; send application/json in UTF-8.`,
    { place: { path } },
  )
}

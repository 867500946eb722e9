import { type ErrorPart, SyncError } from '../../errors/index.ts'
import { compileFormat, FORMAT_LIMITS, jsonFormat } from '../../formats/index.ts'
import type { Change } from '../../model/change.ts'
import { type AppId, asNativeId, asToken } from '../../model/ids.ts'
import type { NativeData, NativeRecord } from '../../model/value.ts'
import type { Accepted, Listens, RawRequest } from '../../ports/app.ts'
import { createGate, createReply, wsdlReply } from './intake-gate.ts'
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

/** More changes than one transaction of the journal should hold; a sender of more splits its messages. */
const CHANGES_MAX = FORMAT_LIMITS.documentsMax
/** Failing documents that are named in a refusal; the sender corrects these and sees the next. */
const PARTS_NAMED_MAX = 50

/** One webhook of one resource: from a raw request to the changes that it tells. Pure but for the time passed in. */
export function createIntake(
  app: AppId,
  resource: HttpResource,
  webhook: HttpWebhook,
): (request: RawRequest, nowMs: number) => Accepted {
  const verify = createVerifier(webhook.verify, webhook.path)
  const format = webhook.format === undefined ? jsonFormat : compileFormat(webhook.format)
  const listAt = webhook.list === undefined ? null : compilePath(webhook.list)
  const recordAt = compilePath(webhook.record)
  const idOf = compilePath(resource.id)
  const factsOf = createFactsReader(resource)
  const deliveryAt = webhook.deliveryId === null ? null : compilePlace(webhook.deliveryId, listAt !== null)
  const deletedAt = webhook.deleted === null ? null : compilePlace(webhook.deleted.place, listAt !== null)
  const idAt = webhook.id === undefined ? null : compilePlace(webhook.id)
  const waits =
    webhook.reply === undefined
      ? {}
      : { waits: { apps: webhook.reply.apps as readonly AppId[] | null, timeoutMs: webhook.reply.timeoutMs } }
  const gate = createGate(webhook)
  const replyTo = createReply(webhook, format)

  const refused = (why: string): SyncError =>
    new SyncError(
      'intake.shape',
      `the body of a request to ${webhook.path} is well-formed, but ${why}. Compare one real body with the binding.`,
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
    const found = listAt === null ? element : recordAt(element)
    // A deletion often says nothing but the id, which then stands in the envelope.
    const around = listAt === null ? body : (element as NativeData)
    const record = isRecord(found) ? found : isDeleted && found == null && isRecord(around) ? around : undefined
    const id =
      idAt !== null
        ? idAt(request, body, element).value
        : record === undefined
          ? webhook.idOnly
            ? found
            : undefined
          : idOf(record)
    const nativeId = idText(id, resource.idType)
    if (nativeId === undefined) {
      throw refused(
        record === undefined && !webhook.idOnly && idAt === null
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

  /** One change each, or a refusal of them all that names those which failed: they are acknowledged together. */
  const changesOf = (request: RawRequest, body: NativeData, elements: readonly unknown[]): Change[] => {
    if (elements.length > CHANGES_MAX)
      throw new SyncError(
        'intake.too-large',
        `a request to ${webhook.path} holds ${elements.length} records, more than ${CHANGES_MAX}; let the sender send fewer at once.`,
      )
    const changes: Change[] = []
    const failed: ErrorPart[] = []
    for (let index = 0; index < elements.length; index++) {
      try {
        changes.push(changeOf(request, body, elements[index], index, true))
      } catch (error) {
        if (!SyncError.is(error) || error.handling !== 'park') throw error
        if (failed.length < PARTS_NAMED_MAX) failed.push({ index, code: error.code, message: error.message })
      }
    }
    const [first] = failed
    if (first === undefined) return changes
    throw new SyncError(
      first.code,
      `${elements.length - changes.length} of the ${elements.length} records are not as declared, so none was taken; the first is ${first.index}: ${first.message}`,
      { place: { app, object: resource.object, path: webhook.path }, parts: failed },
    )
  }

  return (request, nowMs) => {
    if (request.method === 'GET') return { changes: [], reply: wsdlReply(request, webhook) }
    verify(request, nowMs)
    const asked = gate.questionIn(request)
    if (asked !== undefined) return { changes: [], reply: asked }
    // One that names its record in the URL or a header needs no body.
    const body =
      idAt !== null && request.body.length === 0
        ? null
        : format.decode(request.body, request.headers, FORMAT_LIMITS).data
    const answer = gate.answerTo(request, body)
    if (answer === 'ignored') return { changes: [], reply: replyTo(request) }
    if (answer !== undefined) return { changes: [], reply: answer }
    const found = listAt === null ? recordAt(body) : listAt(body)
    const changes = Array.isArray(found) ? changesOf(request, body, found) : [changeOf(request, body, found, 0, false)]
    return { changes, reply: replyTo(request), ...waits }
  }
}

const isRecord = (data: unknown): data is NativeRecord =>
  typeof data === 'object' && data !== null && !Array.isArray(data)

const isOneOf = (value: unknown, accepted: readonly (string | boolean)[] | undefined): boolean =>
  (typeof value === 'string' || typeof value === 'boolean') && accepted !== undefined && accepted.includes(value)

/** What a webhook wants to be given, and how its sender is told of a refusal. */
export function listensOf(webhook: HttpWebhook): Listens[] {
  const kind = webhook.format?.kind
  const refusals = kind === 'soap' ? 'soap' : kind === 'xml' ? 'problem+xml' : 'problem+json'
  const post: Listens = { method: 'POST', path: webhook.path, refusals }
  const hasWsdl = webhook.format?.kind === 'soap' && webhook.format.requestSchema !== null
  return hasWsdl ? [post, { method: 'GET', path: webhook.path, refusals }] : [post]
}

import { hash, timingSafeEqual } from 'node:crypto'
import { SyncError } from '../../errors/index.ts'
import { type Format, soapAck, wsdlOf } from '../../formats/index.ts'
import type { NativeData } from '../../model/value.ts'
import type { RawReply, RawRequest } from '../../ports/app.ts'
import type { HttpRule, HttpWebhook } from './options.ts'
import { compilePlace } from './place.ts'
import { resolvedText } from './resolved.ts'

/** What a webhook answers before it looks for records: questions of the sender, messages that are not for it, and messages from elsewhere. */
export interface Gate {
  /** The answer to a question that stands in the query or the headers, so that there is no body to read; undefined when there is none. */
  questionIn(request: RawRequest): RawReply | undefined
  /** The answer to a question in the body, or that the message is to be acknowledged only. Throws `intake.unauthenticated` for what was expected and is not there. */
  answerTo(request: RawRequest, body: NativeData): RawReply | 'ignored' | undefined
}

/** A sender that asks whether we are there sends some hundred characters. */
const CHALLENGE_CHARS_MAX = 1_024

export function createGate(webhook: HttpWebhook): Gate {
  const { challenge, expect = [], ignore = [] } = webhook
  const answerAt = challenge === undefined ? null : compilePlace(challenge.answer)
  const isAsked = challenge === undefined || challenge.when === null ? null : compileRule(challenge.when)
  const ignored = ignore.map(compileRule)
  const expected = expect.map(({ place, equals }) => {
    const want = hash('sha256', resolvedText(equals, `what the webhook ${webhook.path} expects`), 'buffer')
    const read = compilePlace(place)
    const name = place.in === 'body' ? place.path : place.name
    return (request: RawRequest, body: NativeData): void => {
      const value = read(request, body, body).value
      if (typeof value === 'string' && timingSafeEqual(hash('sha256', value, 'buffer'), want)) return
      throw new SyncError(
        'intake.unauthenticated',
        `the message to ${webhook.path} does not have the expected ${name}: it comes from another account, or the webhook expects the wrong one.`,
        { place: { path: webhook.path } },
      )
    }
  })
  return {
    questionIn(request) {
      if (challenge === undefined || challenge.answer.in === 'body' || challenge.when?.place.in === 'body')
        return undefined
      if (isAsked !== null && !isAsked(request, null)) return undefined
      return challengeReply(answerAt?.(request, null, null).value)
    },
    answerTo(request, body) {
      for (const check of expected) check(request, body)
      if (isAsked?.(request, body)) return challengeReply(answerAt?.(request, body, body).value)
      return ignored.some((holds) => holds(request, body)) ? 'ignored' : undefined
    },
  }
}

function compileRule(rule: HttpRule): (request: RawRequest, body: NativeData) => boolean {
  const read = compilePlace(rule.place)
  return (request, body) => {
    const { value } = read(request, body, body)
    if (rule.equals === null) return value !== undefined
    return (typeof value === 'string' || typeof value === 'boolean') && rule.equals.includes(value)
  }
}

/** Plain text that no browser takes for anything else: what is answered was chosen by whoever asked. */
function challengeReply(value: unknown): RawReply | undefined {
  if (typeof value !== 'string' || value === '' || value.length > CHALLENGE_CHARS_MAX) return undefined
  return {
    status: 200,
    headers: { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' },
    body: value,
  }
}

/** The acknowledgement, which goes out when the changes are durable: an empty body, or the one that SOAP wants. */
export function createReply(webhook: HttpWebhook, format: Format): (request: RawRequest) => RawReply {
  const { spec } = format
  if (spec.kind !== 'soap') {
    const reply: RawReply = { status: webhook.ackStatus, headers: {}, body: '' }
    return () => reply
  }
  return (request) => {
    const { contentType, body } = format.encode(soapAck(spec), request.headers)
    return { status: 200, headers: { 'content-type': contentType }, body }
  }
}

/** `GET <path>?wsdl`: what a SOAP client needs to know. Not protected: it holds nothing but names, and the tools that fetch it cannot sign. */
export function wsdlReply(request: RawRequest, webhook: HttpWebhook): RawReply {
  const spec = webhook.format
  if (!/^wsdl$/i.test(request.query) || spec?.kind !== 'soap')
    throw new SyncError('intake.method', `${webhook.path} takes POST; GET answers only ${webhook.path}?wsdl.`)
  const url = `http://${request.headers.host ?? 'localhost'}${request.path}`
  return { status: 200, headers: { 'content-type': 'text/xml; charset=utf-8' }, body: wsdlOf(spec, url) }
}

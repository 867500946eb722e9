/** The small part of HTTP that the application needs, over `node:http`: bodies in, JSON and problems out. */

import { isUtf8 } from 'node:buffer'
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { RequestProblem } from './problem.ts'

/** Four times the largest order that the validation lets through. */
const bodyBytesMax = 256 * 1024

export function readBody(request: IncomingMessage): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const chunks: Buffer[] = []
  let bytes = 0
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes <= bodyBytesMax) chunks.push(chunk)
    else reject(tooLarge())
  })
  request.on('end', () => {
    const body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
    if (isUtf8(body)) resolve(body.toString('utf8'))
    else reject(new RequestProblem(400, 'malformed-body', 'The body is not UTF-8.'))
  })
  request.on('error', reject)
  if (Number(request.headers['content-length']) > bodyBytesMax) reject(tooLarge())
  return promise
}

function tooLarge(): RequestProblem {
  return new RequestProblem(413, 'too-large', `A body has ${bodyBytesMax} bytes at most.`, {}, { connection: 'close' })
}

export function parseJsonObject(request: IncomingMessage, text: string): Record<string, unknown> {
  const type = request.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase()
  if (type !== 'application/json' && type !== 'application/merge-patch+json') {
    throw new RequestProblem(415, 'unsupported-media-type', 'Send application/json.')
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new RequestProblem(400, 'malformed-body', 'The body is not JSON.')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new RequestProblem(400, 'malformed-body', 'The body is not a JSON object.')
  }
  return value as Record<string, unknown>
}

export function sendJson(
  response: ServerResponse,
  status: number,
  json: string,
  headers: OutgoingHttpHeaders = {},
): void {
  const length = Buffer.byteLength(json)
  const common = { 'content-type': 'application/json', 'content-length': length, 'cache-control': 'no-store' }
  response.writeHead(status, { ...common, ...headers }).end(json)
}

export function sendProblem(response: ServerResponse, problem: RequestProblem): void {
  const headers = { ...problem.headers, 'content-type': 'application/problem+json' }
  if (response.headersSent) response.destroy()
  else sendJson(response, problem.status, problem.toJson(), headers)
}

/** The revisions of an `If-Match`. A header that this application did not give out is an error of the caller: 400. */
export function parseIfMatch(header: string | undefined): readonly number[] | 'any' | null {
  if (header === undefined) return null
  if (header.trim() === '*') return 'any'
  return header.split(',').map((part) => {
    const match = /^\s*"(\d{1,15})"\s*$/.exec(part)
    if (!match)
      throw new RequestProblem(400, 'malformed-if-match', 'If-Match takes an ETag of this application, such as "17".')
    return Number(match[1])
  })
}

import { createHmac } from 'node:crypto'
import { connect } from 'node:net'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createHttpConnector } from '../connectors/http/connector.ts'
import { FAKE_SECRET, fakeOptions, fakeResource, fakeWebhook, silentLog } from '../connectors/http/fake-driver.ts'
import type { HttpWebhook } from '../connectors/http/options.ts'
import { SyncError } from '../errors/index.ts'
import { systemClock } from '../lib/system-clock.ts'
import { asAppId, asObjectId } from '../model/ids.ts'
import type { Accepted } from '../ports/app.ts'
import { createListener, type Listener } from './listener.ts'

const NOW_MS = 1_800_000_000_000
const BODY_BYTES_MAX = 1_048_576
const clock = { ...systemClock, nowMs: () => NOW_MS }

const hooks: Record<string, Partial<HttpWebhook>> = {
  '/hooks/items': {},
  '/hooks/open': { verify: { kind: 'none' } },
  '/hooks/basic': { verify: { kind: 'basic', user: 'ada', password: 'p:w' } },
  '/hooks/bearer': { verify: { kind: 'bearer', token: 'tok' } },
  '/hooks/key': { verify: { kind: 'api-key', header: 'X-Api-Key', value: 'key' } },
  '/hooks/rotating': {
    verify: {
      ...(fakeWebhook.verify as HttpWebhook['verify'] & { kind: 'hmac' }),
      secrets: ['new', FAKE_SECRET],
      timestamp: null,
    },
  },
  '/hooks/base64': {
    verify: {
      ...(fakeWebhook.verify as HttpWebhook['verify'] & { kind: 'hmac' }),
      algorithm: 'sha512',
      encoding: 'base64',
      prefix: '',
      timestamp: null,
    },
  },
  '/hooks/numbers': { verify: { kind: 'none' } },
}

let listener: Listener
let port = 0
const accepted: Accepted[] = []
let onAccept: (accepted: Accepted) => Promise<void> = async () => {}

beforeAll(async () => {
  const resources = Object.entries(hooks).map(([path, over]) =>
    fakeResource(
      { form: 'A' },
      {
        object: asObjectId(path),
        notify: { ...fakeWebhook, ...over, path },
        idType: path === '/hooks/numbers' ? 'number' : 'text',
      },
    ),
  )
  const options = fakeOptions('http://127.0.0.1:9', fakeResource({ form: 'A' }), { resources })
  const { source } = createHttpConnector(options, { clock, log: silentLog })
  listener = createListener({
    sources: [source],
    onAccept: async (_app, push) => {
      await onAccept(push)
      accepted.push(push)
      return push.reply
    },
    limits: { bodyBytesMax: BODY_BYTES_MAX, headersTimeoutMs: 400, requestTimeoutMs: 800 },
    clock,
    log: silentLog,
  })
  port = (await listener.listen(0, '127.0.0.1')).port
})

afterAll(() => listener.close())

interface Given {
  readonly path?: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

interface Answer {
  readonly status: number
  readonly code: string | null
  readonly head: string
}

/** Writes raw bytes and gives what came back; never more than `waitMs`. */
function speak(bytes: readonly (string | Uint8Array)[], waitMs = 5_000): Promise<Answer> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    let text = ''
    const finish = (): void => {
      clearTimeout(timer)
      socket.destroy()
      const [head = '', body = ''] = text.split(/\r\n\r\n/, 2)
      const code = /"code":"([^"]+)"/.exec(body)?.[1] ?? null
      resolve({ status: Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 0), code, head })
    }
    const timer = setTimeout(finish, waitMs)
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      const length = /content-length: (\d+)/i.exec(text)
      const bodyAt = text.indexOf('\r\n\r\n')
      if (
        bodyAt >= 0 &&
        !/^HTTP\/1\.1 100/.test(text) &&
        (length === null || text.length >= bodyAt + 4 + Number(length[1]))
      )
        finish()
    })
    socket.on('error', finish)
    socket.on('close', finish)
    for (const part of bytes) socket.write(part)
  })
}

function send(given: Given): Promise<Answer> {
  const body = Buffer.from(given.body ?? '')
  const headers = {
    host: 'hub',
    'content-type': 'application/json',
    'content-length': String(body.length),
    ...given.headers,
  }
  const lines = Object.entries(headers)
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `${name}: ${value}\r\n`)
  return speak([`${given.method ?? 'POST'} ${given.path ?? '/hooks/open'} HTTP/1.1\r\n${lines.join('')}\r\n`, body])
}

const good = '{"event":"item.changed","eventId":"e1","data":{"id":"7","rev":3,"name":"Ada"}}'
const sign = (body: string | Uint8Array, given: { secret?: string; atMs?: number; stamp?: string } = {}) => {
  const stamp = given.stamp ?? String(Math.floor((given.atMs ?? NOW_MS) / 1000))
  const mac = createHmac('sha256', given.secret ?? FAKE_SECRET)
    .update(`${stamp}.`)
    .update(body)
    .digest('hex')
  return { 'x-timestamp': stamp, 'x-signature': `sha256=${mac}` }
}
const signed = (body: string, given: Parameters<typeof sign>[1] = {}): Given => ({
  path: '/hooks/items',
  body,
  headers: sign(body, given),
})
const plain = (body: string, secret: string) => `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`
const record = (json: string): string => `{"data":${json}}`
const ok = 202

/** [what is sent, the request, status, code]. A null code: accepted. */
const cases: readonly (readonly [string, Given, number, string | null])[] = [
  ['a good push', { body: good }, ok, null],
  ['no content type at all', { body: good, headers: { 'content-type': '' } }, ok, null],
  [
    'a +json content type',
    { body: good, headers: { 'content-type': 'application/cloudevents+json; charset=UTF-8' } },
    ok,
    null,
  ],
  ['an array of records', { body: '{"data":[{"id":1},{"id":2}]}' }, ok, null],
  ['an empty array', { body: '{"data":[]}' }, ok, null],
  ['a UTF-8 byte order mark', { body: Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(good)]) }, ok, null],

  ['an empty body', { body: '' }, 400, 'intake.malformed'],
  ['a truncated object', { body: good.slice(0, -1) }, 400, 'intake.malformed'],
  ['a truncated string', { body: '{"data":{"id":"7' }, 400, 'intake.malformed'],
  ['text behind the end', { body: `${good} x` }, 400, 'intake.malformed'],
  ['two documents', { body: `${good}\n${good}` }, 400, 'intake.malformed'],
  ['a trailing comma', { body: '{"data":{"id":7,}}' }, 400, 'intake.malformed'],
  ['single quotes', { body: "{'data':{'id':7}}" }, 400, 'intake.malformed'],
  ['a comment', { body: '{"data":{"id":7} /* hi */}' }, 400, 'intake.malformed'],
  ['NaN', { body: record('{"id":NaN}') }, 400, 'intake.malformed'],
  ['a leading zero', { body: record('{"id":007}') }, 400, 'intake.malformed'],
  ['a leading plus', { body: record('{"id":+7}') }, 400, 'intake.malformed'],
  ['a raw control character in a string', { body: record('{"id":"a\u0001b"}') }, 400, 'intake.malformed'],
  ['a raw NUL', { body: '{"data":\u0000{"id":7}}' }, 400, 'intake.malformed'],
  ['a bad escape', { body: record('{"id":"\\x41"}') }, 400, 'intake.malformed'],
  ['XML', { body: '<data id="7"/>' }, 400, 'intake.malformed'],
  ['a form', { body: 'data=7' }, 400, 'intake.malformed'],
  [
    'UTF-16 with a mark',
    { body: Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(good, 'utf16le')]) },
    400,
    'intake.malformed',
  ],
  ['UTF-16 without a mark', { body: Buffer.from(good, 'utf16le') }, 400, 'intake.malformed'],
  ['overlong UTF-8', { body: Buffer.from([0x22, 0xc0, 0xaf, 0x22]) }, 400, 'intake.malformed'],
  ['UTF-8 that encodes a surrogate', { body: Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]) }, 400, 'intake.malformed'],
  ['UTF-8 cut in a character', { body: Buffer.from(record('{"id":"é"}')).subarray(0, 15) }, 400, 'intake.malformed'],
  ['Latin-1', { body: Buffer.from(record('{"id":"é"}'), 'latin1') }, 400, 'intake.malformed'],
  ['a lone surrogate escape', { body: record('{"id":"7","name":"\\ud800"}') }, 400, 'intake.malformed'],
  ['a lone surrogate in a key', { body: record('{"id":"7","\\udc00":1}') }, 400, 'intake.malformed'],
  ['a surrogate pair escape', { body: record('{"id":"7","name":"\\ud83d\\ude00"}') }, ok, null],
  ['100,000 open arrays', { body: '['.repeat(100_000) }, 400, 'intake.malformed'],
  ['100,000 nested objects', { body: `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}` }, 400, 'intake.malformed'],
  [
    'a well-formed array 257 deep',
    { body: record(`{"id":1,"x":${'['.repeat(257)}${']'.repeat(257)}}`) },
    400,
    'intake.malformed',
  ],
  ['300 brackets inside a string', { body: record(`{"id":1,"x":"${'['.repeat(300)}"}`) }, ok, null],
  ['100,000 flat elements', { body: record(`{"id":1,"x":[${'0,'.repeat(99_999)}0]}`) }, ok, null],

  ['a body that is null', { body: 'null' }, 422, 'intake.shape'],
  ['a body that is a number', { body: '7' }, 422, 'intake.shape'],
  ['a record that is not there', { body: '{"other":{"id":7}}' }, 422, 'intake.shape'],
  ['a record that is text', { body: record('"7"') }, 422, 'intake.shape'],
  ['a record without an id', { body: record('{"name":"x"}') }, 422, 'intake.shape'],
  ['an id that is null', { body: record('{"id":null}') }, 422, 'intake.shape'],
  ['an id that is empty', { body: record('{"id":""}') }, 422, 'intake.shape'],
  ['an id that is an object', { body: record('{"id":{"x":1}}') }, 422, 'intake.shape'],
  ['an id that is an array', { body: record('{"id":["7"]}') }, 422, 'intake.shape'],
  ['an id that is true', { body: record('{"id":true}') }, 422, 'intake.shape'],
  ['an id of 513 characters', { body: record(`{"id":"${'x'.repeat(513)}"}`) }, 422, 'intake.shape'],
  ['an id of 512 characters', { body: record(`{"id":"${'x'.repeat(512)}"}`) }, ok, null],
  ['an id with a NUL', { body: record('{"id":"a\\u0000b"}') }, 422, 'intake.shape'],
  ['one bad element in an array', { body: '{"data":[{"id":1},{"no":2}]}' }, 422, 'intake.shape'],
  ['an ordered version that is text', { body: record('{"id":7,"rev":"new"}') }, 422, 'intake.shape'],
  ['an ordered version that is negative', { body: record('{"id":7,"rev":-1}') }, 422, 'intake.shape'],
  ['an integer id of 1e400', { path: '/hooks/numbers', body: record('{"id":1e400}') }, 422, 'intake.shape'],
  ['an integer id with a fraction', { path: '/hooks/numbers', body: record('{"id":1.5}') }, 422, 'intake.shape'],
  ['an id inherited by a prototype', { body: record('{"__proto__":{"id":7}}') }, 400, 'intake.forbidden'],
  [
    '__proto__ beside the id',
    { body: record('{"id":7,"__proto__":{"isAdmin":true},"rev":1}') },
    400,
    'intake.forbidden',
  ],
  ['__proto__ by escape', { body: record('{"id":7,"__pr\\u006fto__":{"isAdmin":true}}') }, 400, 'intake.forbidden'],
  [
    'constructor.prototype',
    { body: record('{"id":7,"constructor":{"prototype":{"isAdmin":true}}}') },
    400,
    'intake.forbidden',
  ],
  ['a constructor that is a word', { body: record('{"id":7,"constructor":"Acme Construction"}') }, ok, null],
  ['duplicate keys', { body: record('{"id":"first","id":"last"}') }, 400, 'intake.forbidden'],
  ['duplicate keys, one escaped', { body: record('{"id":"first","\\u0069d":"last"}') }, 400, 'intake.forbidden'],
  ['-0 as an id', { body: record('{"id":-0}') }, ok, null],

  ['a right signature', signed(good), ok, null],
  ['a signature 299 s old', signed(good, { atMs: NOW_MS - 299_000 }), ok, null],
  ['a signature 299 s ahead', signed(good, { atMs: NOW_MS + 299_000 }), ok, null],
  ['a signature 301 s old', signed(good, { atMs: NOW_MS - 301_000 }), 401, 'intake.stale'],
  ['a signature 301 s ahead', signed(good, { atMs: NOW_MS + 301_000 }), 401, 'intake.stale'],
  ['a time in ms', signed(good, { stamp: String(NOW_MS) }), ok, null],
  ['no signature', { path: '/hooks/items', body: good }, 401, 'intake.unauthenticated'],
  ['another secret', signed(good, { secret: 'guess' }), 401, 'intake.unauthenticated'],
  [
    'a body other than the signed one',
    { ...signed(good), body: good.replace('Ada', 'Eve') },
    401,
    'intake.unauthenticated',
  ],
  [
    'the same JSON, written anew',
    { ...signed(good), body: JSON.stringify(JSON.parse(good), null, 1) },
    401,
    'intake.unauthenticated',
  ],
  [
    'another time than the signed one',
    { path: '/hooks/items', body: good, headers: { ...sign(good), 'x-timestamp': '1799999999' } },
    401,
    'intake.unauthenticated',
  ],
  [
    'no time',
    { path: '/hooks/items', body: good, headers: { ...sign(good), 'x-timestamp': '' } },
    401,
    'intake.unauthenticated',
  ],
  ['a time that is signed but no number', signed(good, { stamp: 'soon' }), 401, 'intake.unauthenticated'],
  [
    'a signature without its prefix',
    { path: '/hooks/items', body: good, headers: { ...sign(good), 'x-signature': sign(good)['x-signature'].slice(7) } },
    401,
    'intake.unauthenticated',
  ],
  [
    'half a signature',
    {
      path: '/hooks/items',
      body: good,
      headers: { ...sign(good), 'x-signature': sign(good)['x-signature'].slice(0, 39) },
    },
    401,
    'intake.unauthenticated',
  ],
  [
    'a signature and more',
    { path: '/hooks/items', body: good, headers: { ...sign(good), 'x-signature': `${sign(good)['x-signature']}00` } },
    401,
    'intake.unauthenticated',
  ],
  [
    'two signatures',
    {
      path: '/hooks/items',
      body: good,
      headers: { ...sign(good), 'x-signature': `${sign(good)['x-signature']}, ${sign(good)['x-signature']}` },
    },
    401,
    'intake.unauthenticated',
  ],
  [
    'a signature that is not hex',
    { path: '/hooks/items', body: good, headers: { ...sign(good), 'x-signature': `sha256=${'z'.repeat(64)}` } },
    401,
    'intake.unauthenticated',
  ],
  [
    'malformed JSON with a wrong signature tells only of the signature',
    { path: '/hooks/items', body: '{', headers: sign('x') },
    401,
    'intake.unauthenticated',
  ],
  ['malformed JSON, rightly signed', signed('{'), 400, 'intake.malformed'],
  [
    'the new secret of a rotation',
    { path: '/hooks/rotating', body: good, headers: { 'x-signature': plain(good, 'new') } },
    ok,
    null,
  ],
  [
    'the old secret of a rotation',
    { path: '/hooks/rotating', body: good, headers: { 'x-signature': plain(good, FAKE_SECRET) } },
    ok,
    null,
  ],
  [
    'a third secret',
    { path: '/hooks/rotating', body: good, headers: { 'x-signature': plain(good, 'older') } },
    401,
    'intake.unauthenticated',
  ],
  [
    'SHA-512 in base64',
    {
      path: '/hooks/base64',
      body: good,
      headers: { 'x-signature': createHmac('sha512', FAKE_SECRET).update(good).digest('base64') },
    },
    ok,
    null,
  ],
  ['Basic', { path: '/hooks/basic', body: good, headers: { authorization: `basic ${btoa('ada:p:w')}` } }, ok, null],
  [
    'Basic with a wrong password',
    { path: '/hooks/basic', body: good, headers: { authorization: `Basic ${btoa('ada:p')}` } },
    401,
    'intake.unauthenticated',
  ],
  ['a bearer token', { path: '/hooks/bearer', body: good, headers: { authorization: 'Bearer tok' } }, ok, null],
  [
    'the token without its scheme',
    { path: '/hooks/bearer', body: good, headers: { authorization: 'tok' } },
    401,
    'intake.unauthenticated',
  ],
  ['an API key', { path: '/hooks/key', body: good, headers: { 'x-api-key': 'key' } }, ok, null],
  [
    'a longer API key',
    { path: '/hooks/key', body: good, headers: { 'x-api-key': 'key2' } },
    401,
    'intake.unauthenticated',
  ],

  [
    'a form content type',
    { body: good, headers: { 'content-type': 'application/x-www-form-urlencoded' } },
    415,
    'intake.unsupported-type',
  ],
  ['text/plain', { body: good, headers: { 'content-type': 'text/plain' } }, 415, 'intake.unsupported-type'],
  [
    'a foreign charset',
    { body: good, headers: { 'content-type': 'application/json; charset=utf-16' } },
    415,
    'intake.unsupported-type',
  ],
  ['an unknown coding', { body: good, headers: { 'content-encoding': 'zstd' } }, 415, 'intake.unsupported-type'],
  [
    'a nested coding',
    { body: gzipSync(gzipSync(good)), headers: { 'content-encoding': 'gzip, gzip' } },
    415,
    'intake.unsupported-type',
  ],
  ['gzip', { body: gzipSync(good), headers: { 'content-encoding': 'gzip' } }, ok, null],
  ['deflate', { body: deflateSync(good), headers: { 'content-encoding': 'deflate' } }, ok, null],
  ['brotli', { body: brotliCompressSync(good), headers: { 'content-encoding': 'br' } }, ok, null],
  [
    'gzip of signed JSON: the signature is of the JSON',
    { path: '/hooks/items', body: gzipSync(good), headers: { ...sign(good), 'content-encoding': 'gzip' } },
    ok,
    null,
  ],
  [
    'a gzip bomb',
    { body: gzipSync(Buffer.alloc(50_000_000)), headers: { 'content-encoding': 'gzip' } },
    413,
    'intake.too-large',
  ],
  [
    'a brotli bomb',
    { body: brotliCompressSync(Buffer.alloc(50_000_000)), headers: { 'content-encoding': 'br' } },
    413,
    'intake.too-large',
  ],
  [
    'a bomb under the size limit, over the ratio',
    { body: gzipSync(Buffer.alloc(500_000, 32)), headers: { 'content-encoding': 'gzip' } },
    413,
    'intake.too-large',
  ],
  [
    'gzip that breaks off',
    { body: gzipSync(good).subarray(0, 40), headers: { 'content-encoding': 'gzip' } },
    400,
    'intake.malformed',
  ],
  ['gzip that is not', { body: good, headers: { 'content-encoding': 'gzip' } }, 400, 'intake.malformed'],

  ['50 MB', { body: Buffer.alloc(50_000_000, 32) }, 413, 'intake.too-large'],
  ['a declared length of 50 MB', { body: good, headers: { 'content-length': '50000000' } }, 413, 'intake.too-large'],
  [
    'a length beyond all numbers',
    { body: good, headers: { 'content-length': '99999999999999999999999' } },
    400,
    'intake.not-http',
  ],
  ['GET on a webhook', { method: 'GET', headers: { 'content-length': '' } }, 405, 'intake.method'],
  ['PUT on a webhook', { method: 'PUT', body: good }, 405, 'intake.method'],
  ['an unknown path', { path: '/hooks/none', body: good }, 404, 'intake.unknown-path'],
  ['a path with a slash more', { path: '/hooks/open/', body: good }, 404, 'intake.unknown-path'],
  ['a path that climbs', { path: '/hooks/../hooks/open', body: good }, 404, 'intake.unknown-path'],
  ['a query beside the path', { path: '/hooks/open?x=1', body: good }, ok, null],
  ['__proto__ as a path', { path: '/__proto__', body: good }, 404, 'intake.unknown-path'],
  ['1 MB of header', { body: good, headers: { 'x-signature': 'a'.repeat(1_000_000) } }, 431, 'intake.not-http'],
  ['a header of 20,000', { body: good, headers: { 'x-pad': 'a'.repeat(20_000) } }, 431, 'intake.not-http'],
]

describe('bad input at the edge', () => {
  test.each(cases)('%s', async (_what, given, status, code) => {
    const before = accepted.length
    const answer = await send(given)
    expect([answer.status, answer.code]).toEqual([status, code])
    if (code !== null) expect(answer.head.toLowerCase()).toContain('content-type: application/problem+json')
    if (code !== null && code !== 'intake.malformed') expect(accepted.length).toBe(before)
    expect((await send({ body: good })).status).toBe(ok)
    expect((Object.prototype as Record<string, unknown>).isAdmin).toBe(undefined)
  })

  const post = 'POST /hooks/open HTTP/1.1\r\nhost: hub\r\ncontent-type: application/json\r\n'
  const raw: readonly (readonly [string, string, number])[] = [
    ['two different lengths', `${post}content-length: 5\r\ncontent-length: 80\r\n\r\n${good}`, 400],
    [
      'a length and chunks',
      `${post}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{"a":\r\n0\r\n\r\n`,
      400,
    ],
    ['a negative length', `${post}content-length: -1\r\n\r\n`, 400],
    ['a length that is no number', `${post}content-length: ten\r\n\r\n`, 400],
    ['a broken chunk size', `${post}transfer-encoding: chunked\r\n\r\nzz\r\n`, 400],
    ['another transfer coding last', `${post}transfer-encoding: gzip\r\n\r\n`, 400],
    ['no HTTP at all', 'hello\r\n\r\n', 400],
    ['a TLS hello', '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003', 400],
    ['no host', 'POST /hooks/open HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}', 400],
    ['a folded header', `${post}x-a: b\r\n c\r\ncontent-length: 2\r\n\r\n{}`, 400],
    ['a NUL in a header', `${post}x-a: \u0000\r\ncontent-length: 2\r\n\r\n{}`, 400],
    ['a space in the path', 'POST /hooks/ open HTTP/1.1\r\nhost: hub\r\n\r\n', 400],
    ['HTTP/3.0', 'POST /hooks/open HTTP/3.0\r\nhost: hub\r\n\r\n', 400],
  ]
  test.each(raw)('%s', async (_what, bytes, status) => {
    const before = accepted.length
    expect((await speak([Buffer.from(bytes, 'latin1')])).status).toBe(status)
    expect(accepted.length).toBe(before)
    expect((await send({ body: good })).status).toBe(ok)
  })

  test('chunks that grow beyond the limit are refused without being read to their end', async () => {
    const chunk = Buffer.concat([Buffer.from('10000\r\n'), Buffer.alloc(65_536, 32), Buffer.from('\r\n')])
    const answer = await speak([
      `${post}transfer-encoding: chunked\r\n\r\n`,
      ...Array.from({ length: 40 }, () => chunk),
    ])
    expect([answer.status, answer.code]).toEqual([413, 'intake.too-large'])
  })

  test('a sender that asks first (Expect: 100-continue) is refused before it sends', async () => {
    const refused = await speak([`${post}expect: 100-continue\r\ncontent-length: 50000000\r\n\r\n`])
    expect([refused.status, refused.code]).toEqual([413, 'intake.too-large'])
    const taken = await speak([`${post}expect: 100-continue\r\ncontent-length: ${good.length}\r\n\r\n`], 300)
    expect(taken.status).toBe(100)
  })

  test('headers and bodies that do not come in time end as time-outs', async () => {
    const [headers, body] = await Promise.all([
      speak(['POST /hooks/open HTTP/1.1\r\nhost: hub\r\n']),
      speak([`${post}content-length: 100\r\n\r\n{"data":`]),
    ])
    expect([headers.status, headers.code]).toEqual([408, 'intake.timeout'])
    expect([body.status, body.code]).toEqual([408, 'intake.timeout'])
  })

  test('a connection that is cut anywhere disturbs nothing', async () => {
    const bytes = Buffer.from(`${post}content-length: ${good.length}\r\n\r\n${good}`)
    for (let cut = 1; cut < bytes.length; cut += 17) {
      await new Promise<void>((resolve) => {
        const socket = connect(port, '127.0.0.1', () => {
          socket.write(bytes.subarray(0, cut))
          socket.resetAndDestroy()
        })
        socket.on('close', () => resolve())
        socket.on('error', () => {})
      })
    }
    expect((await send({ body: good })).status).toBe(ok)
  })
})

describe('what is accepted', () => {
  const changesOf = async (body: string, path = '/hooks/open') => {
    const before = accepted.length
    expect((await send({ path, body })).status).toBe(ok)
    return accepted[before]?.changes ?? []
  }

  test('ids and numbers lose no digit', async () => {
    const [change] = await changesOf(
      record('{"id":9007199254740993,"a":0.10,"b":12345678901234567890.5,"c":1e400,"d":-0,"e":1e3}'),
    )
    expect(change?.nativeId).toBe('9007199254740993')
    expect(change?.record).toEqual({
      id: 9007199254740993n,
      a: 0.1,
      b: '12345678901234567890.5',
      c: '1e400',
      d: -0,
      e: 1000,
    })
  })

  test('text ids keep their zeros, integer ids their digits', async () => {
    expect((await changesOf(record('{"id":"007"}')))[0]?.nativeId).toBe('007')
    expect((await changesOf(record('{"id":-0}')))[0]?.nativeId).toBe('0')
    expect((await changesOf(record('{"id":18446744073709551616}'), '/hooks/numbers'))[0]?.nativeId).toBe(
      '18446744073709551616',
    )
  })

  test('each element of an array is a change with a delivery id of its own', async () => {
    const changes = await changesOf('{"eventId":"e9","data":[{"id":1,"rev":5,"ref":"K1"},{"id":2}]}')
    expect(
      changes.map(({ nativeId, deliveryId, token, correlationId }) => [nativeId, deliveryId, token, correlationId]),
    ).toEqual([
      ['1', 'e9/0', '5', 'K1'],
      ['2', 'e9/1', undefined, undefined],
    ])
  })

  test('a deletion is told by its rule, also without a record', async () => {
    expect((await changesOf('{"event":"item.deleted","data":{"id":3,"rev":9}}'))[0]).toMatchObject({
      kind: 'deleted',
      nativeId: '3',
      token: '9',
    })
    expect((await changesOf('{"event":"item.deleted","id":4,"data":null}'))[0]).toMatchObject({
      kind: 'deleted',
      nativeId: '4',
    })
  })
})

describe('the acknowledgement', () => {
  test('comes only after the journal has it', async () => {
    let release = (): void => {}
    onAccept = () => new Promise((resolve) => (release = resolve))
    let answered = false
    const pending = send({ body: good }).then((answer) => {
      answered = true
      return answer
    })
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(answered).toBe(false)
    release()
    onAccept = async () => {}
    expect((await pending).status).toBe(ok)
  })

  test('is a refusal with Retry-After while the journal cannot take it, and a plain one for a defect', async () => {
    onAccept = async () => {
      throw new SyncError('journal.full', 'the disk is full', { retryAfterMs: 4_200 })
    }
    const full = await send({ body: good })
    expect([full.status, full.code, /retry-after: (\d+)/i.exec(full.head)?.[1]]).toEqual([503, 'journal.full', '5'])
    onAccept = async () => {
      throw new TypeError('secret internals')
    }
    const bug = await send({ body: good })
    expect([bug.status, bug.code]).toEqual([500, 'internal.bug'])
    onAccept = async () => {}
  })
})

describe('the front', () => {
  const open = async (admin?: (request: Request) => Response | Promise<Response>) => {
    const { source } = createHttpConnector(
      fakeOptions(
        'http://127.0.0.1:9',
        fakeResource({ form: 'A' }, { notify: { ...fakeWebhook, verify: { kind: 'none' } } }),
      ),
      { clock, log: silentLog },
    )
    let release: (() => void) | null = null
    const front = createListener({
      sources: [source],
      ...(admin === undefined ? {} : { admin }),
      onAccept: (_app, push) => new Promise((resolve) => (release = () => resolve(push.reply))),
      limits: { bodyBytesMax: 1000, headersTimeoutMs: 1000, requestTimeoutMs: 1000 },
      clock,
      log: silentLog,
    })
    const { port: at } = await front.listen(0, '127.0.0.1')
    return { front, url: `http://127.0.0.1:${at}`, release: () => release?.(), isHeld: () => release !== null }
  }

  test('everything but the webhooks goes to the admin handler, webhooks never', async () => {
    const { front, url, release, isHeld } = await open(
      (request) => new Response(`admin ${request.method} ${new URL(request.url).pathname}`),
    )
    expect(await (await fetch(`${url}/api/status`)).text()).toBe('admin GET /api/status')
    expect(await (await fetch(`${url}/api/flows`, { method: 'POST', body: 'x'.repeat(100) })).text()).toBe(
      'admin POST /api/flows',
    )
    const options = await fetch(`${url}/hooks/items`, { method: 'OPTIONS' })
    expect([options.status, options.headers.get('allow')]).toEqual([204, 'POST, OPTIONS'])
    expect((await fetch(`${url}/hooks/items`, { method: 'HEAD' })).status).toBe(405)
    const push = fetch(`${url}/hooks/items`, {
      method: 'POST',
      body: good,
      headers: { 'content-type': 'application/json' },
    })
    await waitFor(isHeld)
    release()
    expect((await push).status).toBe(ok)
    await front.close()
  })

  test('closing answers what is under way, lets go of idle connections, and twice is once', async () => {
    const { front, url, release, isHeld } = await open()
    await fetch(`${url}/none`)
    const pending = fetch(`${url}/hooks/items`, {
      method: 'POST',
      body: good,
      headers: { 'content-type': 'application/json' },
    })
    await waitFor(isHeld)
    const closed = front.close()
    expect(front.close()).toBe(closed)
    release()
    expect((await pending).status).toBe(ok)
    await closed
    await expect(fetch(`${url}/none`)).rejects.toThrow()
  })

  test('closing does not wait for connections of the admin handler that have had their answer', async () => {
    let answer = (_response: Response): void => {}
    const { front, url } = await open(() => new Promise<Response>((resolve) => (answer = resolve)))
    const pending = fetch(`${url}/api/status`)
    await new Promise((resolve) => setTimeout(resolve, 50))
    const startMs = performance.now()
    const closed = front.close()
    answer(new Response('late'))
    expect(await (await pending).text()).toBe('late')
    await closed
    expect(performance.now() - startMs).toBeLessThan(3_000)
  })

  test('two sources on one path are refused', () => {
    const make = (app: string) =>
      createHttpConnector(
        { ...fakeOptions('http://127.0.0.1:9', fakeResource({ form: 'A' })), app: asAppId(app) },
        { clock, log: silentLog },
      ).source
    const limits = { bodyBytesMax: 1000, headersTimeoutMs: 1000, requestTimeoutMs: 1000 }
    const onAccept = async (_app: unknown, push: Accepted) => push.reply
    expect(() => createListener({ sources: [make('a'), make('b')], onAccept, limits, clock, log: silentLog })).toThrow(
      /both listen on/,
    )
  })
})

async function waitFor(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5))
}

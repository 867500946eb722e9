import type { Bad } from './fixture-bodies.ts'
import { good, signed, standard } from './fixture-good.ts'
import { NOW_MS, request } from './fixture-hub.ts'

/** Requests that prove nothing about their sender, and requests that are read differently by different servers. */

const UNKNOWN_SENDER = ['intake.unauthenticated']
const STALE = ['intake.stale']

export function signatures(): Bad[] {
  const body: string = good.json.body
  const right = signed(body)
  const hook = (name: string, headers: Record<string, string>, codes = UNKNOWN_SENDER, sent = body): Bad => ({
    name: `signature: ${name}`,
    bytes: request('/signed', sent, headers),
    codes,
  })
  const without = (name: string): Record<string, string> =>
    Object.fromEntries(Object.entries(right).filter(([key]) => key !== name))
  const signature = right['x-signature'] as string
  const variants: Readonly<Record<string, string>> = {
    empty: '',
    'only the prefix': 'sha256=',
    'without the prefix': signature.slice(7),
    'another prefix': signature.replace('sha256', 'sha1'),
    'one digit less': signature.slice(0, -1),
    'one digit more': `${signature}0`,
    'one digit wrong': signature.slice(0, -1) + (signature.endsWith('0') ? '1' : '0'),
    zeros: `sha256=${'0'.repeat(64)}`,
    'not hex': `sha256=${'g'.repeat(64)}`,
    base64: `sha256=${Buffer.from(signature.slice(7), 'hex').toString('base64')}`,
    twice: `${signature},${signature}`,
    'with space': `${signature.slice(0, 40)} ${signature.slice(40)}`,
    'of 8,000 characters': `sha256=${'a'.repeat(8_000)}`,
    true: 'true',
    __proto__: '__proto__',
  }
  const shifts = [301, 600, 86_400, 31_536_000]
  const msg = standard(body)
  const stdHook = (name: string, headers: Record<string, string>, codes = UNKNOWN_SENDER, sent = body): Bad => ({
    name: `Standard Webhooks: ${name}`,
    bytes: request('/standard', sent, headers),
    codes,
  })
  return [
    ...Object.entries(variants).map(([name, value]) =>
      hook(name, { ...right, 'x-signature': value, ...(value === '' ? { 'x-other': 'x' } : {}) }),
    ),
    hook('missing', without('x-signature')),
    hook('no time', without('x-timestamp')),
    hook('another secret', signed(body, { secret: 'other' })),
    hook("another tenant's body", right, UNKNOWN_SENDER, body.replace('007', '008')),
    hook('written anew', right, UNKNOWN_SENDER, JSON.stringify(JSON.parse(body), null, 1)),
    hook('a line end more', right, UNKNOWN_SENDER, `${body}\n`),
    hook('a body left out', right, UNKNOWN_SENDER, ''),
    hook('a time moved', { ...right, 'x-timestamp': String(NOW_MS / 1000 + 1) }),
    ...['', 'now', '-1', '1e9', '0x10', '99999999999999999999', '1 800000000'].map((stamp) =>
      hook(`the time ${stamp || 'empty'}`, {
        ...signed(body, { stamp }),
        ...(stamp === '' ? { 'x-timestamp': ' ' } : {}),
      }),
    ),
    ...shifts.flatMap((s) => [
      hook(`of ${s} s ago`, signed(body, { atMs: NOW_MS - s * 1000 }), STALE),
      hook(`of ${s} s ahead`, signed(body, { atMs: NOW_MS + s * 1000 }), STALE),
    ]),
    ...['webhook-id', 'webhook-timestamp', 'webhook-signature'].map((name) =>
      stdHook(`no ${name}`, Object.fromEntries(Object.entries(msg).filter(([key]) => key !== name))),
    ),
    stdHook('another id than was signed', standard(body, { id: 'msg_2', signedId: 'msg_1' })),
    stdHook('of 301 s ago', standard(body, { stamp: String(NOW_MS / 1000 - 301) }), STALE),
    stdHook('of 301 s ahead', standard(body, { stamp: String(NOW_MS / 1000 + 301) }), STALE),
    stdHook('another version', {
      ...msg,
      'webhook-signature': (msg['webhook-signature'] as string).replace('v1', 'v2'),
    }),
    stdHook('another body', msg, UNKNOWN_SENDER, `${body} `),
    stdHook('a hundred wrong ones', {
      ...msg,
      'webhook-signature': Array.from({ length: 60 }, () => `v1,${Buffer.alloc(32).toString('base64')}`).join(' '),
    }),
  ]
}

const NOT_HTTP = ['intake.not-http']
const OK_BODY = '{"id":"1"}'

/** What one server takes for the body and another for the next request, and other things that are not HTTP/1.1. */
export function edge(): Bad[] {
  const head = 'POST /json HTTP/1.1\r\nhost: hub\r\ncontent-type: application/json\r\n'
  const length = `content-length: ${OK_BODY.length}\r\n`
  const chunked = `a\r\n${OK_BODY}\r\n0\r\n\r\n`
  const smuggled = 'POST /json HTTP/1.1\r\nhost: hub\r\ncontent-length: 10\r\n\r\n{"id":"2"}'
  const raw: Readonly<Record<string, string>> = {
    'a length and chunks': `${head}${length}transfer-encoding: chunked\r\n\r\n${chunked}`,
    'chunks and a length': `${head}transfer-encoding: chunked\r\n${length}\r\n${chunked}`,
    'two lengths': `${head}${length}content-length: 5\r\n\r\n${OK_BODY}`,
    'the same length twice': `${head}${length}${length}\r\n${OK_BODY}`,
    'a list of lengths': `${head}content-length: 10, 10\r\n\r\n${OK_BODY}`,
    'a negative length': `${head}content-length: -1\r\n\r\n${OK_BODY}`,
    'a length with a plus': `${head}content-length: +10\r\n\r\n${OK_BODY}`,
    'a length in hex': `${head}content-length: 0xa\r\n\r\n${OK_BODY}`,
    'a length that is no number': `${head}content-length: ten\r\n\r\n${OK_BODY}`,
    'a length beyond 64 bits': `${head}content-length: 99999999999999999999999\r\n\r\n${OK_BODY}`,
    'a folded length': `${head}content-length:\r\n 10\r\n\r\n${OK_BODY}`,
    'a folded header': `${head}x-a: b\r\n c\r\n${length}\r\n${OK_BODY}`,
    'bare line feeds': `POST /json HTTP/1.1\nhost: hub\ncontent-length: 10\n\n${OK_BODY}`,
    'a bare line feed among headers': `${head}x-a: b\n${length}\r\n${OK_BODY}`,
    'a bare carriage return in a header': `${head}x-a: b\rx-c: d\r\n${length}\r\n${OK_BODY}`,
    'space before the colon': `${head}content-length : 10\r\n\r\n${OK_BODY}`,
    'space before the first header': `POST /json HTTP/1.1\r\n host: hub\r\n${length}\r\n${OK_BODY}`,
    'a NUL in a header': `${head}x-a: b\u0000c\r\n${length}\r\n${OK_BODY}`,
    'a NUL in a name': `${head}x\u0000a: b\r\n${length}\r\n${OK_BODY}`,
    'a header without a name': `${head}: b\r\n${length}\r\n${OK_BODY}`,
    'a header without a colon': `${head}nonsense\r\n${length}\r\n${OK_BODY}`,
    'chunked behind another coding': `${head}transfer-encoding: chunked, identity\r\n\r\n${chunked}`,
    'chunked twice': `${head}transfer-encoding: chunked, chunked\r\n\r\n${chunked}`,
    'chunked by another name': `${head}transfer-encoding: xchunked\r\n\r\n${chunked}`,
    'chunked in quotes': `${head}transfer-encoding: "chunked"\r\n\r\n${chunked}`,
    'a chunk size that is none': `${head}transfer-encoding: chunked\r\n\r\nzz\r\n${OK_BODY}\r\n0\r\n\r\n`,
    'a chunk size with a sign': `${head}transfer-encoding: chunked\r\n\r\n-a\r\n${OK_BODY}\r\n0\r\n\r\n`,
    'a chunk size beyond 64 bits': `${head}transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n${OK_BODY}\r\n0\r\n\r\n`,
    'a chunk with bare line feeds': `${head}transfer-encoding: chunked\r\n\r\na\n${OK_BODY}\n0\n\n`,
    'a chunk longer than its size': `${head}transfer-encoding: chunked\r\n\r\n5\r\n${OK_BODY}\r\n0\r\n\r\n`,
    'a chunk extension flood': `${head}transfer-encoding: chunked\r\n\r\na;${'x=1;'.repeat(8_000)}\r\n${OK_BODY}\r\n0\r\n\r\n`,
    'no host': `POST /json HTTP/1.1\r\n${length}\r\n${OK_BODY}`,
    'HTTP/2.0 by name': `POST /json HTTP/2.0\r\nhost: hub\r\n${length}\r\n${OK_BODY}`,
    'HTTP/9.9': `POST /json HTTP/9.9\r\nhost: hub\r\n${length}\r\n${OK_BODY}`,
    'a preface of HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'a TLS hello': '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003aaaa\r\n\r\n',
    'no request line': '\r\n\r\n\r\nnonsense\r\n\r\n',
    'a method of no kind': `P OST /json HTTP/1.1\r\nhost: hub\r\n${length}\r\n${OK_BODY}`,
    'headers of 64 KiB': `${head}x-a: ${'a'.repeat(65_536)}\r\n${length}\r\n${OK_BODY}`,
    'ten thousand headers': `${head}${'x-a: b\r\n'.repeat(10_000)}${length}\r\n${OK_BODY}`,
    'a path of 64 KiB': `POST /json?${'a'.repeat(65_536)} HTTP/1.1\r\nhost: hub\r\n${length}\r\n${OK_BODY}`,
    'a request inside a chunk size': `${head}content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n5c\r\n${smuggled}\r\n0\r\n\r\n`,
  }
  const refused: readonly (readonly [string, string, readonly string[]])[] = [
    [
      'an absolute URL',
      `POST http://elsewhere/json HTTP/1.1\r\nhost: hub\r\n${length}\r\n${OK_BODY}`,
      ['intake.unknown-path'],
    ],
    [
      'a path that climbs',
      `POST /json/../json HTTP/1.1\r\nhost: hub\r\n${length}\r\n${OK_BODY}`,
      ['intake.unknown-path'],
    ],
    ['an encoded path', `POST /%6ason HTTP/1.1\r\nhost: hub\r\n${length}\r\n${OK_BODY}`, ['intake.unknown-path']],
    ['two slashes', `POST //json HTTP/1.1\r\nhost: hub\r\n${length}\r\n${OK_BODY}`, ['intake.unknown-path']],
    ['a proxy request', 'CONNECT elsewhere:443 HTTP/1.1\r\nhost: hub\r\n\r\n', ['intake.method']],
    ['GET', 'GET /json HTTP/1.1\r\nhost: hub\r\n\r\n', ['intake.method']],
    ['PUT', `PUT /json HTTP/1.1\r\nhost: hub\r\n${length}\r\n${OK_BODY}`, ['intake.method']],
    ['TRACE', 'TRACE /json HTTP/1.1\r\nhost: hub\r\n\r\n', ['intake.method']],
    [
      'a method by override',
      `GET /json HTTP/1.1\r\nhost: hub\r\nx-http-method-override: POST\r\n${length}\r\n${OK_BODY}`,
      ['intake.method'],
    ],
    ['GET of a WSDL that is none', 'GET /soap?wsdl HTTP/1.1\r\nhost: hub\r\n\r\n', ['intake.method']],
    ['100 MB announced', `${head}content-length: 104857600\r\n\r\n${OK_BODY}`, ['intake.too-large']],
    [
      '100 MB announced, waiting to be asked',
      `${head}expect: 100-continue\r\ncontent-length: 104857600\r\n\r\n`,
      ['intake.too-large'],
    ],
    ['one byte too many', `${head}content-length: 1048577\r\n\r\n`, ['intake.too-large']],
    [
      '20 MB in chunks',
      `${head}transfer-encoding: chunked\r\n\r\n${`10000\r\n${' '.repeat(65_536)}\r\n`.repeat(20)}`,
      ['intake.too-large'],
    ],
    ['a body that does not come', `${head}content-length: 100\r\n\r\n{"id"`, ['intake.timeout']],
    ['chunks that stop', `${head}transfer-encoding: chunked\r\n\r\n5\r\n{"id"`, ['intake.timeout']],
    ['headers that stop', head, ['intake.timeout']],
  ]
  return [
    ...Object.entries(raw).map(([name, text]) => ({
      name: `HTTP: ${name}`,
      bytes: Buffer.from(text, 'latin1'),
      codes: NOT_HTTP,
    })),
    ...refused.map(([name, text, codes]) => ({ name: `HTTP: ${name}`, bytes: Buffer.from(text, 'latin1'), codes })),
  ]
}

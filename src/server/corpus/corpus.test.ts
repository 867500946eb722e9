import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type Bad,
  codings,
  compressed,
  forms,
  json,
  markup,
  notUtf8,
  soapMessages,
  truncated,
  wrongType,
} from './fixture-bodies.ts'
import { edge, signatures } from './fixture-edge.ts'
import { good, goodRequest, type Kind, notification, salesforceBody, signed } from './fixture-good.ts'
import { type CorpusHub, corpusHub, request, speak } from './fixture-hub.ts'

/**
 * Bad input of PROTOCOL section 9.5 on a real socket. Each message is refused with a stable code, nothing of it is taken, and the next good message of every
 * format is.
 */
const families: Readonly<Record<string, () => Bad[]>> = {
  'cut messages': truncated,
  'bytes that are not UTF-8': notUtf8,
  'content types': wrongType,
  'compressed bodies': compressed,
  'content codings': codings,
  JSON: json,
  XML: markup,
  SOAP: soapMessages,
  'forms, CSV and text': forms,
  signatures,
  'the edge of HTTP': edge,
}

let hub: CorpusHub
/** For messages that never come to an end. */
let hasty: CorpusHub
beforeAll(async () => {
  hub = await corpusHub(60_000)
  hasty = await corpusHub(200)
})
afterAll(async () => {
  await hub[Symbol.asyncDispose]()
  await hasty[Symbol.asyncDispose]()
})

const kinds = Object.keys(good) as Kind[]
const tries = (): Promise<number[]> =>
  Promise.all(kinds.map(async (kind) => (await speak(hub.port, goodRequest(kind))).status))

test('the corpus has at least 500 messages, all by different names', () => {
  const names = Object.values(families).flatMap((family) => family().map(({ name }) => name))
  expect(new Set(names).size).toBe(names.length)
  expect(names.length).toBeGreaterThanOrEqual(500)
})

test('good messages of every format are taken', async () => {
  const before = hub.accepted.length
  expect(await tries()).toEqual(kinds.map((kind) => (kind === 'soap' || kind === 'salesforce' ? 200 : 202)))
  const ids = hub.accepted.slice(before).flatMap(({ changes }) => changes.map(({ nativeId }) => nativeId))
  expect(ids.sort()).toEqual([...Array.from({ length: 7 }, () => '007'), '003x', '008'].sort())
})

describe.each(Object.entries(families))('%s', (_family, cases) => {
  test('each is refused with its code, and nothing else is disturbed', async () => {
    const wrong: string[] = []
    for (const { name, bytes, codes } of cases()) {
      const before = hub.accepted.length
      const answer = await speak(codes.includes('intake.timeout') ? hasty.port : hub.port, bytes)
      const code = answer.code ?? ''
      if (answer.status < 400 || !codes.includes(code))
        wrong.push(`${name}: ${answer.status} ${code}, not ${codes.join(' or ')}`)
      if (hub.accepted.length !== before || hasty.accepted.length > 0) wrong.push(`${name}: was taken`)
      if ((await speak(hub.port, goodRequest('json'))).status !== 202)
        wrong.push(`${name}: the next good message was not taken`)
    }
    expect(wrong).toEqual([])
    expect((await tries()).every((status) => status < 300)).toBe(true)
    expect(Object.keys(Object.prototype)).toEqual([])
  })
})

describe('what looks bad and is not', () => {
  const idOf = async (path: string, body: string | Uint8Array, headers: Record<string, string>): Promise<string> => {
    const before = hub.accepted.length
    const { status, text } = await speak(hub.port, request(path, body, headers))
    const [change] = hub.accepted[before]?.changes ?? []
    return change === undefined ? `refused with ${status}: ${text}` : change.nativeId
  }

  test.each<[string, string, string | Uint8Array, Record<string, string>, string]>([
    ['an id beyond 2^53', '/json', '{"id":9007199254740993}', good.json.headers, '9007199254740993'],
    ['an id beyond 2^64', '/json', '{"id":18446744073709551617}', good.json.headers, '18446744073709551617'],
    ['a mark before JSON', '/json', '\ufeff{"id":"a"}', good.json.headers, 'a'],
    [
      'keys that look like those of a prototype',
      '/json',
      '{"id":"a","constructor":"Acme","toString":1,"prototype":2}',
      good.json.headers,
      'a',
    ],
    [
      'JSON by a longer name',
      '/json',
      '{"id":"a"}',
      { 'content-type': 'application/vnd.acme.v1+json; charset="UTF-8"' },
      'a',
    ],
    ['a mark before XML', '/xml', '\ufeff<item><id>a</id></item>', good.xml.headers, 'a'],
    ['XML in UTF-16', '/xml', Buffer.from('\ufeff<item><id>é</id></item>', 'utf16le'), good.xml.headers, 'é'],
    ['a mark before SOAP', '/soap', `\ufeff${good.soap.body}`, good.soap.headers, '007'],
    [
      'a mark before a Salesforce message',
      '/salesforce',
      `\ufeff${good.salesforce.body}`,
      good.salesforce.headers,
      '003x',
    ],
    [
      'CSV in latin1',
      '/csv',
      Buffer.from('id\r\né\r\n', 'latin1'),
      { 'content-type': 'text/csv; charset=iso-8859-1' },
      'é',
    ],
    ['CSV with a mark and bare line feeds', '/csv', '\ufeffid\na\n', good.csv.headers, 'a'],
    ['zeros before a number in a form', '/form', 'id=000123', good.form.headers, '000123'],
  ])('%s', async (_what, path, body, headers, id) => {
    expect(await idOf(path, body, headers)).toBe(id)
  })

  test('a good signature, until the last second of its time', async () => {
    for (const atMs of [0, -299_000, 299_000]) {
      const headers = signed(good.json.body, { atMs: 1_800_000_000_000 + atMs })
      expect(await idOf('/signed', good.json.body, headers)).toBe('007')
    }
  })
})

describe('Salesforce outbound messages', () => {
  test('several notifications in one envelope are one change each, acknowledged together, without session ids', async () => {
    const before = hub.accepted.length
    const body = salesforceBody(
      Array.from({ length: 100 }, (_, i) =>
        notification(`04l${i}`, `<sf:Id>003${i}</sf:Id><sf:Email>e${i}</sf:Email>`),
      ).join(''),
    )
    const answer = await speak(hub.port, request('/salesforce', body, good.salesforce.headers))
    expect([answer.status, /<Ack>true<\/Ack>/.test(answer.text)]).toEqual([200, true])
    expect(answer.text).toContain('<notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound">')
    const changes = hub.accepted[before]?.changes ?? []
    expect(changes.map(({ deliveryId }) => deliveryId)).toEqual(Array.from({ length: 100 }, (_, i) => `04l${i}`))
    expect(structuredClone(changes[7]?.record)).toEqual({ Id: '0037', Email: 'e7' })
    expect(JSON.stringify(changes)).not.toContain('secret')
  })

  test('a notification that fails is named, and none is acknowledged', async () => {
    const body = salesforceBody(notification('1', '<sf:Id>1</sf:Id>') + notification('2', '<sf:Name>x</sf:Name>'))
    const answer = await speak(hub.port, request('/salesforce', body, good.salesforce.headers))
    expect([answer.status, answer.code]).toEqual([500, 'intake.shape'])
    expect(answer.text).toContain('<part><index>1</index>')
    expect(answer.text).not.toContain('<Ack>')
  })
})

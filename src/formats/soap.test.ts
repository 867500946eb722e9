import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createClientAsync } from 'soap'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { SyncError } from '../errors/index.ts'
import { dataOf, decoded, refusalOf } from './fixture.ts'
import { compileFormat, FORMAT_LIMITS, problemOf, soap, wsdlOf } from './index.ts'
import type { JsonSchema } from './spec.ts'

const E11 = 'http://schemas.xmlsoap.org/soap/envelope/'
const E12 = 'http://www.w3.org/2003/05/soap-envelope'
const TYPE11 = { 'content-type': 'text/xml; charset=utf-8' }
const TYPE12 = { 'content-type': 'application/soap+xml; charset=utf-8' }

const envelope = (uri: string, body: string, header = ''): string =>
  `<?xml version="1.0"?><e:Envelope xmlns:e="${uri}">${header}<e:Body>${body}</e:Body></e:Envelope>`

const order = soap({ request: 'Order', namespace: 'urn:orders', action: 'urn:orders/place', lists: ['line'] })
const GOOD = '<Order xmlns="urn:orders"><no>007</no><line>a</line></Order>'
const ACTION = { ...TYPE11, soapaction: '"urn:orders/place"' }

describe('requests', () => {
  test('of both versions are read, whatever the prefixes', () => {
    const expected = { no: '007', line: ['a'] }
    expect(dataOf(order, envelope(E11, GOOD), ACTION)).toEqual(expected)
    expect(dataOf(order, envelope(E12, GOOD), TYPE12)).toEqual(expected)
    const action = { 'content-type': 'application/soap+xml; action="urn:orders/place"' }
    expect(dataOf(order, envelope(E12, GOOD), action)).toEqual(expected)
    expect(decoded(order, envelope(E11, GOOD), ACTION).documents).toHaveLength(1)
    expect(decoded(soap({ ...orderOptions, documents: 'line' }), envelope(E11, GOOD), ACTION).documents).toEqual(['a'])
  })

  const must = (name: string, more = ''): string =>
    `<e:Header><t:${name} xmlns:t="urn:t" e:mustUnderstand="1"${more}/></e:Header>`

  test.each<[string, string, Record<string, string>, RegExp]>([
    ['another action', envelope(E11, GOOD), { ...TYPE11, soapaction: '"urn:x"' }, /^intake\.soap-action .*urn:x/],
    ['no action in 1.1', envelope(E11, GOOD), TYPE11, /^intake\.soap-action .*no SOAPAction/],
    ['an empty action', envelope(E11, GOOD), { ...TYPE11, soapaction: '""' }, /^intake\.soap-action/],
    [
      'another action in 1.2',
      envelope(E12, GOOD),
      { 'content-type': 'application/soap+xml; action=x' },
      /^intake\.soap-action/,
    ],
    [
      'a header that must be understood',
      envelope(E11, GOOD, must('Tx')),
      ACTION,
      /^intake\.must-understand .*\{urn:t\}Tx/,
    ],
    ['the same in 1.2', envelope(E12, GOOD, must('Tx')), TYPE12, /^intake\.must-understand/],
    [
      'mustUnderstand that is neither',
      envelope(E11, GOOD, must('Tx').replace('="1"', '="yes"')),
      ACTION,
      /^intake\.shape/,
    ],
    ['an envelope of no version', envelope('urn:soap', GOOD), ACTION, /^intake\.soap-version/],
    ['1.2 sent as 1.1', envelope(E12, GOOD), ACTION, /^intake\.unsupported-type/],
    ['1.1 sent as 1.2', envelope(E11, GOOD), TYPE12, /^intake\.unsupported-type/],
    ['JSON by its type', envelope(E11, GOOD), { 'content-type': 'application/json' }, /^intake\.unsupported-type/],
    ['no envelope', GOOD, ACTION, /^intake\.shape .*not an Envelope/],
    ['no body', `<e:Envelope xmlns:e="${E11}"/>`, ACTION, /^intake\.shape .*no Body/],
    ['an empty body', envelope(E11, ''), ACTION, /^intake\.shape .*0 elements/],
    ['two requests', envelope(E11, GOOD + GOOD), ACTION, /^intake\.shape .*2 elements/],
    ['two bodies', envelope(E11, `${GOOD}</e:Body><e:Body>${GOOD}`), ACTION, /^intake\.shape .*more than/],
    ['a header after the body', envelope(E11, `${GOOD}</e:Body><e:Header/><e:Body>`), ACTION, /^intake\.shape/],
    ['another request', envelope(E11, '<Cancel xmlns="urn:orders"/>'), ACTION, /^intake\.shape .*not Order/],
    ['another namespace', envelope(E11, '<Order xmlns="urn:x"/>'), ACTION, /^intake\.shape .*urn:x/],
    [
      'a document type',
      `<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>${envelope(E11, GOOD)}`,
      ACTION,
      /^intake\.(forbidden|malformed)/,
    ],
  ])('%s is refused', (_what, message, headers, pattern) => {
    expect(refusalOf(() => decoded(order, message, headers))).toMatch(pattern)
  })

  test('a header for another node, one that may be ignored and one that is named are no reason', () => {
    const named = soap({ ...orderOptions, understood: ['{urn:t}Tx'] })
    expect(refusalOf(() => decoded(named, envelope(E11, GOOD, must('Tx')), ACTION))).toBe('nothing')
    const other = must('Tx', ' e:actor="urn:somebody-else"')
    expect(refusalOf(() => decoded(order, envelope(E11, GOOD, other), ACTION))).toBe('nothing')
    const may = must('Tx').replace('="1"', '="0"')
    expect(refusalOf(() => decoded(order, envelope(E11, GOOD, may), ACTION))).toBe('nothing')
  })

  const orderOptions = {
    request: 'Order',
    namespace: 'urn:orders',
    action: 'urn:orders/place',
    lists: ['line'],
  } as const
})

describe('faults', () => {
  const fault = (error: SyncError, headers: Record<string, string>) =>
    compileFormat(order).fault(problemOf(error, '/x'), headers)

  test('are of the version asked for, with the code, and cannot be broken by what they quote', () => {
    const error = new SyncError('intake.shape', 'bad <x> & \u0000 \ud800')
    const first = fault(error, TYPE11)
    expect([first.status, first.contentType]).toEqual([500, 'text/xml; charset=utf-8'])
    expect(first.body).toContain('<faultcode>soap:Client</faultcode>')
    expect(first.body).toContain('bad &lt;x&gt; &amp; \ufffd \ufffd (intake.shape)')
    expect(first.body).toContain('<code>intake.shape</code>')
    const second = fault(error, TYPE12)
    expect([second.status, second.contentType]).toEqual([400, 'application/soap+xml; charset=utf-8'])
    expect(second.body).toContain('<soap:Value>soap:Sender</soap:Value>')
    expect(second.body).toContain('lw:intake.shape')
  })

  test.each<[ConstructorParameters<typeof SyncError>[0], number, string]>([
    ['intake.must-understand', 500, 'MustUnderstand'],
    ['intake.soap-version', 500, 'VersionMismatch'],
    ['intake.unauthenticated', 401, 'Client'],
    ['intake.too-large', 413, 'Client'],
    ['intake.overloaded', 503, 'Server'],
    ['internal.bug', 500, 'Server'],
  ])('%s is %i and %s', (code, status, faultcode) => {
    const answer = fault(new SyncError(code, 'why'), TYPE11)
    expect(answer.status).toBe(status)
    expect(answer.body).toContain(`<faultcode>soap:${faultcode}</faultcode>`)
    expect(answer.body.includes('<detail>')).toBe(!/MustUnderstand|VersionMismatch/.test(faultcode))
  })

  test('a version that is not taken is answered with those that are', () => {
    expect(fault(new SyncError('intake.soap-version', 'why'), TYPE12).body).toContain('SupportedEnvelope')
  })
})

/** The npm package `soap` reads our WSDL, writes requests as it makes of it, and reads our replies and faults. */
describe('a client made of the WSDL', () => {
  const request = z.object({
    no: z.string(),
    express: z.boolean(),
    total: z.number(),
    note: z.string().nullable(),
    line: z.array(z.object({ sku: z.string(), qty: z.int() })),
  })
  const spec = soap({
    request: 'PlaceOrder',
    namespace: 'urn:orders',
    action: 'urn:orders/place',
    requestSchema: z.toJSONSchema(request) as JsonSchema,
    replySchema: z.toJSONSchema(z.object({ id: z.string(), accepted: z.array(z.string()) })) as JsonSchema,
  })
  const format = compileFormat(spec)
  let server: Server
  let url = ''
  let seen: unknown = null

  beforeAll(async () => {
    server = createServer((incoming, response) => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk) => chunks.push(chunk))
      incoming.on('end', () => {
        const headers = incoming.headers as Record<string, string>
        if (incoming.url === '/orders?wsdl') {
          response.writeHead(200, { 'content-type': 'text/xml' }).end(wsdlOf(spec, url))
          return
        }
        try {
          // The binding to our listener is in the connector's tests; here only the words matter.
          seen = structuredClone(format.decode(Buffer.concat(chunks), headers, FORMAT_LIMITS).data)
          const { data } = request.safeParse(seen)
          if (data === undefined) throw new SyncError('intake.shape', 'no is missing')
          const reply = format.encode({ id: `R${data.no}`, accepted: data.line.map(({ sku }) => sku) }, headers)
          response.writeHead(200, { 'content-type': reply.contentType }).end(reply.body)
        } catch (error) {
          const answer = format.fault(problemOf(SyncError.from(error), '/orders'), headers)
          response.writeHead(answer.status, { 'content-type': answer.contentType }).end(answer.body)
        }
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/orders`
  })
  afterAll(() => void server.close())

  const sent = {
    no: '007',
    express: true,
    total: '12.50',
    note: 'a < b & "c"',
    line: [
      { sku: '01', qty: 2 },
      { sku: 'é', qty: 3 },
    ],
  }

  test.each([
    ['1.1', 'PlaceOrderSoap11', false],
    ['1.2', 'PlaceOrderSoap12', true],
  ])('SOAP %s', async (_version, port, forceSoap12Headers) => {
    const client = await createClientAsync(`${url}?wsdl`, { forceSoap12Headers })
    const call = client.PlaceOrderService[port].PlaceOrder as (
      args: unknown,
      done: (error: Error | null, result: unknown) => void,
    ) => void
    const ask = (args: unknown): Promise<unknown> =>
      new Promise((resolve, reject) =>
        call(args, (error, result) => (error === null ? resolve(result) : reject(error))),
      )
    expect(await ask(sent)).toMatchObject({ id: 'R007', accepted: ['01', 'é'] })
    expect(seen).toEqual({ ...sent, total: 12.5 })
    await expect(ask({ express: false })).rejects.toThrow(/no is missing \(intake\.shape\)/)
  })
})

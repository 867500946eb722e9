import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { listen as serveSoap } from 'soap'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { soap, wsdlOf } from '../../formats/index.ts'
import { systemClock } from '../../lib/system-clock.ts'
import { asAppId, asNativeId, asObjectId } from '../../model/ids.ts'
import type { Connector, WriteOp } from '../../ports/app.ts'
import { soapCall, soapService } from './config-soap.ts'
import { createHttpConnector } from './connector.ts'
import { fakeOptions, fakeResource, silentLog } from './fake-driver.ts'

/** A customer service of the npm package `soap`, with calls as such services have them, and what it was told. */
const NS = 'urn:crm'
const customers = new Map<string, Record<string, string>>()
let told: unknown[] = []
let fail: { readonly code: string; readonly text: string; readonly status?: number } | null = null

const fault = (code: string, text: string): unknown => ({ Fault: { faultcode: code, faultstring: text } })
const operations = ['CreateCustomer', 'UpdateCustomer', 'DeleteCustomer', 'GetCustomer'] as const

function answer(name: (typeof operations)[number], args: Record<string, unknown>): unknown {
  told.push([name, structuredClone(args)])
  if (fail !== null)
    throw { ...(fault(fail.code, fail.text) as object), ...(fail.status ? { statusCode: fail.status } : {}) }
  const id = String(args.customerId ?? customers.size + 1)
  if (name !== 'CreateCustomer' && !customers.has(id)) throw fault('soap:Client.NotFound', `no customer ${id}`)
  if (name === 'DeleteCustomer') {
    customers.delete(id)
    return {}
  }
  if (name !== 'GetCustomer') {
    const given = args.customer as Record<string, string>
    const rev = String(Number(customers.get(id)?.rev ?? 0) + 1)
    customers.set(id, { ...customers.get(id), ...given, id, rev })
  }
  return { customer: customers.get(id) }
}

let server: Server
let connector: Connector
const { signal } = new AbortController()

beforeAll(async () => {
  server = createServer((_request, response) => response.writeHead(404).end())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const any = { type: 'object', properties: { customerId: { type: 'string' }, customer: {} } }
  for (const name of operations) {
    const spec = soap({ request: name, namespace: NS, action: `${NS}/${name}`, requestSchema: any, replySchema: any })
    const port = { [name]: (args: Record<string, unknown>) => answer(name, args) }
    serveSoap(server, {
      path: `/${name}`,
      xml: wsdlOf(spec, `${url}/${name}`),
      services: { [`${name}Service`]: { [`${name}Soap11`]: port, [`${name}Soap12`]: port } },
    }).authenticate = (security) => security?.UsernameToken?.Password?.$value === 'p<w'
  }
})
afterAll(async () => {
  await connector?.source.close()
  await connector?.target.close()
  server.close()
})
beforeEach(() => {
  customers.clear()
  told = []
  fail = null
})

function connect(version: '1.1' | '1.2', password = 'p<w'): Connector {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const call = (request: string, more: object): ReturnType<typeof soapCall> =>
    soapCall({ request, action: `${NS}/${request}`, ...more })
  const record = {
    record: 'customer',
    replyRecord: 'customer',
    faults: { NotFound: 'gone', Busy: 'retry', Stale: 'conflict' },
  }
  const resources = operations.map((name) =>
    fakeResource(
      { form: 'A' },
      {
        object: asObjectId(name),
        path: `/${name}`,
        notify: null,
        poll: null,
        updateMethod: 'put',
        soap: soapService({
          version,
          namespace: NS,
          create: call('CreateCustomer', record),
          update: call('UpdateCustomer', { ...record, id: 'customerId' }),
          delete: call('DeleteCustomer', { id: 'customerId', faults: record.faults }),
          read: call('GetCustomer', { ...record, id: 'customerId' }),
          usernameToken: { user: 'ada', password },
        }),
      },
    ),
  )
  return createHttpConnector(fakeOptions(url, resources[0] as never, { resources }), {
    clock: systemClock,
    log: silentLog,
  })
}

const op = (kind: WriteOp['kind'], nativeId: string | null, full: Record<string, string | null>): WriteOp =>
  ({
    op: `op-${kind}`,
    object: asObjectId(kind === 'create' ? 'CreateCustomer' : kind === 'update' ? 'UpdateCustomer' : 'DeleteCustomer'),
    kind,
    nativeId: nativeId === null ? null : asNativeId(nativeId),
    patch: full,
    full,
    baseToken: null,
    baseValues: {},
    correlationId: 'K1',
    resend: false,
  }) as unknown as WriteOp

describe.each(['1.1', '1.2'] as const)('SOAP %s against the npm package as server', (version) => {
  beforeAll(async () => {
    await connector?.source.close()
    await connector?.target.close()
    connector = connect(version)
  })
  const write = async (one: WriteOp) => (await connector.target.write([one], 5_000, signal))[0]
  const read = async (id: string) =>
    (await connector.source.readRecords([{ object: asObjectId('GetCustomer'), nativeId: asNativeId(id) }], signal))[0]

  test('a record is created, changed, read and deleted, not a character lost', async () => {
    const created = await write(op('create', null, { name: 'Ada <& "é"', zip: '01234' }))
    expect(created).toMatchObject({ result: 'applied', nativeId: '1', token: '1', record: { zip: '01234' } })
    expect(told).toEqual([['CreateCustomer', { customer: { name: 'Ada <& "é"', zip: '01234', ref: 'K1' } }]])
    expect(await write(op('update', '1', { name: 'Bob', zip: '007' }))).toMatchObject({ result: 'applied', token: '2' })
    expect(told[1]).toEqual(['UpdateCustomer', { customerId: '1', customer: { name: 'Bob', zip: '007', ref: 'K1' } }])
    expect(await read('1')).toMatchObject({
      result: 'found',
      record: { name: 'Bob', zip: '007' },
      token: '2',
      correlationId: 'K1',
    })
    expect(await write(op('delete', '1', {}))).toMatchObject({ result: 'applied' })
    expect(await read('1')).toMatchObject({ result: 'missing' })
    expect(await write(op('update', '1', { name: 'x' }))).toMatchObject({ result: 'gone' })
  })

  test.each<[string, string, object]>([
    ['a refusal of what was sent', 'soap:Client', { result: 'refused', handling: 'park', code: 'target.rejected' }],
    [
      'a fault of the server, which may come after the effect',
      'soap:Server',
      { result: 'unknown', code: 'target.unknown' },
    ],
    ['a code that is declared', 'soap:Server.Busy', { result: 'refused', handling: 'retry' }],
    ['a stale version', 'soap:Client.Stale', { result: 'conflict' }],
    ['an unknown code', 'soap:Whatever', { result: 'unknown' }],
  ])('%s', async (_what, code, expected) => {
    fail = { code, text: 'the words of the service' }
    const outcome = await write(op('create', null, { name: 'Ada' }))
    expect(outcome).toMatchObject(expected)
    expect(outcome?.message).toContain('the words of the service')
  })

  test('a read that fails is no absence', async () => {
    fail = { code: 'soap:Server', text: 'down' }
    expect(await read('1')).toMatchObject({ result: 'failed', code: 'source.read-failed' })
  })

  test('what cannot be written is refused before it leaves', async () => {
    const outcome = await write(op('create', null, { name: 'a\u0001b' }))
    expect(outcome).toMatchObject({ result: 'refused', handling: 'park' })
    expect(told).toEqual([])
  })
})

test('a page of HTML with 200 is no success', async () => {
  const html = createServer((_request, response) =>
    response.writeHead(200, { 'content-type': 'text/html' }).end('<html>login</html>'),
  )
  await new Promise<void>((resolve) => html.listen(0, '127.0.0.1', resolve))
  const resource = fakeResource(
    { form: 'A' },
    { notify: null, poll: null, soap: soapService({ namespace: NS, create: soapCall({ request: 'C', action: 'c' }) }) },
  )
  const target = createHttpConnector(
    fakeOptions(`http://127.0.0.1:${(html.address() as AddressInfo).port}`, resource, { app: asAppId('x') }),
    { clock: systemClock, log: silentLog },
  )
  const [outcome] = await target.target.write([{ ...op('create', null, {}), object: resource.object }], 5_000, signal)
  const [none] = await target.target.write([{ ...op('delete', '1', {}), object: resource.object }], 5_000, signal)
  expect(outcome).toMatchObject({ result: 'unknown', code: 'target.reply-invalid' })
  expect(none).toMatchObject({ result: 'refused', handling: 'park' })
  await target.source.close()
  await target.target.close()
  html.close()
})

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type RunningHub, startHub } from '../../src/server/hub.ts'
import hubDefinition from './latchwork.config.ts'

const ORG = '00D1x000000ABCDEA2'
const SESSION = '00D1x!AQcAQSessionOfThePersonWhoSaved'

const folder = mkdtempSync(join(tmpdir(), 'latchwork-salesforce-'))
const people = new Map<string, Record<string, unknown>>()
const lines: string[] = []
/** What Salesforce holds, and would answer to a read. */
const contacts = new Map<string, Record<string, string | null>>()
let directory: Server
let sales: Server
let hub: RunningHub

/** The directory: takes creates and updates, and keeps what it is given. */
beforeAll(async () => {
  directory = createServer((request, response) => {
    let text = ''
    request.on('data', (chunk) => (text += chunk))
    request.on('end', () => {
      const id = request.url?.split('/')[2] ?? `P${people.size + 1}`
      const given = text === '' ? {} : (JSON.parse(text) as object)
      const rev = Number(people.get(id)?.rev ?? 0) + (request.method === 'GET' ? 0 : 1)
      if (request.method !== 'GET') people.set(id, { ...people.get(id), ...given, id, rev })
      const found = people.get(id)
      response.writeHead(found === undefined ? 404 : request.method === 'POST' ? 201 : 200, {
        'content-type': 'application/json',
      })
      response.end(JSON.stringify(found ?? {}))
    })
  })
  sales = createServer((request, response) => {
    const isAllowed = request.headers.authorization === 'Bearer access'
    const found = contacts.get(request.url?.replace('/services/data/v61.0/sobjects/Contact/', '') ?? '')
    response.writeHead(!isAllowed ? 401 : found === undefined ? 404 : 200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(found ?? []))
  })
  await new Promise<void>((resolve) => directory.listen(0, '127.0.0.1', resolve))
  await new Promise<void>((resolve) => sales.listen(0, '127.0.0.1', resolve))
  hub = await startHub({
    definition: hubDefinition,
    dataDir: folder,
    env: {
      DIRECTORY_URL: `http://127.0.0.1:${(directory.address() as AddressInfo).port}`,
      SALESFORCE_URL: `http://127.0.0.1:${(sales.address() as AddressInfo).port}/services/data/v61.0`,
      SALESFORCE_ACCESS_TOKEN: 'access',
      SALESFORCE_ORGANIZATION: ORG,
      SALESFORCE_TOKEN: 'sesame',
    },
    log: { log: (level, message, data) => void lines.push(`${level} ${message} ${JSON.stringify(data ?? {})}`) },
    port: 0,
  })
})

afterAll(async () => {
  await hub.stop()
  directory.close()
  sales.close()
  rmSync(folder, { recursive: true, force: true })
})

/** Saves a contact in Salesforce, and gives the notification of it. */
function contact(message: string, id: string, fields: Readonly<Record<string, string | null>>): string {
  contacts.set(id, { attributes: null, Id: id, ...fields })
  const elements = Object.entries(fields).map(([name, value]) =>
    value === null
      ? `<sf:${name} xsi:nil="true"/>`
      : `<sf:${name}>${value.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</sf:${name}>`,
  )
  return `<Notification><Id>${message}</Id><sObject xsi:type="sf:Contact" xmlns:sf="urn:sobject.enterprise.soap.sforce.com"><sf:Id>${id}</sf:Id>${elements.join('')}</sObject></Notification>`
}

/** An outbound message as Salesforce writes it, with the mark that some of its senders put before it. */
async function send(
  notifications: string,
  given: { token?: string; org?: string } = {},
): Promise<{ status: number; body: string }> {
  const response = await fetch(`${hub.url}/hooks/salesforce?token=${given.token ?? 'sesame'}`, {
    method: 'POST',
    headers: { 'content-type': 'text/xml; charset=utf-8', soapaction: '""' },
    body: `\ufeff<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
 <soapenv:Body><notifications xmlns="http://soap.sforce.com/2005/09/outbound">
  <OrganizationId>${given.org ?? ORG}</OrganizationId><ActionId>04k1x0000000001</ActionId><SessionId>${SESSION}</SessionId>
  <EnterpriseUrl>https://acme.my.salesforce.com/services/Soap/c/61.0/${SESSION}</EnterpriseUrl><PartnerUrl>https://acme.my.salesforce.com/p</PartnerUrl>
  ${notifications}
 </notifications></soapenv:Body>
</soapenv:Envelope>`,
  })
  return { status: response.status, body: await response.text() }
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 10))
}

const held = (email: string): Record<string, unknown> | undefined =>
  [...people.values()].find((person) => person.email === email)

test('contacts of one message arrive in the directory, exactly, and a change after them', async () => {
  const first = contact('04l01', '0031x01', {
    LastName: 'Ada <Lovelace>',
    Email: 'ada@x.test',
    MailingPostalCode: '01234',
  })
  const second = contact('04l02', '0031x02', { LastName: 'Bob', Email: 'bob@x.test', MailingPostalCode: null })
  const answer = await send(first + second)
  expect(answer.status).toBe(200)
  expect(answer.body).toContain('<Ack>true</Ack>')
  await until(() => held('ada@x.test') !== undefined && held('bob@x.test') !== undefined)
  expect(held('ada@x.test')).toMatchObject({ name: 'Ada <Lovelace>', zip: '01234' })
  expect(held('bob@x.test')).toMatchObject({ name: 'Bob', zip: null })

  await send(contact('04l03', '0031x02', { LastName: 'Bob', Email: 'bob@x.test', MailingPostalCode: '007' }))
  await until(() => held('bob@x.test')?.zip === '007')
  expect(people.size).toBe(2)
})

test('a message that is sent again is acknowledged and changes nothing', async () => {
  const message = contact('04l10', '0031x10', { LastName: 'Cy', Email: 'cy@x.test', MailingPostalCode: '1' })
  await send(message)
  await until(() => held('cy@x.test') !== undefined)
  const { rev } = held('cy@x.test') as { rev: number }
  expect((await send(message)).body).toContain('<Ack>true</Ack>')
  await send(contact('04l11', '0031x11', { LastName: 'Di', Email: 'di@x.test', MailingPostalCode: '1' }))
  await until(() => held('di@x.test') !== undefined)
  expect(held('cy@x.test')?.rev).toBe(rev)
})

test.each<[string, string, { token?: string; org?: string }, number, string]>([
  ['a wrong token', contact('1', '1', { LastName: 'x' }), { token: 'open' }, 401, 'intake.unauthenticated'],
  ['another organisation', contact('1', '1', { LastName: 'x' }), { org: '00Dother' }, 401, 'intake.unauthenticated'],
  [
    'one bad record among good ones',
    contact('1', 'ok', { LastName: 'x' }) + '<Notification><Id>2</Id></Notification>',
    {},
    500,
    'intake.shape',
  ],
])('%s is answered with a fault, never with Ack', async (_what, message, given, status, code) => {
  const before = people.size
  const answer = await send(message, given)
  expect(answer.status).toBe(status)
  expect(answer.body).toContain('<soap:Fault>')
  expect(answer.body).toContain(code)
  expect(answer.body).not.toContain('<Ack>')
  expect(people.size).toBe(before)
})

test('the session id is in no file and no line of the log', () => {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  expect(files.length).toBeGreaterThan(1)
  for (const file of files) expect(readFileSync(join(file.parentPath, file.name)).includes('AQcAQ')).toBe(false)
  expect(lines.join('\n')).not.toContain('AQcAQ')
})

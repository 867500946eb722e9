import { createHmac } from 'node:crypto'
import { NOW_MS, ORG, request, SECRET, STANDARD_SECRET } from './fixture-hub.ts'

/** One good message of every format: what bad ones are made of, and what must still be taken after each of them. */
export interface Good {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

const E11 = 'http://schemas.xmlsoap.org/soap/envelope/'

export const envelope = (body: string, header = '', uri = E11): string =>
  `<?xml version="1.0" encoding="UTF-8"?><e:Envelope xmlns:e="${uri}">${header}<e:Body>${body}</e:Body></e:Envelope>`

export const salesforceBody = (notifications: string, org = ORG): string =>
  envelope(
    `<notifications xmlns="http://soap.sforce.com/2005/09/outbound"><OrganizationId>${org}</OrganizationId><ActionId>04kx</ActionId><SessionId>00Dsecret</SessionId><EnterpriseUrl>https://x/secret</EnterpriseUrl><PartnerUrl>https://y</PartnerUrl>${notifications}</notifications>`,
  )

export const notification = (id: string, fields: string): string =>
  `<Notification><Id>${id}</Id><sObject xsi:type="sf:Contact" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:sf="urn:sobject.enterprise.soap.sforce.com">${fields}</sObject></Notification>`

export const good = {
  json: {
    path: '/json',
    headers: { 'content-type': 'application/json' },
    body: '{"id":"007","name":"Ada é","rev":3,"tags":["a","b"]}',
  },
  xml: {
    path: '/xml',
    headers: { 'content-type': 'application/xml' },
    body: '<?xml version="1.0"?><item no="1"><id>007</id><name>Ada é</name><part>a</part></item>',
  },
  soap: {
    path: '/soap',
    headers: { 'content-type': 'text/xml; charset=utf-8', soapaction: '"urn:c/put"' },
    body: envelope('<Put xmlns="urn:c"><id>007</id><name>Ada é</name></Put>'),
  },
  form: {
    path: '/form',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: 'id=007&name=Ada+%C3%A9',
  },
  multipart: {
    path: '/multipart',
    headers: { 'content-type': 'multipart/form-data; boundary=cut' },
    body: '--cut\r\nContent-Disposition: form-data; name="id"\r\n\r\n007\r\n--cut\r\nContent-Disposition: form-data; name="f"; filename="a.bin"\r\nContent-Type: application/octet-stream\r\n\r\nxyz\r\n--cut--\r\n',
  },
  csv: { path: '/csv', headers: { 'content-type': 'text/csv' }, body: 'id,name\r\n007,"Ada, ""é"""\r\n008,Bob\r\n' },
  text: { path: '/text', headers: { 'content-type': 'text/plain' }, body: '007' },
  salesforce: {
    path: '/salesforce',
    headers: { 'content-type': 'text/xml; charset=utf-8', soapaction: '""' },
    body: salesforceBody(notification('04l1', '<sf:Id>003x</sf:Id><sf:LastName>Ada é</sf:LastName>')),
  },
} as const satisfies Record<string, Good>

export type Kind = keyof typeof good

export const goodRequest = (kind: Kind): Buffer => request(good[kind].path, good[kind].body, good[kind].headers)

/** Headers of a message signed at `atMs` with `secret`. */
export function signed(
  body: string,
  given: { atMs?: number; secret?: string; stamp?: string } = {},
): Record<string, string> {
  const stamp = given.stamp ?? String(Math.floor((given.atMs ?? NOW_MS) / 1000))
  const mac = createHmac('sha256', given.secret ?? SECRET)
    .update(`${stamp}.${body}`)
    .digest('hex')
  return { 'content-type': 'application/json', 'x-timestamp': stamp, 'x-signature': `sha256=${mac}` }
}

export function standard(
  body: string,
  given: { id?: string; stamp?: string; signedId?: string } = {},
): Record<string, string> {
  const { id = 'msg_1', stamp = String(NOW_MS / 1000) } = given
  const key = Buffer.from(STANDARD_SECRET.slice(6), 'base64')
  const mac = createHmac('sha256', key)
    .update(`${given.signedId ?? id}.${stamp}.${body}`)
    .digest('base64')
  return {
    'content-type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': stamp,
    'webhook-signature': `v1,${mac}`,
  }
}

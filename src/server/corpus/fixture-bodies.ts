import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { envelope, good, type Kind, notification, salesforceBody } from './fixture-good.ts'
import { BODY_BYTES_MAX, ORG, request } from './fixture-hub.ts'

/** A message that must be refused, and with which codes. */
export interface Bad {
  readonly name: string
  readonly bytes: Buffer
  readonly codes: readonly string[]
}

const MALFORMED = ['intake.malformed']
const FORBIDDEN = ['intake.forbidden']
const TOO_LARGE = ['intake.too-large']
const TYPE = ['intake.unsupported-type']
const SHAPE = ['intake.shape']

const bad = (
  kind: Kind,
  name: string,
  body: Uint8Array | string,
  codes: readonly string[],
  headers: Readonly<Record<string, string>> = {},
): Bad => ({
  name: `${kind}: ${name}`,
  bytes: request(good[kind].path, body, { ...good[kind].headers, ...headers }),
  codes,
})

const many = (kind: Kind, codes: readonly string[], bodies: Readonly<Record<string, string | Uint8Array>>): Bad[] =>
  Object.entries(bodies).map(([name, body]) => bad(kind, name, body, codes))

/** Cut anywhere, no format is whole any more. */
export function truncated(): Bad[] {
  const kinds: readonly Kind[] = ['json', 'xml', 'soap', 'salesforce', 'multipart']
  return kinds.flatMap((kind) => {
    const whole = Buffer.from(good[kind].body)
    const cuts = Math.min(25, whole.length - 4)
    return Array.from({ length: cuts }, (_, i) => {
      const at = Math.floor((i * (whole.length - 4)) / cuts)
      return bad(kind, `cut at ${at}`, whole.subarray(0, at), ['intake.malformed'])
    })
  })
}

const NOT_UTF8: Readonly<Record<string, readonly number[]>> = {
  'a lone continuation': [0x80],
  'a lead without its rest': [0xc3],
  'an overlong slash': [0xc0, 0xaf],
  'an overlong of three': [0xe0, 0x80, 0xaf],
  'an overlong of four': [0xf0, 0x80, 0x80, 0xaf],
  'a surrogate': [0xed, 0xa0, 0x80],
  'beyond Unicode': [0xf4, 0x90, 0x80, 0x80],
  'a sequence of five': [0xf8, 0x88, 0x80, 0x80, 0x80],
  FE: [0xfe],
  FF: [0xff],
  'latin1 undeclared': [0xe9],
  'cut at the end': [0xe2, 0x82],
}

export function notUtf8(): Bad[] {
  const kinds: readonly Kind[] = ['json', 'xml', 'soap', 'form', 'multipart', 'csv', 'text']
  return kinds.flatMap((kind) => {
    const at = good[kind].body.indexOf('007') + 1
    const [before, after] = [Buffer.from(good[kind].body.slice(0, at)), Buffer.from(good[kind].body.slice(at))]
    return Object.entries(NOT_UTF8).map(([name, bytes]) =>
      bad(kind, name, Buffer.concat([before, Buffer.from(bytes), after]), MALFORMED),
    )
  })
}

export function wrongType(): Bad[] {
  const types = [
    'application/json',
    'text/html',
    'application/xml',
    'application/soap+xml',
    'application/x-www-form-urlencoded',
    'multipart/mixed; boundary=cut',
    'multipart/form-data',
    'text/csv',
    'text/plain',
    'application/octet-stream',
    'application/json; charset=utf-16',
    'text/plain; charset=utf-7',
    'nonsense',
    'application/json, text/plain',
    '*/*',
  ]
  const own: Readonly<Record<Kind, RegExp>> = {
    json: /^application\/json$/,
    xml: /\/(soap\+)?xml/,
    soap: /^$/,
    salesforce: /^$/,
    form: /urlencoded/,
    multipart: /form-data/,
    csv: /csv/,
    text: /^text\/plain$/,
  }
  const kinds = Object.keys(own) as Kind[]
  return kinds.flatMap((kind) =>
    types
      .filter((type) => !own[kind].test(type))
      .map((type) =>
        // A SOAP 1.1 envelope that is sent as 1.2 is of the wrong type; the action is in the type then, and absent.
        bad(kind, `sent as ${type}`, good[kind].body, [...TYPE, ...(type === 'multipart/form-data' ? MALFORMED : [])], {
          'content-type': type,
        }),
      ),
  )
}

export function compressed(): Bad[] {
  const bomb = Buffer.alloc(20 * BODY_BYTES_MAX, 32)
  const half = Buffer.alloc(BODY_BYTES_MAX / 2, 32)
  const kinds: readonly Kind[] = ['json', 'xml', 'soap', 'form', 'multipart', 'csv', 'text']
  const coders = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync } as const
  const bombs = Object.fromEntries(
    Object.entries(coders).map(([coding, compress]) => [coding, { bomb: compress(bomb), half: compress(half) }]),
  )
  return kinds.flatMap((kind) =>
    Object.entries(coders).flatMap(([coding, compress]) => {
      const coded = { 'content-encoding': coding }
      const whole = compress(Buffer.from(good[kind].body))
      return [
        bad(kind, `${coding} bomb`, bombs[coding]?.bomb as Buffer, TOO_LARGE, coded),
        bad(kind, `${coding} that shrinks more than 100 times`, bombs[coding]?.half as Buffer, TOO_LARGE, coded),
        bad(kind, `${coding} cut`, whole.subarray(0, whole.length - 6), MALFORMED, coded),
        bad(kind, `not ${coding}`, good[kind].body, MALFORMED, coded),
        bad(kind, `${coding} twice`, compress(whole), [...MALFORMED, ...SHAPE], coded),
      ]
    }),
  )
}

export const codings = (): Bad[] =>
  ['zstd', 'compress', 'gzip, gzip', 'identity, gzip', '__proto__', 'toString', 'gzip;q=1', 'x'.repeat(500)].map(
    (coding) => bad('json', `the coding ${coding.slice(0, 20)}`, good.json.body, TYPE, { 'content-encoding': coding }),
  )

export function json(): Bad[] {
  return [
    ...many('json', MALFORMED, {
      nothing: '',
      space: '  \n',
      'depth 100,000': '['.repeat(100_000),
      'closed depth 100,000': '['.repeat(100_000) + ']'.repeat(100_000),
      'objects to depth 10,000': '{"a":'.repeat(10_000),
      'depth 257': `{"id":1,"a":${'['.repeat(257)}${']'.repeat(257)}}`,
      'a number with a leading zero': '{"id":01}',
      'a plus': '{"id":+1}',
      'a bare point': '{"id":.5}',
      'a point at the end': '{"id":1.}',
      hex: '{"id":0x1f}',
      NaN: '{"id":NaN}',
      Infinity: '{"id":-Infinity}',
      undefined: '{"id":undefined}',
      'single quotes': "{'id':1}",
      'no quotes': '{id:1}',
      'a comment': '{"id":1/*x*/}',
      'a line comment': '{"id":1}//x',
      'a comma at the end': '{"id":1,}',
      'two commas': '{"id":1,,"b":2}',
      'no comma': '{"id":1 "b":2}',
      'two documents': '{"id":1}{"id":2}',
      'lines of JSON': '{"id":1}\n{"id":2}',
      'a closing bracket more': '{"id":1}]',
      'a raw line end in a string': '{"id":"a\nb"}',
      'a raw tab in a string': '{"id":"a\tb"}',
      'a NUL in a string': '{"id":"a\u0000b"}',
      'a NUL behind': '{"id":1}\u0000',
      'an escape that is none': '{"id":"\\x41"}',
      'a short escape': '{"id":"\\u12"}',
      'half a pair': '{"id":"\\ud800"}',
      'the other half': '{"id":"\\udc00x"}',
      'pair the wrong way round': '{"id":"\\udc00\\ud800"}',
      'half a pair in a key': '{"id":1,"\\udfff":2}',
      'a mark twice': '\ufeff\ufeff{"id":1}',
      'a mark in the middle': '{\ufeff"id":1}',
      'UTF-16 LE': Buffer.from('{"id":1,"n":"é"}', 'utf16le'),
      'UTF-16 LE with a mark': Buffer.from('\ufeff{"id":1}', 'utf16le'),
      'UTF-16 BE with a mark': Buffer.from('\ufeff{"id":1}', 'utf16le').swap16(),
      'UTF-32': Buffer.from([0xff, 0xfe, 0, 0, 0x7b, 0, 0, 0]),
      'a no-break space': '\u00a0{"id":1}',
      XML: good.xml.body,
      'a form': good.form.body,
      'a nesting that never closes and is long': `{"id":1,"a":"${'\\"'.repeat(50_000)}`,
    }),
    ...many('json', FORBIDDEN, {
      'a key twice': '{"id":1,"id":2}',
      'a key twice, spaced': '{"id" :1,"id" :2}',
      'a key twice by escape': '{"id":1,"\\u0069d":2}',
      'a key twice, deep': '{"id":1,"a":[{"b":{"c":1,"c":1}}]}',
      'an empty key twice': '{"id":1,"":1,"":2}',
      'a key twice, far apart': `{"id":1,${Array.from({ length: 999 }, (_, i) => `"k${i}":${i}`).join()},"k0":1}`,
      'a key twice with colons in strings': '{"id":"a\\":b","x":"\\":","x":1}',
      __proto__: '{"id":1,"__proto__":{"isAdmin":true}}',
      '__proto__ in a list': '[{"id":1,"a":{"__proto__":1}}]',
      '__proto__ by escape': '{"id":1,"\\u005f_proto__":{}}',
      '__proto__ null': '{"id":1,"__proto__":null}',
      'constructor.prototype': '{"id":1,"constructor":{"prototype":{"x":1}}}',
      'constructor.prototype, deep': '{"id":1,"a":[{"constructor":{"prototype":{}}}]}',
    }),
    ...many('json', SHAPE, {
      'a number': '1',
      'a text': '"id"',
      null: 'null',
      'no id': '{"name":"x"}',
      'an id that is an object': '{"id":{}}',
      'an id that is null': '{"id":null}',
      'an empty id': '{"id":""}',
      'an id with a NUL': '{"id":"a\\u0000"}',
      'an id of 600 characters': `{"id":"${'a'.repeat(600)}"}`,
      'a list with one bad record': '[{"id":1},{"x":2},{"id":3}]',
      'a list of numbers': '[1,2,3]',
      'a list of lists': '[[{"id":1}]]',
    }),
    ...many('json', TOO_LARGE, { 'more records than one message may have': `[${'{"id":1},'.repeat(10_000)}{"id":1}]` }),
  ]
}

const dtd = (inner: string, body = '&x;'): string =>
  `<?xml version="1.0"?><!DOCTYPE item [${inner}]><item><id>${body}</id></item>`

export function markup(): Bad[] {
  const laughs = Array.from({ length: 10 }, (_, i) => `<!ENTITY l${i + 1} "${`&l${i};`.repeat(10)}">`).join('')
  const refused: Readonly<Record<string, string>> = {
    'a billion laughs': dtd(`<!ENTITY l0 "lol">${laughs}`, '&l10;'),
    'quadratic blow-up': dtd(`<!ENTITY x "${'a'.repeat(50_000)}">`, '&x;'.repeat(1_000)),
    'an external file': dtd('<!ENTITY x SYSTEM "file:///etc/passwd">'),
    'an external URL': dtd('<!ENTITY x SYSTEM "http://127.0.0.1:1/x">'),
    'a public entity': dtd('<!ENTITY x PUBLIC "-//x" "http://127.0.0.1:1/x">'),
    'a parameter entity': dtd('<!ENTITY % p SYSTEM "http://127.0.0.1:1/p"> %p;', 'a'),
    'an entity of itself': dtd('<!ENTITY x "&x;">'),
    'an external subset': '<!DOCTYPE item SYSTEM "http://127.0.0.1:1/x.dtd"><item><id>1</id></item>',
    'an attribute default': dtd('<!ATTLIST item a CDATA "b">', '1'),
    'an empty document type': '<!DOCTYPE item><item><id>1</id></item>',
    'an internal entity': dtd('<!ENTITY x "1">'),
    'an include':
      '<item xmlns:xi="http://www.w3.org/2001/XInclude"><id>1</id><xi:include href="file:///etc/passwd" parse="text"/></item>',
    __proto__: '<item><id>1</id><__proto__><x>1</x></__proto__></item>',
    'two namespaces in one field': '<item xmlns:a="urn:a"><id>1</id><a:id>2</a:id></item>',
  }
  const malformed: Readonly<Record<string, string | Uint8Array>> = {
    nothing: '',
    'only a declaration': '<?xml version="1.0"?>',
    'depth 100,000': '<item>'.repeat(100_000),
    '10,000 attributes': `<item ${Array.from({ length: 10_000 }, (_, i) => `a${i}="1"`).join(' ')}><id>1</id></item>`,
    'a late declaration': ' <?xml version="1.0"?><item><id>1</id></item>',
    'an unknown entity': '<item><id>&nbsp;</id></item>',
    'a bare ampersand': '<item><id>a & b</id></item>',
    'a bare less-than': '<item><id>a < b</id></item>',
    'an attribute without quotes': '<item a=b><id>1</id></item>',
    'an attribute twice': '<item a="1" a="2"><id>1</id></item>',
    'an attribute twice by namespace': '<item xmlns:p="u" xmlns:q="u" p:a="1" q:a="2"><id>1</id></item>',
    'tags that cross': '<item><id><b></id></b></item>',
    'another end tag': '<item><id>1</id></itme>',
    'two roots': '<item><id>1</id></item><item/>',
    'text behind': '<item><id>1</id></item>x',
    'text before': 'x<item><id>1</id></item>',
    'an unbound prefix': '<item><p:id>1</p:id></item>',
    'a control character': '<item><id>\u0001</id></item>',
    'a control character by reference': '<item><id>&#1;</id></item>',
    'a NUL by reference': '<item><id>&#0;</id></item>',
    'a surrogate by reference': '<item><id>&#xD800;</id></item>',
    'beyond Unicode by reference': '<item><id>&#x110000;</id></item>',
    'a comment with --': '<item><!-- a -- b --><id>1</id></item>',
    'a comment that never ends': '<item><!-- <id>1</id></item>',
    'CDATA that never ends': '<item><id><![CDATA[1</id></item>',
    ']]> in text': '<item><id>]]></id></item>',
    'the name xml as an instruction': '<item><?xml version="1.0"?><id>1</id></item>',
    'UTF-16 cut inside a character': Buffer.from('\ufeff<item><id>1</id></item>', 'utf16le').subarray(0, -1),
    'UTF-32': Buffer.from([0xff, 0xfe, 0, 0, 0x3c, 0, 0, 0]),
    JSON: good.json.body,
  }
  return [
    ...many('xml', FORBIDDEN, refused),
    ...many('xml', MALFORMED, malformed),
    ...many('xml', SHAPE, {
      'another root': '<thing><id>1</id></thing>',
      'mixed content': '<item>a<id>1</id>b</item>',
      'no id': '<item><name>a</name></item>',
      'an id with parts': '<item><id><a>1</a></id></item>',
      'an id twice': '<item><id>1</id><id>2</id></item>',
      'an empty id': '<item><id/></item>',
      'a nil id': '<item xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><id xsi:nil="true"/></item>',
    }),
    ...many('xml', TOO_LARGE, {
      'more elements than any document has': `<item><id>1</id>${'<a/>'.repeat(60_000)}</item>`,
    }),
    bad(
      'xml',
      'a charset against its declaration',
      '<?xml version="1.0" encoding="iso-8859-1"?><item><id>é</id></item>',
      MALFORMED,
      { 'content-type': 'application/xml; charset=utf-8' },
    ),
    bad('xml', 'a mark against its charset', Buffer.from('\ufeff<item><id>1</id></item>', 'utf16le'), MALFORMED, {
      'content-type': 'application/xml; charset=utf-8',
    }),
    ...['UTF-7', 'EBCDIC-CP-US', 'x-user-defined', '__proto__'].map((name) =>
      bad('xml', `the encoding ${name}`, `<?xml version="1.0" encoding="${name}"?><item><id>1</id></item>`, [
        ...TYPE,
        ...MALFORMED,
      ]),
    ),
  ]
}

export function soapMessages(): Bad[] {
  const put = '<Put xmlns="urn:c"><id>1</id></Put>'
  const must = (more = '', inner = ''): string =>
    `<e:Header><t:Tx xmlns:t="urn:t" e:mustUnderstand="1"${more}>${inner}</t:Tx></e:Header>`
  const security =
    '<e:Header><w:Security xmlns:w="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd" e:mustUnderstand="true"/></e:Header>'
  return [
    ...many('soap', SHAPE, {
      'no envelope': put,
      'no body': envelope('').replace('<e:Body></e:Body>', ''),
      'an empty body': envelope(''),
      'two requests': envelope(put + put),
      'two bodies': envelope(`${put}</e:Body><e:Body>${put}`),
      'a header behind': envelope(`${put}</e:Body><e:Header/><e:Body>`),
      'something behind the body': envelope(`${put}</e:Body><x/><e:Body>`).replace('<e:Body></e:Body>', ''),
      'text in the envelope': envelope(put).replace('<e:Body>', 'x<e:Body>'),
      'another request': envelope('<Get xmlns="urn:c"/>'),
      'another namespace': envelope('<Put xmlns="urn:d"><id>1</id></Put>'),
      'no namespace': envelope('<Put><id>1</id></Put>'),
      'a body of no namespace': envelope(put).replaceAll('e:Body', 'Body'),
      'a fault': envelope('<e:Fault><faultcode>e:Client</faultcode></e:Fault>'),
      'no id': envelope('<Put xmlns="urn:c"/>'),
      'mustUnderstand that is neither': envelope(put, must().replace('="1"', '="perhaps"')),
      'wrapped once more': envelope(envelope(put).replace(/^<\?xml[^>]*>/, '')),
    }),
    ...many('soap', ['intake.must-understand'], {
      'a header that must be understood': envelope(put, must()),
      'for the next': envelope(put, must(' e:actor="http://schemas.xmlsoap.org/soap/actor/next"')),
      'for the last': envelope(put, must(' e:actor=""')),
      'WS-Security': envelope(put, security),
      'the second of two': envelope(put, must().replace('<e:Header>', '<e:Header><a/>')),
    }),
    ...many('soap', ['intake.soap-version'], {
      'a version of no kind': envelope(put, '', 'urn:soap'),
      'a version to come': envelope(put, '', 'http://www.w3.org/2030/01/soap-envelope'),
    }),
    ...many('soap', FORBIDDEN, {
      entities: `<!DOCTYPE a [<!ENTITY x "1">]>${envelope(put).replace(/^<\?xml[^>]*>/, '')}`,
    }),
    bad('soap', '1.2 sent as 1.1', envelope(put, '', 'http://www.w3.org/2003/05/soap-envelope'), TYPE),
    ...['', '"urn:c/get"', 'urn:c/pu', '""', '"urn:c/put" "x"', '"URN:C/PUT"', "'urn:c/put'"].map((action) =>
      bad('soap', `the action ${action || 'left out'}`, envelope(put), ['intake.soap-action'], { soapaction: action }),
    ),
    ...['urn:c/get', 'x'].map((action) =>
      bad(
        'soap',
        `1.2 with the action ${action}`,
        envelope(put, '', 'http://www.w3.org/2003/05/soap-envelope'),
        ['intake.soap-action'],
        { 'content-type': `application/soap+xml; action="${action}"` },
      ),
    ),
    bad('salesforce', 'another organisation', salesforceBody(notification('1', '<sf:Id>1</sf:Id>'), '00Dother'), [
      'intake.unauthenticated',
    ]),
    bad(
      'salesforce',
      'no organisation',
      salesforceBody(notification('1', '<sf:Id>1</sf:Id>')).replace(`<OrganizationId>${ORG}</OrganizationId>`, ''),
      ['intake.unauthenticated'],
    ),
    bad(
      'salesforce',
      'one record of three without an id',
      salesforceBody(
        notification('1', '<sf:Id>1</sf:Id>') +
          notification('2', '<sf:Name>x</sf:Name>') +
          notification('3', '<sf:Id>3</sf:Id>'),
      ),
      SHAPE,
    ),
    bad(
      'salesforce',
      'a notification without a record',
      salesforceBody('<Notification><Id>1</Id></Notification>'),
      SHAPE,
    ),
    bad('salesforce', 'another message', envelope('<query xmlns="urn:enterprise.soap.sforce.com"/>'), SHAPE),
  ]
}

export function forms(): Bad[] {
  const part = (name: string, value = '007', more = ''): string =>
    `--cut\r\nContent-Disposition: form-data; name="${name}"${more}\r\n\r\n${value}\r\n`
  const end = '--cut--\r\n'
  const raw = (boundary: string): Bad =>
    bad(
      'multipart',
      `the boundary ${boundary.slice(0, 30)}`,
      good.multipart.body,
      [...MALFORMED, ...(boundary.includes(';') ? TYPE : [])],
      {
        'content-type': `multipart/form-data; boundary=${boundary}`,
      },
    )
  return [
    ...many('form', MALFORMED, {
      'a bare %': 'id=1%',
      'a short escape': 'id=%4',
      'an escape that is none': 'id=%zz',
      'an escape of half a character': 'id=%C3',
      'an escape of a surrogate': 'id=%ED%A0%80',
      'a NUL': 'id=1\u0000',
    }),
    ...many('form', FORBIDDEN, {
      'a field twice': 'id=1&id=2',
      'a field twice by escape': 'id=1&%69d=2',
      __proto__: 'id=1&__proto__=x',
    }),
    ...many('form', SHAPE, { nothing: '', 'no id': 'name=x', 'an empty id': 'id=', 'another case': 'ID=1' }),
    ...many('form', TOO_LARGE, { 'more fields than any form': `id=1${'&a=1'.repeat(10_001)}` }),
    ...many('multipart', MALFORMED, {
      nothing: '',
      'no boundary in it': 'id=1',
      'no end': part('id'),
      'no name': '--cut\r\nContent-Disposition: form-data\r\n\r\n1\r\n--cut--',
      'not form-data': '--cut\r\nContent-Disposition: attachment; name="id"\r\n\r\n1\r\n--cut--',
      'no disposition': '--cut\r\nContent-Type: text/plain\r\n\r\n1\r\n--cut--',
      'no headers': '--cut\r\n\r\n1\r\n--cut--',
      'headers that never end': '--cut\r\nContent-Disposition: form-data; name="id"\r\n1\r\n--cut--',
      'a header that is none': '--cut\r\nContent-Disposition form-data\r\n\r\n1\r\n--cut--',
      'a header twice':
        '--cut\r\nContent-Disposition: form-data; name="id"\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n--cut--',
      'a folded header': '--cut\r\nContent-Disposition: form-data;\r\n name="id"\r\n\r\n1\r\n--cut--',
      base64: `--cut\r\nContent-Disposition: form-data; name="id"\r\nContent-Transfer-Encoding: base64\r\n\r\nMQ==\r\n--cut--`,
      'something after a boundary': `--cutX\r\n${part('id')}${end}`,
      'bare line ends': (part('id') + end).replaceAll('\r\n', '\n'),
      'a huge header': `--cut\r\nContent-Disposition: form-data; name="${'a'.repeat(20_000)}"\r\n\r\n1\r\n--cut--`,
    }),
    ...many('multipart', FORBIDDEN, {
      'a field twice': part('id') + part('id') + end,
      __proto__: part('id') + part('__proto__') + end,
    }),
    ...many('multipart', SHAPE, {
      'no id': part('x') + end,
      'an id that is a file': part('id', 'x', '; filename="a"') + end,
      'no parts': end,
    }),
    ...many('multipart', TOO_LARGE, {
      'more parts than any form': Array.from({ length: 1_100 }, (_, i) => part(`f${i}`)).join('') + end,
    }),
    ...['""', 'other', '"a b "', `"${'x'.repeat(80)}"`, '"c\u00e9"', 'a;boundary=b'].map(raw),
    ...many('csv', MALFORMED, {
      nothing: '',
      'a quote inside': 'id,name\r\n1,a"b\r\n',
      'a quote that never closes': 'id,name\r\n1,"ab\r\n',
      'something behind a quote': 'id,name\r\n1,"a"b\r\n',
      'too few fields': 'id,name\r\n1\r\n',
      'too many fields': 'id,name\r\n1,a,b\r\n',
      'a blank line': 'id,name\r\n1,a\r\n\r\n2,b\r\n',
      'an empty name': 'id,\r\n1,a\r\n',
      'more columns than any table': `${Array.from({ length: 3_000 }, (_, i) => `c${i}`).join()}\r\n`,
      'a NUL': 'id\r\n\u0000\r\n',
      'a semicolon instead': 'id;name\r\n1;a,b\r\n',
    }),
    ...many('csv', FORBIDDEN, { 'a name twice': 'id,id\r\n1,2\r\n', __proto__: 'id,__proto__\r\n1,2\r\n' }),
    ...many('csv', SHAPE, { 'no id': 'name\r\na\r\n', 'an empty id in row 2': 'id,n\r\n1,a\r\n,b\r\n' }),
    ...many('csv', TOO_LARGE, { 'more rows than one message may have': `id\r\n${'1\r\n'.repeat(10_001)}` }),
    ...many('text', SHAPE, { nothing: '', 'an id of 600 characters': 'a'.repeat(600) }),
    ...many('text', MALFORMED, {
      'a NUL': 'a\u0000b',
      'UTF-32': Buffer.from([0xff, 0xfe, 0, 0, 0x31, 0, 0, 0]),
      'UTF-16 that is cut': Buffer.from([0xff, 0xfe, 0x31]),
    }),
  ]
}

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { dataOf, decoded, refusalOf } from './fixture.ts'
import { compileFormat, xml } from './index.ts'
import { NOT_XML } from './xml-write.ts'

const order = xml({ root: 'order', lists: ['lines.line'], types: { 'lines.line.qty': 'number', paid: 'boolean' } })

describe('reading', () => {
  test('text is kept to the character, and only declared elements are numbers', () => {
    const message = `<?xml version="1.0"?>
<order id="007"><zip>01234</zip><note>  a &lt; b &#13;<![CDATA[<&>]]> </note><paid>true</paid><empty/>
  <lines><line no="1"><qty>1.50</qty></line></lines></order>`
    expect(dataOf(order, message)).toEqual({
      '@id': '007',
      zip: '01234',
      note: '  a < b \r<&> ',
      paid: true,
      empty: '',
      lines: { line: [{ '@no': '1', qty: 1.5 }] },
    })
  })

  test('a declared list is one with none, one and several; an undeclared one only with several', () => {
    expect(dataOf(order, '<order><lines/></order>')).toEqual({ lines: { line: [] } })
    expect(dataOf(order, '<order><lines><line>a</line></lines></order>')).toEqual({ lines: { line: ['a'] } })
    expect(dataOf(order, '<order><tag>a</tag></order>')).toEqual({ tag: 'a' })
    expect(dataOf(order, '<order><tag>a</tag><tag>b</tag><tag>c</tag></order>')).toEqual({ tag: ['a', 'b', 'c'] })
  })

  test('nil is null, an empty element the empty text', () => {
    const message = `<order xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><a xsi:nil="true"/><b/><c xsi:type="x">1</c></order>`
    expect(dataOf(order, message)).toEqual({ a: null, b: '', c: '1' })
  })

  test.each<[string, unknown]>([
    ['007', 7],
    ['+1.50', 1.5],
    ['.5', 0.5],
    ['9007199254740993', 9007199254740993n],
    ['0.1234567890123456789', '0.1234567890123456789'],
    ['-0012', -12],
  ])('the number %s', (text, value) => {
    expect(dataOf(order, `<order><lines><line><qty> ${text} </qty></line></lines></order>`)).toEqual({
      lines: { line: [{ qty: value }] },
    })
  })

  test('namespaces decide, prefixes do not', () => {
    const spec = xml({ root: 'o', namespace: 'urn:a', prefixes: { c: 'urn:c' } })
    const message =
      '<x:o xmlns:x="urn:a" xmlns:y="urn:c" xmlns:z="urn:z"><x:id>1</x:id><y:id>2</y:id><z:id>3</z:id></x:o>'
    expect(dataOf(spec, message)).toEqual({ id: '1', 'c:id': '2', '{urn:z}id': '3' })
    expect(refusalOf(() => decoded(spec, '<o><id>1</id></o>'))).toMatch(/^intake\.shape .*namespace/)
    expect(refusalOf(() => decoded(xml({ root: 'o' }), message))).toMatch(/^intake\.forbidden .*would be one field/)
  })

  test('without a root the data has its name; what is to be left out is left out', () => {
    expect(dataOf(xml({ omit: ['session'] }), '<o><session>s</session><a>1</a></o>')).toEqual({ o: { a: '1' } })
  })

  test('the elements of the declared list are documents', () => {
    const result = decoded(
      xml({ root: 'orders', documents: 'order' }),
      '<orders><order>1</order><order>2</order></orders>',
    )
    expect([result.isList, result.documents]).toEqual([true, ['1', '2']])
  })

  test.each<[string, string | Uint8Array, string | undefined, unknown]>([
    ['UTF-8 with a mark', '\ufeff<o>é</o>', undefined, 'é'],
    ['UTF-16 LE with a mark', Buffer.from('\ufeff<o>é</o>', 'utf16le'), undefined, 'é'],
    ['UTF-16 BE with a mark', Buffer.from('\ufeff<o>é</o>', 'utf16le').swap16(), undefined, 'é'],
    ['UTF-16 LE without a mark', Buffer.from('<o>é</o>', 'utf16le'), undefined, 'é'],
    [
      'latin1, declared in the document',
      Buffer.from('<?xml version="1.0" encoding="ISO-8859-1"?><o>é</o>', 'latin1'),
      undefined,
      'é',
    ],
    ['latin1, declared outside', Buffer.from('<o>é</o>', 'latin1'), 'text/xml; charset=iso-8859-1', 'é'],
    [
      'windows-1252',
      Buffer.from([0x3c, 0x6f, 0x3e, 0x80, 0x3c, 0x2f, 0x6f, 0x3e]),
      'text/xml; charset="windows-1252"',
      '€',
    ],
    ['surrogate pairs', '<o>😀&#x1F600;</o>', undefined, '😀😀'],
  ])('%s', (_what, message, type, value) => {
    expect(dataOf(xml({ root: 'o' }), message, { 'content-type': type })).toEqual(value)
  })
})

test('an element that is repeated to the limit is read in time that grows with the message alone', () => {
  const message = `<r>${'<a>1</a>'.repeat(14_990)}</r>`
  expect((dataOf(xml({ root: 'r' }), message) as { a: unknown[] }).a).toHaveLength(14_990)
})

describe('refused', () => {
  test.each<[string, string | Uint8Array, RegExp]>([
    ['a document type', '<!DOCTYPE o><o/>', /^intake\.forbidden .*DOCTYPE/],
    ['entities', '<!DOCTYPE o [<!ENTITY a "b">]><o>&a;</o>', /^intake\.forbidden .*DOCTYPE/],
    ['an unknown entity', '<o>&nbsp;</o>', /^intake\.malformed .*entity/i],
    [
      'an include',
      '<o xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="file:///etc/passwd"/></o>',
      /^intake\.forbidden/,
    ],
    ['depth', '<o>'.repeat(100_000), /^intake\.malformed .*nested deeper/],
    [
      'attributes',
      `<o ${Array.from({ length: 10_000 }, (_, i) => `a${i}="1"`).join(' ')}/>`,
      /^intake\.malformed .*attributes/,
    ],
    [
      'attributes in all',
      `<o>${`<a ${Array.from({ length: 500 }, (_, i) => `b${i}="1"`).join(' ')}/>`.repeat(21)}</o>`,
      /^intake\.too-large/,
    ],
    ['elements', `<o>${'<a/>'.repeat(60_000)}</o>`, /^intake\.too-large/],
    ['bytes', `<o>${'a'.repeat(1_100_000)}</o>`, /^intake\.too-large/],
    ['mixed content', '<o>a<b/>c</o>', /^intake\.shape .*between its elements/],
    ['another root', '<p/>', /^intake\.shape .*root/],
    ['a cut message', '<o><a>', /^intake\.malformed/],
    ['nothing', '', /^intake\.malformed/],
    ['two roots', '<o/><o/>', /^intake\.malformed/],
    ['an unbound prefix', '<o><x:a/></o>', /^intake\.malformed/],
    ['the same attribute twice', '<o a="1" a="2"/>', /^intake\.malformed/],
    ['__proto__', '<o><__proto__><a>1</a></__proto__></o>', /^intake\.forbidden/],
    ['invalid UTF-8', Buffer.from([0x3c, 0x6f, 0x3e, 0xff, 0x3c, 0x2f, 0x6f, 0x3e]), /^intake\.malformed .*UTF-8/],
    ['an unknown encoding', '<?xml version="1.0" encoding="UTF-7"?><o/>', /^intake\.unsupported-type/],
    ['a character that XML has not', '<o>&#1;</o>', /^intake\.malformed/],
  ])('%s', (_what, message, pattern) => {
    expect(refusalOf(() => decoded(xml({ root: 'o' }), message))).toMatch(pattern)
  })

  test('a charset outside that contradicts the one inside', () => {
    const message = '<?xml version="1.0" encoding="iso-8859-1"?><o>é</o>'
    const read = () => decoded(xml({ root: 'o' }), message, { 'content-type': 'text/xml; charset=utf-8' })
    expect(refusalOf(read)).toMatch(/^intake\.malformed .*declaration/)
  })
})

describe('writing', () => {
  const spec = xml({ root: 'o', lists: ['list'] })
  const back = (value: unknown): unknown => {
    const { body } = compileFormat(spec).encode(value as never)
    return dataOf(spec, body)
  }

  test('attributes, text beside them, lists, null, order and prefixes', () => {
    const format = compileFormat(
      xml({ root: 'o', namespace: 'urn:a', prefixes: { c: 'urn:c' }, order: { '': ['b', 'a'], inner: ['y'] } }),
    )
    const value = {
      a: [1, 2n],
      b: null,
      '@id': '<&">',
      inner: { x: true, y: { '@u': 'kg', '#text': '1.50' } },
      'c:n': 'z',
    }
    expect(format.encode(value).body).toBe(
      '<?xml version="1.0" encoding="UTF-8"?>\n<o xmlns="urn:a" xmlns:c="urn:c" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" id="&lt;&amp;&quot;&gt;"><b xsi:nil="true"/><a>1</a><a>2</a><inner><y u="kg">1.50</y><x>true</x></inner><c:n>z</c:n></o>',
    )
  })

  test('what is written is read back, whatever the text', () => {
    const text = fc.string({ unit: 'binary' }).filter((s) => s.isWellFormed() && s.search(NOT_XML) < 0)
    const field = fc.oneof(text, fc.constant(null))
    fc.assert(
      fc.property(field, text, fc.array(field), (a, b, list) => {
        expect(back({ a, '@b': b, list, in: { c: { '@d': b, '#text': `${a ?? ''}.` } } })).toEqual({
          a,
          '@b': b,
          list,
          in: { c: { '@d': b, '#text': `${a ?? ''}.` } },
        })
      }),
    )
  })

  test.each<[string, unknown, RegExp]>([
    ['a control character', { a: '\u0001' }, /a holds a control character/],
    ['half a surrogate pair', { a: '\ud800' }, /surrogate/],
    ['a name that is none', { 'a b': 1 }, /cannot be the name/],
    ['a name that would be markup', { 'a><b': 1 }, /cannot be the name/],
    ['an unknown prefix', { 'p:a': 1 }, /prefix p/],
    ['a list of lists', { a: [[1]] }, /list of lists/],
    ['a record as an attribute', { '@a': { b: 1 } }, /attribute/],
  ])('refuses %s', (_what, value, pattern) => {
    expect(refusalOf(() => compileFormat(spec).encode(value as never))).toMatch(pattern)
  })
})

/**
 * PostgreSQL's text holds neither NUL nor half of a surrogate pair, and ids are whatever applications send. Such characters, and the backslash that stands before
 * them, are escaped; nearly no text has any, and then it is stored as it is.
 */
export function toPgText(text: string): string {
  return NEEDS_ESCAPE.test(text)
    ? text.replace(ESCAPED, (unit) => '\\' + unit.charCodeAt(0).toString(16).padStart(4, '0'))
    : text
}

/** The inverse of `toPgText`. */
export function fromPgText(text: string): string {
  return text.includes('\\')
    ? text.replace(/\\([0-9a-f]{4})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    : text
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: NUL is what is looked for.
const ESCAPED = /[\\\u0000]|[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g
// biome-ignore lint/suspicious/noControlCharactersInRegex: NUL is what is looked for.
const NEEDS_ESCAPE = /[\\\u0000\uD800-\uDFFF]/

import type { NativeData } from '../model/value.ts'
import { compileFormat } from './compile.ts'
import { FORMAT_LIMITS, type MessageHeaders } from './format.ts'
import { parseJsonReply } from './json.ts'
import { checkName, newFields } from './plain.ts'
import type { FormatSpec } from './spec.ts'
import { createXmlReader } from './xml-data.ts'
import { parseXml } from './xml-tree.ts'

/** Reads what an application answered. Throws an `intake.` error for what cannot be read. */
export type ReplyReader = (bytes: Uint8Array, headers: MessageHeaders) => NativeData

/**
 * How replies of one resource are read: more patient than a listener, because an application cannot be asked to answer again corrected. XML with another
 * root than the declared one (a list of records, an error) is `{ <its name>: <its content> }`.
 */
export function compileReply(spec: FormatSpec): ReplyReader {
  if (spec.kind === 'json') return parseJsonReply
  if (spec.kind !== 'xml') {
    const format = compileFormat(spec)
    return (bytes, headers) => format.decode(bytes, headers, FORMAT_LIMITS).data
  }
  const reader = createXmlReader(spec)
  return (bytes, headers) => {
    const root = parseXml(bytes, headers['content-type'], FORMAT_LIMITS)
    const content = reader.read(root)
    if (root.local === spec.root) return content
    checkName(root.local)
    const data = newFields([])
    data[root.local] = content
    return data
  }
}

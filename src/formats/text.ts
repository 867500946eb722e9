import { SyncError } from '../errors/index.ts'
import { decodeText } from './charset.ts'
import { type Format, singleDocument } from './format.ts'
import { checkName, isScalar, newFields, textOf } from './plain.ts'
import { charsetIn, checkBytes, checkType, problemJson } from './refuse.ts'
import type { TextSpec } from './spec.ts'

/** Plain text: one field that holds it all, not a character changed. */
export function textFormat(spec: TextSpec): Format {
  checkName(spec.field)
  return {
    spec,
    contentType: 'text/plain; charset=utf-8',
    decode(bytes, headers, limits) {
      checkBytes(bytes, limits)
      const type = headers['content-type']
      checkType(type, ['text/plain'])
      const fields = newFields([])
      fields[spec.field] = decodeText(bytes, charsetIn(type))
      return singleDocument(fields)
    },
    encode(value) {
      const inner =
        typeof value === 'object' && value !== null && !Array.isArray(value) && Object.hasOwn(value, spec.field)
          ? (value as { readonly [name: string]: typeof value })[spec.field]
          : value
      if (inner === undefined || !isScalar(inner))
        throw new SyncError(
          'format.unwritable',
          `plain text is made of the field ${spec.field}, which is not one text.`,
        )
      return { contentType: 'text/plain; charset=utf-8', body: textOf(inner) }
    },
    fault: problemJson,
  }
}

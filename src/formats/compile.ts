import { csvFormat } from './csv.ts'
import { formFormat } from './form.ts'
import type { Format } from './format.ts'
import { jsonFormat } from './json.ts'
import { multipartFormat } from './multipart.ts'
import { soapFormat } from './soap.ts'
import type { FormatSpec } from './spec.ts'
import { textFormat } from './text.ts'
import { xmlFormat } from './xml.ts'

/** The format that a specification describes; what does not depend on a message is worked out here, once. */
export function compileFormat(spec: FormatSpec): Format {
  switch (spec.kind) {
    case 'json':
      return jsonFormat
    case 'xml':
      return xmlFormat(spec)
    case 'soap':
      return soapFormat(spec)
    case 'form':
      return formFormat(spec)
    case 'multipart':
      return multipartFormat(spec)
    case 'csv':
      return csvFormat(spec)
    case 'text':
      return textFormat(spec)
  }
}

export { compileFormat } from './compile.ts'
export {
  type CsvOptions,
  csv,
  type FormOptions,
  form,
  json,
  multipart,
  type SoapOptions,
  soap,
  text,
  type XmlMappingOptions,
  type XmlOptions,
  xml,
} from './declare.ts'
export {
  type Decoded,
  type Encoded,
  FORMAT_LIMITS,
  type Format,
  type FormatLimits,
  type MessageHeaders,
  type Problem,
  type ProblemPart,
} from './format.ts'
export { jsonFormat, parseJson, parseJsonReply, writeJson } from './json.ts'
export { type MediaType, negotiate, parseMediaType } from './media-type.ts'
export { problemJson, problemOf } from './refuse.ts'
export { compileReply, type ReplyReader } from './reply.ts'
export { schemaMapping } from './schema.ts'
export { type SoapCallFormat, type SoapCallSpec, soapAck, soapCallFormat, usernameToken } from './soap.ts'
export type { SoapVersion } from './soap-envelope.ts'
export { type ReceivedFault, soapFault } from './soap-fault.ts'
export type {
  CsvSpec,
  FormatSpec,
  FormSpec,
  JsonSchema,
  JsonSpec,
  MultipartSpec,
  SoapSpec,
  TextSpec,
  XmlMapping,
  XmlSpec,
} from './spec.ts'
export { wsdlOf } from './wsdl.ts'
export { problemXml } from './xml.ts'

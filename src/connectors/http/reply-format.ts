import { compileFormat, type FormatSpec } from '../../formats/index.ts'
import type { HttpResource } from './options.ts'

/** How an application answers: as it is written to, unless that is a form of sending only. */
export function replySpecOf(resource: HttpResource): FormatSpec {
  if (resource.replyFormat !== undefined) return resource.replyFormat
  const { format } = resource
  return format === undefined || (format.kind !== 'xml' && format.kind !== 'soap') ? { kind: 'json' } : format
}

/** The headers of every request, with what this resource wants to be answered in. Names and values in turn, `accept` first. */
export function withAccept(headers: readonly string[], resource: HttpResource): readonly string[] {
  const spec = replySpecOf(resource)
  if (spec.kind === 'json') return headers
  const { contentType } = compileFormat(spec)
  return headers.flatMap((name, i, all) =>
    i % 2 === 1 ? [] : [name, name === 'accept' ? contentType : (all[i + 1] as string)],
  )
}

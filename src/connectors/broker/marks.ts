import { type Lineage, readLineage } from '../../model/lineage.ts'
import type { WriteOp } from '../../ports/app.ts'

/** What messages of a hub say of themselves in headers, so that hubs that hear of each other in a ring know what is theirs. Pure. */

/** The op id of the write that a message tells of: begins with the instance id of its hub. */
const OP_HEADER = 'latchwork-op'
/** All hubs that something in the message went through, the one that sends it among them; for people, and for filters at the broker. */
const VIA_HEADER = 'latchwork-via'
/** By field where its value comes from: JSON, in ASCII. It is what hubs go by. */
const LINEAGE_HEADER = 'latchwork-lineage'

export function marksOf({ op, lineage }: WriteOp): Record<string, string> {
  const [instance = ''] = op.split('.')
  const via = new Set(Object.values(lineage ?? {}).flatMap((one) => one.via))
  via.delete(instance)
  return {
    [OP_HEADER]: op,
    [VIA_HEADER]: [...via, instance].join(','),
    ...(lineage === undefined || Object.keys(lineage).length === 0 ? {} : { [LINEAGE_HEADER]: asciiJson(lineage) }),
  }
}

/** What a message tells of the values in it; null where no hub wrote it, or what stands there is nothing of the kind. */
export function lineageIn(headers: Readonly<Record<string, string>>): Readonly<Record<string, Lineage>> | null {
  const text = headers[LINEAGE_HEADER]
  if (text === undefined) return null
  try {
    return readLineage(JSON.parse(text))
  } catch {
    return null
  }
}

const asciiJson = (value: unknown): string =>
  JSON.stringify(value).replace(/[^ -~]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)

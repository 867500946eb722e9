import type { IncomingMessage } from 'node:http'
import { promisify } from 'node:util'
import { brotliDecompress, gunzip, inflate } from 'node:zlib'
import { SyncError } from '../errors/index.ts'

/** More than JSON of real records ever shrinks; a bomb of zeros shrinks a thousand times. */
const INFLATE_RATIO_MAX = 100
/** Below this a body may shrink as it likes: small repetitive ones do, and they cost nothing. */
const INFLATE_FREE_BYTES = 65_536

const inflaters = {
  gzip: promisify(gunzip),
  'x-gzip': promisify(gunzip),
  deflate: promisify(inflate),
  br: promisify(brotliDecompress),
} as const

const tooLarge = (bytesMax: number): SyncError =>
  new SyncError(
    'intake.too-large',
    `the body is larger than ${bytesMax} bytes. Raise \`limits.bodyBytesMax\`, or let the sender send the id only.`,
  )

/** The refusal of a body by its declared length, before a byte of it is read; null when it may come. */
export function declaredTooLong(request: IncomingMessage, bytesMax: number): SyncError | null {
  const declared = request.headers['content-length']
  return declared !== undefined && Number(declared) > bytesMax ? tooLarge(bytesMax) : null
}

/**
 * The body as sent, in one buffer. `done` gets an error when it grows beyond the limit (reading has stopped then), and neither when the sender goes away. Callbacks,
 * because this runs for every notification.
 */
export function readBody(
  request: IncomingMessage,
  bytesMax: number,
  done: (body: Buffer | null, error: SyncError | null) => void,
): void {
  let first: Buffer | null = null
  let rest: Buffer[] | null = null
  let bytes = 0
  let isDone = false
  const finish = (body: Buffer | null, error: SyncError | null): void => {
    if (isDone) return
    isDone = true
    done(body, error)
  }
  request.on('data', (chunk: Buffer) => {
    if (isDone) return
    bytes += chunk.length
    if (bytes > bytesMax) {
      request.pause()
      finish(null, tooLarge(bytesMax))
    } else if (first === null) first = chunk
    else if (rest === null) rest = [first, chunk]
    else rest.push(chunk)
  })
  request.on('end', () => finish(rest === null ? (first ?? EMPTY) : Buffer.concat(rest), null))
  request.on('error', () => finish(null, null))
}

const EMPTY = Buffer.alloc(0)

/** The body without its content coding. Limited by size and by ratio, so that a small request cannot become a large one. */
export async function inflated(body: Buffer, coding: string, bytesMax: number): Promise<Buffer> {
  const inflater = Object.hasOwn(inflaters, coding) ? inflaters[coding as keyof typeof inflaters] : undefined
  if (inflater === undefined)
    throw new SyncError(
      'intake.unsupported-type',
      `the content coding ${coding.slice(0, 50)} is not one of gzip, deflate, br; send the body without it.`,
    )
  const maxOutputLength = Math.max(1, Math.min(bytesMax, Math.max(INFLATE_FREE_BYTES, body.length * INFLATE_RATIO_MAX)))
  try {
    return await inflater(body, { maxOutputLength })
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(maxOutputLength)
    throw new SyncError(
      'intake.malformed',
      `the body is not well-formed ${coding}: it is broken or breaks off. Nothing was stored.`,
      {
        cause,
      },
    )
  }
}

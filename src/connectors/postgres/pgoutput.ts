/**
 * The messages of PostgreSQL's logical replication (plug-in `pgoutput`, protocol 1), read straight from the bytes. Values stay text, as the server spells them:
 * the library's own parsers lose microseconds and digits, and build an object per change that is thrown away. Hot path.
 */

export interface RelationColumn {
  readonly name: string
  readonly typeOid: number
  readonly isKey: boolean
}

export interface Relation {
  readonly oid: number
  readonly schema: string
  readonly table: string
  /** d default, n nothing, f full, i index. */
  readonly replicaIdentity: string
  readonly columns: readonly RelationColumn[]
}

/** A row as sent: per column its text, null, or undefined for what was not sent (an unchanged value that is stored out of line). */
export type Tuple = readonly (string | null | undefined)[]

export interface PgOutputHandler {
  begin(commitLsn: bigint, commitTimeMs: number, xid: number): void
  commit(endLsn: bigint): void
  relation(relation: Relation): void
  insert(oid: number, row: Tuple): void
  /** `old` is there when a key column changed (then it holds the key columns only) or the replica identity is full. */
  update(oid: number, old: Tuple | null, row: Tuple): void
  delete(oid: number, old: Tuple): void
  truncate(oids: readonly number[]): void
  message(prefix: string, content: string): void
}

/** 2000-01-01, from which PostgreSQL counts microseconds. */
const EPOCH_MS = 946_684_800_000

const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER)

export class PgOutputDecoder {
  readonly #handler: PgOutputHandler
  /** Which columns of a table are wanted; others are stepped over. */
  readonly #wanted: (oid: number) => readonly boolean[] | undefined
  #buffer: Buffer = Buffer.alloc(0)
  #at = 0

  constructor(handler: PgOutputHandler, wanted: (oid: number) => readonly boolean[] | undefined) {
    this.#handler = handler
    this.#wanted = wanted
  }

  /** One message: `buffer` from `start` on. */
  decode(buffer: Buffer, start: number): void {
    this.#buffer = buffer
    this.#at = start + 1
    switch (buffer[start]) {
      case 0x42: {
        const commitLsn = this.#lsn()
        const timeMs = this.#timeMs()
        this.#handler.begin(commitLsn, timeMs, this.#uint32())
        return
      }
      case 0x43:
        this.#at += 9
        this.#handler.commit(this.#lsn())
        return
      case 0x52:
        this.#handler.relation(this.#relation())
        return
      case 0x49: {
        const oid = this.#uint32()
        this.#at += 1
        this.#handler.insert(oid, this.#tuple(oid))
        return
      }
      case 0x55: {
        const oid = this.#uint32()
        const kind = buffer[this.#at++]
        let old: Tuple | null = null
        if (kind !== 0x4e) {
          old = this.#tuple(oid)
          this.#at += 1
        }
        this.#handler.update(oid, old, this.#tuple(oid))
        return
      }
      case 0x44: {
        const oid = this.#uint32()
        this.#at += 1
        this.#handler.delete(oid, this.#tuple(oid))
        return
      }
      case 0x54: {
        const count = this.#uint32()
        this.#at += 1
        this.#handler.truncate(Array.from({ length: count }, () => this.#uint32()))
        return
      }
      case 0x4d: {
        this.#at += 9
        const prefix = this.#text0()
        const length = this.#uint32()
        this.#handler.message(prefix, buffer.toString('utf8', this.#at, this.#at + length))
        return
      }
      // Origin and type messages say nothing that is needed here.
      default:
    }
  }

  #uint32(): number {
    const value = this.#buffer.readUInt32BE(this.#at)
    this.#at += 4
    return value
  }

  #lsn(): bigint {
    const value = this.#buffer.readBigUInt64BE(this.#at)
    this.#at += 8
    return value
  }

  #timeMs(): number {
    const micros = this.#buffer.readBigInt64BE(this.#at)
    this.#at += 8
    return EPOCH_MS + Math.floor(Number(micros > MAX_SAFE ? MAX_SAFE : micros) / 1000)
  }

  #text0(): string {
    const end = this.#buffer.indexOf(0, this.#at)
    const text = this.#buffer.toString('utf8', this.#at, end)
    this.#at = end + 1
    return text
  }

  #relation(): Relation {
    const oid = this.#uint32()
    const schema = this.#text0()
    const table = this.#text0()
    const replicaIdentity = String.fromCharCode(this.#buffer[this.#at++] as number)
    const count = this.#buffer.readUInt16BE(this.#at)
    this.#at += 2
    const columns: RelationColumn[] = []
    for (let i = 0; i < count; i++) {
      const isKey = this.#buffer[this.#at++] === 1
      const name = this.#text0()
      const typeOid = this.#uint32()
      this.#at += 4
      columns.push({ name, typeOid, isKey })
    }
    return { oid, schema: schema === '' ? 'pg_catalog' : schema, table, replicaIdentity, columns }
  }

  #tuple(oid: number): Tuple {
    const wanted = this.#wanted(oid)
    const buffer = this.#buffer
    const count = buffer.readUInt16BE(this.#at)
    let at = this.#at + 2
    const row: (string | null | undefined)[] = new Array(count)
    for (let i = 0; i < count; i++) {
      const kind = buffer[at++]
      if (kind === 0x74) {
        const length = buffer.readUInt32BE(at)
        at += 4
        if (wanted === undefined || wanted[i] === true) row[i] = textAt(buffer, at, at + length)
        at += length
      } else if (kind === 0x6e) row[i] = null
    }
    this.#at = at
    return row
  }
}

/** Short text is mostly ASCII, for which a loop is faster than the call into the native decoder. */
const LOOP_MAX = 24

function textAt(buffer: Buffer, start: number, end: number): string {
  if (end - start > LOOP_MAX) return buffer.toString('utf8', start, end)
  let text = ''
  for (let i = start; i < end; i++) {
    const byte = buffer[i] as number
    if (byte > 127) return buffer.toString('utf8', start, end)
    text += String.fromCharCode(byte)
  }
  return text
}

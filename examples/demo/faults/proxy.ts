/** A TCP proxy that does to connections what networks do: delay, slice, reset, stall, refuse. */

import { createServer, connect as openSocket, type Server, type Socket } from 'node:net'
import { Random } from '../apps/traffic/values.ts'

/** What befalls a connection. */
export type Trouble = 'none' | 'latency' | 'slices' | 'reset' | 'half-open' | 'refuse'
export const TROUBLES: readonly Trouble[] = ['latency', 'slices', 'reset', 'half-open', 'refuse']

/** A connection is reset or stalls after at most so many bytes: within the first request or some later one. */
const BYTES_MAX = 6_000
const LATENCY_MAX_MS = 60
const SLICE_MAX = 40
/** A stalled connection is let go after this long, as a middlebox would; the hub's own deadline for a request is longer. */
const STALL_MS = 1_500
const METHOD_MAX = 10
const METHOD = /^(?:GET|POST|PUT|PATCH|DELETE)(?= )/

export class UnreliableProxy {
  /** Where connections are led. */
  targetPort = 0
  /** Called for every piece that the target sends back, with the method of the request before it; false keeps it back for ever. */
  onReply: (method: string) => boolean = () => true
  /** How often each befell a connection. */
  readonly counts: Record<Trouble, number> = { none: 0, latency: 0, slices: 0, reset: 0, 'half-open': 0, refuse: 0 }
  readonly #server: Server
  readonly #random: Random
  readonly #open = new Set<Socket>()
  #share = 0
  #isDown = false

  constructor(seed: number) {
    this.#random = new Random(seed)
    this.#server = createServer((client) => this.#lead(client))
  }

  listen(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(0, '127.0.0.1', () => resolve()))
  }

  get port(): number {
    const address = this.#server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  }

  /** From now on this share of new connections has trouble. Those that are open are cut, so that it begins at once. */
  trouble(share: number): void {
    this.#share = share
    this.cut()
  }

  /** Refuses everything, or lets connections through again. */
  down(isDown: boolean): void {
    this.#isDown = isDown
    if (isDown) this.cut()
  }

  /** Resets every open connection. */
  cut(): void {
    for (const socket of this.#open) socket.resetAndDestroy()
  }

  close(): Promise<void> {
    this.cut()
    return new Promise((resolve) => this.#server.close(() => resolve()))
  }

  #draw(): Trouble {
    if (this.#isDown) return 'refuse'
    return this.#random.chance(this.#share) ? (this.#random.pick(TROUBLES) ?? 'none') : 'none'
  }

  #lead(client: Socket): void {
    const trouble = this.#draw()
    this.counts[trouble]++
    client.on('error', () => {})
    if (trouble === 'refuse') {
      client.resetAndDestroy()
      return
    }
    const target = openSocket(this.targetPort, '127.0.0.1')
    const both = [client, target]
    const end = (): void => {
      for (const socket of both) socket.destroy()
    }
    for (const socket of both) {
      this.#open.add(socket)
      socket.on('error', end)
      socket.on('close', () => {
        this.#open.delete(socket)
        end()
      })
    }
    const pass = this.#passer(trouble, both)
    let method = ''
    client.on('data', (piece: Buffer) => {
      method = METHOD.exec(piece.toString('latin1', 0, METHOD_MAX))?.[0] ?? method
      pass(piece, target)
    })
    target.on('data', (piece: Buffer) => void (this.onReply(method) && pass(piece, client)))
  }

  /** What becomes of each piece of one connection, in either direction. */
  #passer(trouble: Trouble, both: readonly Socket[]): (piece: Buffer, to: Socket) => void {
    let left = 1 + Math.floor(this.#random.next() * BYTES_MAX)
    const send = (piece: Buffer, to: Socket): void => void (to.destroyed || to.write(piece))
    switch (trouble) {
      case 'latency': {
        // One delay for a connection, so that pieces keep their order.
        const delayMs = Math.floor(this.#random.next() * LATENCY_MAX_MS)
        return (piece, to) => void setTimeout(send, delayMs, piece, to)
      }
      case 'slices':
        return (piece, to) => {
          const size = Math.max(1, Math.min(SLICE_MAX, piece.length))
          for (let at = 0; at < piece.length; at += size) send(piece.subarray(at, at + size), to)
        }
      case 'reset':
        return (piece, to) => {
          send(piece.subarray(0, Math.max(0, left)), to)
          left -= piece.length
          if (left <= 0) setImmediate(() => both.forEach((socket) => void socket.resetAndDestroy()))
        }
      case 'half-open':
        return (piece, to) => {
          if (left > 0) send(piece, to)
          left -= piece.length
          if (left <= 0) setTimeout(() => both.forEach((socket) => void socket.destroy()), STALL_MS)
        }
      default:
        return send
    }
  }
}

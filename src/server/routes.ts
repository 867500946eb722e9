import { SyncError } from '../errors/index.ts'
import type { RawReply, RawRequest } from '../ports/app.ts'

/** Who answers one method on one path. */
export interface Handler {
  /** For the message when two want the same path. */
  readonly owner: string
  /** A refusal before the body is read; null when it may come. */
  refuses(): SyncError | null
  answer(request: RawRequest, params: Params): Promise<RawReply>
  /** A refusal in the form that this door's senders read. */
  refusal(error: SyncError, request: Pick<RawRequest, 'path' | 'headers'>): RawReply
}

export type Params = Readonly<Record<string, string>>

export interface Route {
  readonly path: string
  readonly handlers: ReadonlyMap<string, Handler>
}

export interface Found {
  readonly route: Route
  readonly params: Params
}

interface Pattern {
  readonly route: Route
  readonly segments: readonly string[]
}

/** Of every exact path: the very same object. */
export const NO_PARAMS: Params = {}

/** The paths of the hub: exact ones by one look-up, those with `:name` segments after them, in the order in which they were declared. */
export class Routes {
  readonly #exact = new Map<string, Found & { readonly handlers: Map<string, Handler> }>()
  readonly #patterns = new Map<string, Pattern & { readonly handlers: Map<string, Handler> }>()

  declare(method: string, path: string, handler: Handler): void {
    const handlers = this.#handlersOf(path)
    const known = handlers.get(method)
    const other = known ?? [...handlers.values()].find((one) => one.owner !== handler.owner && !bothFlows(one, handler))
    if (other !== undefined)
      throw new SyncError(
        'config.invalid',
        `${other.owner} and ${handler.owner} both listen on ${path}; give each its own path.`,
      )
    handlers.set(method, handler)
  }

  #handlersOf(path: string): Map<string, Handler> {
    const handlers = new Map<string, Handler>()
    const route: Route = { path, handlers }
    if (!path.includes('/:')) {
      const found = this.#exact.get(path) ?? { route, params: NO_PARAMS, handlers }
      this.#exact.set(path, found)
      return found.handlers
    }
    const pattern = this.#patterns.get(path) ?? { route, segments: path.split('/'), handlers }
    this.#patterns.set(path, pattern)
    return pattern.handlers
  }

  /** HOT PATH. */
  find(path: string): Found | undefined {
    return this.#exact.get(path) ?? (this.#patterns.size === 0 ? undefined : this.#match(path))
  }

  get paths(): readonly string[] {
    return [...this.#exact.keys(), ...this.#patterns.keys()]
  }

  #match(path: string): Found | undefined {
    const given = path.split('/')
    for (const { route, segments } of this.#patterns.values()) {
      const params = paramsOf(segments, given)
      if (params !== null) return { route, params }
    }
    return undefined
  }
}

const bothFlows = (a: Handler, b: Handler): boolean => a.owner.startsWith('flow ') && b.owner.startsWith('flow ')

function paramsOf(segments: readonly string[], given: readonly string[]): Params | null {
  if (segments.length !== given.length) return null
  const params: Record<string, string> = {}
  for (const [i, segment] of segments.entries()) {
    const text = given[i] as string
    if (!segment.startsWith(':')) {
      if (segment !== text) return null
      continue
    }
    const value = decoded(text)
    if (value === null || value === '') return null
    params[segment.slice(1)] = value
  }
  return params
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text)
  } catch {
    return null
  }
}

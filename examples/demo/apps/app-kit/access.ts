/**
 * Who is calling. A program shows the API token and is recorded as `api`. A person's page, on the same machine, says in
 * `x-actor` who sits in front of it: the server listens on the loopback address only, and a browser does not let another
 * site's page send that header.
 */

import { timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { RequestProblem } from './problem.ts'

const actorLengthMax = 80

export function createActorOf(token: string): (request: IncomingMessage) => string {
  const expected = Buffer.from(token)
  return (request) => {
    const { authorization } = request.headers
    if (authorization !== undefined) {
      const given = Buffer.from(authorization.replace(/^bearer /i, ''))
      if (given.length === expected.length && timingSafeEqual(given, expected)) return 'api'
      throw unauthorized('The API token is not valid.')
    }
    const actor = request.headers['x-actor']
    if (typeof actor !== 'string' || actor === '')
      throw unauthorized('Send the API token, or x-actor from the local page.')
    return parseActor(actor)
  }
}

/** Names beyond ASCII come percent-encoded, as headers cannot carry them. `api` cannot be claimed by name. */
function parseActor(header: string): string {
  let actor: string
  try {
    actor = decodeURIComponent(header).trim()
  } catch {
    throw new RequestProblem(400, 'malformed-actor', 'x-actor is not well percent-encoded.')
  }
  if (actor === '' || actor.length > actorLengthMax || actor.toLowerCase() === 'api' || /\p{Cc}/u.test(actor)) {
    throw new RequestProblem(
      400,
      'malformed-actor',
      `x-actor is a name of up to ${actorLengthMax} characters, other than "api".`,
    )
  }
  return actor
}

function unauthorized(detail: string): RequestProblem {
  return new RequestProblem(401, 'unauthorized', detail, {}, { 'www-authenticate': 'Bearer' })
}

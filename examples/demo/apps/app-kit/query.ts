/** Reading the query of a URL, strictly: a parameter that means nothing is an error, not a list of everything. */

import { RequestProblem } from './problem.ts'

const limitInitial = 100
const limitMax = 1000

export function parseQuery(text: string, known: readonly string[]): Map<string, string> {
  const query = new Map<string, string>()
  for (const [name, value] of new URLSearchParams(text)) {
    if (!known.includes(name)) throw badParameter(name, `is not known here; known are ${known.join(', ')}`)
    if (query.has(name)) throw badParameter(name, 'is given twice')
    query.set(name, value)
  }
  return query
}

export function limitOf(query: Map<string, string>): number {
  const limit = integerOf(query, 'limit') ?? limitInitial
  if (limit < 1 || limit > limitMax) throw badParameter('limit', `is from 1 to ${limitMax}`)
  return limit
}

export function integerOf(query: Map<string, string>, name: string): number | undefined {
  const text = query.get(name)
  if (text === undefined) return undefined
  if (!/^\d{1,15}$/.test(text)) throw badParameter(name, 'is a whole number')
  return Number(text)
}

function badParameter(name: string, detail: string): RequestProblem {
  return new RequestProblem(400, 'bad-parameter', `${name} ${detail}.`, { parameter: name })
}

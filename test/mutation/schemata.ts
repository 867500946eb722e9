import type { SourceMutant } from './mutators.ts'

/** A mutant with its number, which is how it is switched on. */
export interface NumberedMutant extends SourceMutant {
  readonly number: number
  readonly file: string
  readonly line: number
  /** What stands there, in one line. */
  readonly before: string
}

/**
 * The source with all its mutants in it, each behind a switch: `latchworkMutant(7) ? mutated : original`. One module is loaded once and tried with every mutant.
 */
export function withSwitches(source: string, mutants: readonly NumberedMutant[]): string {
  const byPlace = new Map<string, NumberedMutant[]>()
  for (const mutant of mutants) {
    const place = `${mutant.start} ${mutant.end} ${mutant.at}`
    byPlace.set(place, [...(byPlace.get(place) ?? []), mutant])
  }
  // From the outside inwards; of two at one place the statement is the outer one.
  const places = [...byPlace.values()].sort((a, b) => {
    const [x, y] = [a[0] as NumberedMutant, b[0] as NumberedMutant]
    return x.start - y.start || y.end - x.end || (x.at === 'block' ? -1 : 1)
  })
  let next = 0
  const render = (from: number, to: number): string => {
    let text = ''
    let at = from
    while (next < places.length) {
      const group = places[next] as NumberedMutant[]
      const { start, end } = group[0] as NumberedMutant
      if (start >= to || end > to) break
      next++
      text += source.slice(at, start) + switched(group, render(start, end))
      at = end
    }
    return text + source.slice(at, to)
  }
  return render(0, source.length)
}

function switched(group: readonly NumberedMutant[], original: string): string {
  const [first] = group
  if (first?.at === 'block') {
    const isBlock = original.startsWith('{')
    const body = isBlock ? original.slice(1, -1) : original
    return `{ if (!latchworkMutant(${first.number})) {${body}} }`
  }
  const choices = group.map(({ number, text }) => `latchworkMutant(${number}) ? (${text}) : `).join('')
  return `(${choices}(${original}))`
}

export const lineAt = (source: string, offset: number): number => source.slice(0, offset).split('\n').length

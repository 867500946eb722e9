import type { Value } from '../../../model/value.ts'
import type { FieldKind } from '../fields.ts'
import type { Rng } from '../rng.ts'

/** What an application does to a value before it stores it. Idempotent, as every real one is. */
export type Normaliser = (value: Value) => Value

const onText =
  (change: (text: string) => Value): Normaliser =>
  (value) =>
    typeof value === 'string' ? change(value) : value

/** Long enough for every taint. */
const TEXT_LENGTH_MAX = 12

/** In an order in which any choice of them, applied twice, gives what it gave the first time: space is trimmed after the cut that may leave some. */
const TEXT_STEPS: readonly Normaliser[] = [
  onText((text) => text.replace(/\s+/g, ' ')),
  onText((text) => text.slice(0, TEXT_LENGTH_MAX)),
  onText((text) => text.trim()),
  onText((text) => text.toUpperCase()),
]

const emptyToNull = onText((text) => (text.trim() === '' ? null : text))

/** Number texts are cut, not computed with: no float may move a digit. Cents are numbers, and pass unchanged. */
const DECIMAL_STEPS: readonly Normaliser[] = [
  (value) => value,
  onText((text) => text.replace(/(\.\d)\d+$/, '$1').replace(/\.0$/, '')),
  onText((text) => text.replace(/\.\d*$/, '')),
  onText((text) => (text.includes('.') ? (text + '0').replace(/(\.\d\d)\d*$/, '$1') : text + '.00')),
]

const unchanged: Normaliser = (value) => value

export function drawNormaliser(kind: FieldKind, nullable: boolean, random: Rng): Normaliser {
  if (kind === 'decimal') return random.pick(DECIMAL_STEPS)
  if (kind !== 'text') return unchanged
  const steps = TEXT_STEPS.filter(() => random.chance(0.3))
  if (nullable && random.chance(0.4)) steps.push(emptyToNull)
  if (steps.length === 0) return unchanged
  return (value) => {
    let result = value
    for (const step of steps) result = step(result)
    return result
  }
}

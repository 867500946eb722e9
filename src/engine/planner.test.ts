import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { elementsOf } from '../merge/decode.ts'
import { canonicals, imageOf, SEED } from '../merge/fake-record.ts'
import { type Fields, type Image, type Path, type Value, valuesEquivalent } from '../model/value.ts'
import { type AppSetup, Play } from './fake-planner.ts'

/** T1 of docs/protocol.md section 9: the planner by itself. `npm run test:long` plays many more (PLANNER_RUNS). */
const RUNS = Number(process.env.PLANNER_RUNS ?? 1500)

const forms = fc.constantFrom<AppSetup['form']>('as it is', 'upper case', 'trimmed')
const dice = fc.array(fc.nat(5), { minLength: 12, maxLength: 12 })

/** What people make of an image: some values become another's, elements come and go. */
function edited(base: Image, other: Image, rolls: readonly number[]): Image {
  let next = 0
  const roll = (): number => rolls[next++ % rolls.length] as number
  const image: Record<Path, Value> = {}
  const elementOf = (path: Path): Path => path.slice(0, path.indexOf(']') + 1)
  const gone = new Set(elementsOf(base, 'items').filter(() => roll() === 0))
  for (const path in base) {
    if (gone.has(elementOf(path))) continue
    image[path] = path in other && !path.endsWith(']') && roll() < 2 ? (other[path] as Value) : (base[path] as Value)
  }
  const comes = elementsOf(other, 'items').filter((path) => !(path in base) && roll() < 2)
  for (const path in other) if (comes.includes(elementOf(path))) image[path] = other[path] as Value
  return image
}

const setupNear = (base: Fields, canBeAbsent: boolean): fc.Arbitrary<AppSetup> =>
  fc
    .tuple(fc.boolean(), forms, fc.boolean(), canonicals, dice, fc.boolean())
    .map(([isAbsent, form, isEdited, other, rolls, repliesWithImage]) => ({
      isAbsent: canBeAbsent && isAbsent,
      form,
      edit: isEdited ? edited(imageOf(base), imageOf(other), rolls) : null,
      repliesWithImage,
    }))

interface Scenario {
  readonly base: Fields
  readonly setups: readonly AppSetup[]
  readonly rolls: readonly number[]
}

const scenarios: fc.Arbitrary<Scenario> = canonicals.chain((base) =>
  fc.record({
    base: fc.constant(base),
    setups: fc
      .tuple(setupNear(base, false), setupNear(base, true), setupNear(base, true), fc.integer({ min: 2, max: 3 }))
      .map(([first, second, third, count]) => [first, second, third].slice(0, count)),
    rolls: fc.array(fc.nat(11), { minLength: 1, maxLength: 30 }),
  }),
)

/** Dice that fall as given, over and over. */
function diceOf(rolls: readonly number[]): (sides: number) => number {
  let next = 0
  return (sides) => (rolls[next++ % rolls.length] as number) % sides
}

const differing = (play: Play): string[] =>
  play.apps.flatMap((app) => {
    const expected = play.expected(app)
    const elements = (image: Image): string[] =>
      Object.keys(image)
        .filter((path) => path.endsWith(']') && image[path] === true)
        .sort()
    const wrong = Object.keys(expected).filter(
      (path) => !valuesEquivalent(expected[path] ?? null, app.image[path] ?? null),
    )
    const sameElements = elements(expected).join() === elements(app.image).join()
    return [...wrong, ...(sameElements ? [] : ['elements'])].map((path) => `${app.binding.app} ${path}`)
  })

const everything = (play: Play): string =>
  JSON.stringify([play.head(), play.work.state.lanes, play.work.conflicts.length], (name, value) =>
    name === 'readSeq' || name === 'knownAtMs' ? undefined : typeof value === 'bigint' ? `${value}n` : value,
  )

const property = (check: (scenario: Scenario) => void): void =>
  fc.assert(fc.property(scenarios, check), { seed: SEED, numRuns: RUNS })

describe('whatever applications hold and have been told', { timeout: 600_000 }, () => {
  test('there is no need left within 4 rounds for each, and all hold their form of one value', () => {
    property(({ base, setups, rolls }) => {
      const play = new Play(base, setups, diceOf(rolls))
      expect(play.untilInStep(4 * setups.length)).toBe(true)
      expect(play.isInStep()).toBe(true)
      expect(differing(play)).toEqual([])
    })
  })

  test('what is told again afterwards changes nothing, in whatever order', () => {
    property(({ base, setups, rolls }) => {
      const play = new Play(base, setups, diceOf(rolls))
      play.untilInStep(4 * setups.length)
      const before = everything(play)
      const order = diceOf(rolls)
      const again = [...play.told]
      while (again.length > 0) play.hear(again.splice(order(again.length), 1)[0] as (typeof again)[number])
      expect(play.isInStep()).toBe(true)
      expect(everything(play)).toBe(before)
    })
  })

  test('every value that somebody entered stands in the head, or among the conflicts with its value', () => {
    property(({ base, setups, rolls }) => {
      const play = new Play(base, setups, diceOf(rolls))
      play.untilInStep(4 * setups.length)
      const head = play.head()
      for (const { edit } of setups.filter(({ isAbsent }) => !isAbsent)) {
        const email = edit?.n_email
        if (email === undefined || valuesEquivalent(email, base.email)) continue
        const kept = [
          head.email,
          ...play.work.conflicts.filter(({ path }) => path === 'email').map((one) => one.loserValue),
        ]
        expect(kept.some((value) => valuesEquivalent(value, email))).toBe(true)
      }
    })
  })
})

/** Where people enter different values, the later one stands by the policy, in whatever order the hub hears of them. Equal values have no order of their own. */
test('folding commutes where each enters a value of their own', { timeout: 600_000 }, () => {
  const fields = ['email', 'phone'] as const
  const edits = fc.array(fc.subarray([...fields]), { minLength: 2, maxLength: 3 })
  const rolls = fc.array(fc.nat(11), { minLength: 1, maxLength: 30 })
  fc.assert(
    fc.property(edits, rolls, rolls, (edited, first, second) => {
      const base: Fields = { email: 'agreed mail', phone: 'agreed phone' }
      const setups = edited.map((names, i): AppSetup => {
        const edit = Object.fromEntries(names.map((name) => [`n_${name}`, `${name} of ${i}`]))
        return { isAbsent: false, form: 'as it is', edit: names.length === 0 ? null : edit, repliesWithImage: i === 0 }
      })
      const [one, other] = [first, second].map((order) => {
        const play = new Play(base, setups, diceOf(order))
        expect(play.untilInStep(4 * setups.length)).toBe(true)
        return play.head()
      })
      expect(one).toEqual(other)
      for (const name of fields) {
        const last = edited.findLastIndex((names) => names.includes(name))
        expect(one?.[name]).toBe(last < 0 ? base[name] : `${name} of ${last}`)
      }
    }),
    { seed: SEED, numRuns: RUNS },
  )
})

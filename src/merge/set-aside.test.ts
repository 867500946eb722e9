import { expect, test } from 'vitest'
import { crm, erp, laneOf, recordOf, shop } from './fake-record.ts'
import { agreedBy, contestedValues, setAsideFor } from './set-aside.ts'

const why = { code: 'merge.manual', message: 'm' }

test('a field is set aside since the first that was not agreed, for each application once', () => {
  const first = setAsideFor({}, 'email', crm, why, 100)
  expect(first).toEqual({ email: { ...why, sinceMs: 100, apps: [crm] } })
  const second = setAsideFor(first, 'email', erp, why, 200)
  expect(second.email).toEqual({ ...why, sinceMs: 100, apps: [crm, erp] })
  expect(setAsideFor(second, 'email', crm, why, 300).email?.apps).toEqual([erp, crm])
})

test('it is taken up again when the last of them agrees, and not by one that has claimed nothing', () => {
  const aside = { email: { ...why, apps: [crm, erp] } }
  expect(agreedBy(aside, 'email', shop)).toBe(aside)
  const one = agreedBy(aside, 'email', crm)
  expect(one.email?.apps).toEqual([erp])
  expect(agreedBy(one, 'email', erp)).toEqual({})
})

test('what nobody has decided on is what those applications hold of it, if they hold any', () => {
  const record = recordOf({
    lanes: { [crm]: laneOf({ sent: { email: 'a' } }), [erp]: laneOf({ app: erp, sent: {} }) },
    parkedPaths: { email: { ...why, apps: [crm, erp, shop] }, phone: why },
  })
  expect(contestedValues(record)).toEqual([{ path: 'email', app: crm, value: 'a' }])
})

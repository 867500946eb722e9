import { expect, test } from 'vitest'
import { bindingOf, classA, crm, entityOf } from '../merge/fake-record.ts'
import type { Capabilities } from '../model/capabilities.ts'
import type { Change } from '../model/change.ts'
import { asJournalPosition, asNativeId, asToken } from '../model/ids.ts'
import { prepare } from './prepared.ts'

const told = (some: Partial<Capabilities>, kind: Change['kind']) => {
  const binding = bindingOf(crm, { capabilities: { ...classA, image: 'I1', ...some } })
  const model = { entities: new Map([[binding.entity, entityOf({}, [binding])]]), bindingsOf: () => [binding] }
  const change: Change = {
    app: crm,
    object: binding.object,
    nativeId: asNativeId('1'),
    kind,
    record: {},
    token: asToken('4'),
  }
  const [one] = prepare(model as never, {
    seq: asJournalPosition(1),
    shard: 0,
    mappingVersion: 1,
    atMs: 1,
    input: { type: 'notification', change },
  })
  return [one?.kind, one?.partial]
}

test('a part of a record is believed where no earlier part can be missing, or nobody can be asked; otherwise the record is read', () => {
  expect(told({ feed: 'F3' }, 'partial')).toEqual(['image', true])
  expect(told({ feed: 'F2' }, 'partial')).toEqual(['hint', false])
  expect(told({ feed: 'F2', read: 'R0' }, 'partial')).toEqual(['image', true])
  expect(told({ feed: 'F2' }, 'image')).toEqual(['image', false])
})

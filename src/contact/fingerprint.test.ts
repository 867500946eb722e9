import { expect, test } from 'vitest'
import type { BindingModel, EntityModel } from '../model/entity.ts'
import { asAppId, asEntityName } from '../model/ids.ts'
import { factorsOf } from './fingerprint.ts'
import { definition } from './fixture-contact.ts'

const person = definition.model.entities.get(asEntityName('person')) as EntityModel

/** The same entity, with the credit of one application declared as kept with a loss. */
function withLoss(app: string): EntityModel {
  const bindings = [...person.bindings].map(([name, binding]): [typeof name, BindingModel] => [
    name,
    name === app
      ? { ...binding, fields: binding.fields.map((one) => (one.field === 'credit' ? { ...one, lossy: true } : one)) }
      : binding,
  ])
  return { ...person, bindings: new Map(bindings) }
}

const compared = (entity: EntityModel): string[] =>
  [
    ...(factorsOf(entity)
      .get(entity.bindings.get(asAppId('left')) as BindingModel)
      ?.keys() ?? []),
  ].sort()

test('a field that an application keeps with a declared loss is no difference between applications', () => {
  expect(compared(person)).toEqual(['credit', 'email', 'name'])
  expect(compared(withLoss('right'))).toEqual(['email', 'name'])
})

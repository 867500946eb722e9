import { SyncError } from '../errors/index.ts'
import type { NativeData } from '../model/value.ts'

/** Plain data while it is read: objects without a prototype, so that no name of a sender means anything. */
export type FieldsBeingRead = { [name: string]: NativeData }

/** Declared lists are there from the start, so that no element and one element look alike. */
export function newFields(lists: readonly string[]): FieldsBeingRead {
  const fields = Object.create(null) as FieldsBeingRead
  for (const name of lists) fields[name] = []
  return fields
}

/** Adds a field of a flat format. One that is repeated without being declared as a list would be read differently by different readers. */
export function addField(fields: FieldsBeingRead, name: string, value: NativeData, lists: readonly string[]): void {
  checkName(name)
  if (lists.includes(name)) (fields[name] as NativeData[]).push(value)
  else if (Object.hasOwn(fields, name))
    throw new SyncError(
      'intake.forbidden',
      `the field ${JSON.stringify(name.slice(0, 100))} stands twice in the message. Nothing was stored; if it is a list, name it in \`lists\` of the format.`,
    )
  else fields[name] = value
}

export function checkName(name: string): void {
  if (name === '__proto__')
    throw new SyncError('intake.forbidden', 'the message has a field named `__proto__`. Nothing was stored.')
}

export const isScalar = (value: NativeData): value is null | boolean | number | bigint | string =>
  typeof value !== 'object' || value === null

/** A scalar as text, in the one spelling that reads back to it. */
export const textOf = (value: NativeData): string => (value === null ? '' : String(value))

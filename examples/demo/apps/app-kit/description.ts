/** An application as data: its objects, their fields and its habits. Everything else in this folder is driven by it. */

export type Scalar = string | number | null
export type Line = Record<string, Scalar>
export type Value = Scalar | Line[]
export type Row = Record<string, Value>
export type Id = string | number

/**
 * - `text` any text, `email` an address, `code` a short identifier without blanks
 * - `cents` a whole number of cents, `decimal` an amount as text with two digits after the point
 * - `integer` a whole number from `min` up, `instant` an ISO 8601 time, kept in UTC
 * - `choice` one of `choices`, `reference` the id of a live record of `refersTo`
 */
export type FieldKind = 'text' | 'email' | 'code' | 'cents' | 'decimal' | 'integer' | 'instant' | 'choice' | 'reference'

export type FieldDescription = {
  readonly name: string
  readonly label: string
  readonly kind: FieldKind
  /** May be null, and is null where a new record does not give it. */
  readonly optional?: true
  /** Taken where a new record does not give the field; `now` is the time of the write. */
  readonly initial?: Scalar | 'now'
  /** No two live records share this value. Upper and lower case count as the same. */
  readonly unique?: true
  readonly choices?: readonly string[]
  readonly refersTo?: string
  /** Smallest value of an `integer`; 0 where absent. */
  readonly min?: number
  /** Longest `text` in characters; 300 where absent. */
  readonly lengthMax?: number
  /** The page shows the field and does not edit it; the REST API still accepts it. */
  readonly shownOnly?: true
}

/** The lines of a document: written whole, each known by a number that is unique in its document. */
export type LinesDescription = {
  readonly name: string
  readonly table: string
  readonly key: string
  readonly fields: readonly FieldDescription[]
}

export type ObjectDescription = {
  /** The collection's path, and the last part of its webhook address. */
  readonly name: string
  /** The word for one record, the first half of an event name: `customer.updated`. */
  readonly one: string
  readonly label: string
  readonly idField: string
  /** The field that names a record to a person. */
  readonly titleField: string
  readonly idFromSequence: (sequence: number) => Id
  readonly fields: readonly FieldDescription[]
  readonly lines?: LinesDescription
}

export type AppDescription = {
  readonly name: string
  readonly title: string
  readonly tagline: string
  readonly accent: { readonly light: string; readonly dark: string }
  readonly idKind: 'integer' | 'text'
  /** `normalised` text is trimmed, and an email put into lower case; `verbatim` text is kept as it came. */
  readonly text: 'verbatim' | 'normalised'
  readonly names: { readonly rev: string; readonly changedAt: string; readonly extRef: string }
  readonly token: { readonly variable: string; readonly initial: string }
  readonly portInitial: number
  readonly objects: readonly ObjectDescription[]
}

export type SeedRecord = { readonly object: string; readonly body: Record<string, unknown> }

/** Who refers to records of `target`: the fields of other objects and of their lines. */
export function referencesTo(
  app: AppDescription,
  target: string,
): { table: string; field: string; ofLines: boolean }[] {
  const found: { table: string; field: string; ofLines: boolean }[] = []
  for (const object of app.objects) {
    for (const field of object.fields) {
      if (field.refersTo === target) found.push({ table: object.name, field: field.name, ofLines: false })
    }
    for (const field of object.lines?.fields ?? []) {
      if (field.refersTo === target) found.push({ table: object.lines!.table, field: field.name, ofLines: true })
    }
  }
  return found
}

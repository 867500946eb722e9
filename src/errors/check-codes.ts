import type { CodeEntry } from './code-entry.ts'

/** Codes of what `latchwork check` finds in a config; a part of `ERROR_CODES`. */
export const CHECK_CODES = {
  'check.lossy': {
    handling: 'park',
    status: 422,
    manual:
      'A field is mapped both ways, and a value that is written to an application comes back as another one: it is rounded, shortened, or loses its letter case. Give a codec whose `decode` undoes its `encode`, let the schema of the entity (or of the records of the application that tells the value) refuse what cannot be kept, or declare the loss with `lossy(...)`.',
  },
  'check.unstable': {
    handling: 'park',
    status: 422,
    manual:
      'A field is declared `lossy(...)`, but what the application keeps changes once more when it is read and written again. A loss may happen once, not each time: `encode` must give the same for what `decode` made of its own result.',
  },
  'check.unwritable': {
    handling: 'park',
    status: 422,
    manual:
      'A value that another application may tell cannot be written: the codec throws. Such a record is set aside when it comes. Widen the codec, or narrow the schema of the entity or of the records of the other application.',
  },
  'check.does-not-fit': {
    handling: 'park',
    status: 422,
    manual:
      'A value that another application may tell is written as something that the schema of the records here does not take (too long, out of range, not one of its words). The application refuses it or cuts it down. Narrow the schema of the entity, or correct the schema of the records.',
  },
  'check.not-pure': {
    handling: 'park',
    status: 422,
    manual:
      'A conversion gives two different results for one value. It is asked again whenever a notification is compared or the journal is replayed, so it may depend on nothing but its value: no clock, no chance, no counter.',
  },
  'check.record-shape': {
    handling: 'park',
    status: 422,
    manual:
      'A record that is put together from its native fields and taken apart again is another one: two native names of the binding overlap, such as `address` and `address.town`. Map them one by one, or through one codec.',
  },
  'simulate.unsupported': {
    handling: 'park',
    status: 422,
    manual:
      'A config cannot be simulated as it is: no values could be made up for one of its fields, or two entities share one object. The message names the place and what to add.',
  },
} as const satisfies Record<string, CodeEntry>

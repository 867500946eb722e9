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
  'certify.unconfirmed': {
    handling: 'park',
    status: 409,
    manual:
      'A certification makes, changes and deletes records. Point the config at a sandbox of the application, then say `--yes`.',
  },
  'certify.unknown-app': {
    handling: 'park',
    status: 404,
    manual: 'The application to be certified is not in the config. The message lists those that are.',
  },
  'certify.no-sample': {
    handling: 'park',
    status: 422,
    manual:
      'The sandbox refused a plain made-up record, so nothing else could be tried. Give the schema of its records in the config, or correct it; look at the message of the application.',
  },
  'certify.create': {
    handling: 'park',
    status: 422,
    manual:
      "A create that is sent again under its key makes a second record, or an id is given twice. Say `idempotency: 'none'`, and give `externalId` where the application keeps one: a create of unknown outcome is then looked for, or set aside.",
  },
  'certify.idempotency': {
    handling: 'park',
    status: 422,
    manual:
      "An update that is sent again under its key is not known to be done. Say `idempotency: 'create'` (or `'none'`): an update of unknown outcome is then resolved by reading.",
  },
  'certify.correlation': {
    handling: 'park',
    status: 422,
    manual:
      'The external id of a created record is not kept, not told, or not found by. Name the right field and query parameter in `externalId`, or leave it out.',
  },
  'certify.read': {
    handling: 'park',
    status: 422,
    manual:
      "A read does not show what was written right before (a replica, a cache). Say `read: 'R1'`, or read where writes go.",
  },
  'certify.token': {
    handling: 'park',
    status: 422,
    manual:
      'The version of a record is missing, comes twice, changes by itself, or does not grow although the config says that it does. Correct `version`, declare it as equality only (`etag()`), or leave it out.',
  },
  'certify.condition': {
    handling: 'park',
    status: 422,
    manual:
      'A write on an old version was taken, or two writes at once on one version were. Leave `conditional` out; with it, edits would be overwritten and believed safe.',
  },
  'certify.reply': {
    handling: 'park',
    status: 422,
    manual:
      'Replies to writes carry another version or record than a read right after. Say `replyImage: false`, or correct `version`.',
  },
  'certify.deletes': {
    handling: 'park',
    status: 422,
    manual:
      "A deleted record can still be read, or its deletion is not told, or deleting it again is not answered with 404 or 410. Correct the application, or say `deletes: 'ignore'` in the binding.",
  },
  'certify.feed': {
    handling: 'park',
    status: 422,
    manual:
      'A change was not told, or a notification that was not taken did not come again. Correct the webhook, and poll the application as well: what is not sent again is lost.',
  },
  'certify.image': {
    handling: 'park',
    status: 422,
    manual: 'A notification does not carry the whole record. Say `idOnly: true`: the record is then read.',
  },
  'certify.mark': {
    handling: 'park',
    status: 422,
    manual: 'A change that a write of ours made does not bear its mark in the log of the application.',
  },
} as const satisfies Record<string, CodeEntry>

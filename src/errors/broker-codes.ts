import type { CodeEntry } from './code-entry.ts'

/** Codes of message brokers; a part of `ERROR_CODES`. */
export const BROKER_CODES = {
  'broker.unreachable': {
    handling: 'retry',
    status: 503,
    manual:
      'A message broker cannot be reached, or has closed the connection. The hub connects again with growing pauses; what was not acknowledged is delivered again by the broker.',
  },
  'broker.refused': {
    handling: 'retry',
    status: 502,
    manual:
      'A message broker refuses what the hub asks of it: the credentials, the permissions, or a queue that is missing or has other properties than the config declares. The message holds its words. It is tried again, so that a correction at the broker is enough.',
  },
  'broker.unconfirmed': {
    handling: 'retry',
    status: 504,
    manual:
      'A message was published and the broker has not confirmed it in time, or the connection ended before. It may have been taken. It is published again under the same message id, so that its receivers can tell.',
  },
  'broker.unroutable': {
    handling: 'park',
    status: 502,
    manual:
      'A message was published and no queue takes it: the exchange has no binding for its routing key, or the queue of a reply is gone. Bind a queue, or correct the address.',
  },
  'broker.no-reads': {
    handling: 'retry',
    status: 502,
    manual:
      'A record was to be read in an application that is reached by messages alone. Nobody can be asked there; what it holds is known from what it tells.',
  },
  'broker.read-only': {
    handling: 'park',
    status: 500,
    manual:
      "A record was to be written in an application that is only listened to: its messages are consumed, and nothing is published. It is mostly a deletion elsewhere. Give its binding `publish`, or `deletes: 'ignore'` where it was deleted.",
  },
  'broker.redelivered': {
    handling: 'park',
    status: 500,
    manual:
      'A message was delivered again more often than `deliveriesMax` of its door without being acknowledged, so it may be what ends the connection or the process. It is kept as a parked run; release it to try it once more.',
  },
  'broker.no-reply-to': {
    handling: 'park',
    status: 422,
    manual:
      'A message came to a flow with an `output`, and does not say where its reply is wanted (`reply-to`). It is kept as a parked run; released, it is run and its result stands in the run.',
  },
} as const satisfies Record<string, CodeEntry>

import type { CodeEntry } from './code-entry.ts'

/** Codes of flows and of what arrived; a part of `ERROR_CODES`. */
export const FLOW_CODES = {
  'flow.input-invalid': {
    handling: 'park',
    status: 422,
    manual:
      'A message does not fit the `input` or `properties` schema of its flow. The message names every place. Nothing was run.',
  },
  'flow.output-invalid': {
    handling: 'park',
    status: 500,
    manual: 'What a flow returned does not fit its `output` schema. Correct the flow; its work may have been done.',
  },
  'flow.failed': {
    handling: 'retry',
    status: 500,
    manual:
      'A flow threw. A caller gets this code and finds the reason in the log; a run is tried again with growing pauses, and parked after `retries.attemptsMax` attempts.',
  },
  'flow.refused': {
    handling: 'park',
    status: 422,
    manual:
      'A flow refused a message with `refusal(...)`: the sender has to change it. The message holds the words of the flow, which may give another status.',
  },
  'flow.timeout': {
    handling: 'retry',
    status: 504,
    manual:
      'A flow has not ended within its `timeoutMs`. Whether it did its work is not known; a run is then in doubt, a caller asks again only if that is harmless.',
  },
  'flow.overloaded': {
    handling: 'retry',
    status: 503,
    manual:
      'A flow runs `concurrency` messages and `queueMax` more wait. Nothing was done; send the message again after Retry-After.',
  },
  'flow.queue-timeout': {
    handling: 'retry',
    status: 503,
    manual:
      'No place became free for a waiting caller within `queueTimeoutMs`. Nothing was done; send the message again after Retry-After.',
  },
  'flow.caller-gone': {
    handling: 'park',
    status: 499,
    manual: 'A caller closed its connection before the answer was there. Seen in the log only.',
  },
  'flow.in-doubt': {
    handling: 'park',
    status: 409,
    manual:
      'An attempt of a run began and its end is not known, because the hub ended or the time was up. The `inDoubt` of the flow decides; a parked run is released or cancelled by a person.',
  },
  'flow.unknown': {
    handling: 'park',
    status: 404,
    manual: 'No flow of this name is in the config. The message lists those that are.',
  },
  'flow.record-missing': {
    handling: 'park',
    status: 404,
    manual:
      'A lightweight message names a record that its application does not have. Say `missing: null` in `fetch` where that means a deletion.',
  },
  'flow.call-failed': {
    handling: 'retry',
    status: 502,
    manual: 'An application could not be read or written from a flow. The message holds its words.',
  },
  'query.unknown-message': {
    handling: 'park',
    status: 404,
    manual:
      'No message has this number, or what it held is not kept any more. `latchwork messages` lists those that are.',
  },
  'query.unknown-run': {
    handling: 'park',
    status: 404,
    manual: 'No run has this id, or it is in a state in which that cannot be done to it.',
  },
} as const satisfies Record<string, CodeEntry>

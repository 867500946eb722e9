import { SyncError } from '../../errors/index.ts'

/** Conditions of the protocol that a correction at the broker, or in the config, answers. */
const REFUSALS: Readonly<Record<string, string>> = {
  'amqp:not-found': 'Make it at the broker.',
  'amqp:unauthorized-access': 'Check the user and its permissions.',
  'amqp:not-allowed': 'Check the user, its permissions and the address.',
  'amqp:not-implemented': 'Give an address that this broker knows.',
  'amqp:invalid-field': 'Give an address that this broker knows.',
  'amqp:precondition-failed': 'Compare the address with what is there at the broker.',
  'amqp:resource-locked': 'Somebody else has it for itself.',
  'amqp:resource-deleted': 'Make it at the broker again.',
}

/** What the driver says, as what is wrong with the broker. */
export function amqp1Error(where: string, error: unknown): SyncError {
  if (SyncError.is(error)) return error
  const { message, description, condition } = (error ?? {}) as Readonly<Record<string, unknown>>
  const words = [description, message, condition].find((text) => typeof text === 'string' && text !== '')
  const next = REFUSALS[String(condition)]
  const text = `${where}: ${String(words ?? error ?? 'the connection was closed')}`.replace(/\.$/, '')
  return next === undefined
    ? new SyncError('broker.unreachable', `${text}.`, { cause: error })
    : new SyncError('broker.refused', `${text}. ${next}`, { cause: error })
}

import { SyncError } from '../../errors/index.ts'

/** Replies of the protocol that a correction at the broker, or in the config, answers: no access, not there, in use, other properties, not allowed. */
const REFUSALS: Readonly<Record<number, string>> = {
  403: 'Check the user and its permissions.',
  404: 'Make it at the broker, or let the hub do it (`declare`, `type` of a binding).',
  405: 'Somebody else has it for itself.',
  406: 'Declare it in the config as it is, or leave `declare` out.',
  530: 'Check the virtual host in the url.',
}

/** What the driver says, as what is wrong with the broker. */
export function amqpError(where: string, error: unknown): SyncError {
  if (SyncError.is(error)) return error
  const { message = String(error), code } = (error ?? {}) as { message?: string; code?: unknown }
  // Of a refused handshake the code stands in the words alone.
  const status = typeof code === 'number' ? code : Number(/\b(\d{3}) \(/.exec(message)?.[1] ?? 0)
  const next = REFUSALS[status]
  return next === undefined
    ? new SyncError('broker.unreachable', `${where}: ${message}.`, { cause: error })
    : new SyncError('broker.refused', `${where}: ${message}. ${next}`, { cause: error })
}

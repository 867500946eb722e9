import { SyncError } from '../../errors/index.ts'
import type { ResolvedPlace } from './options.ts'

const CONNECT_TIMEOUT_MS = 10_000
const REQUEST_TIMEOUT_MS = 15_000

/** What the driver is told of how the brokers are reached. It does not try anything again by itself: what was taken and what was not is never in question. */
export function placeOptions(
  where: string,
  { url, clientId, mechanism }: ResolvedPlace,
): Readonly<Record<string, unknown>> {
  const found = /^(kafkas?):\/\/(?:([^:@/]+):([^@/]*)@)?([^@/]+)\/?$/.exec(url)
  if (found === null)
    throw new SyncError('config.invalid', `${where}: the url is not kafka://user:password@host:9092,host:9092.`)
  const [, protocol, user, password, hosts = ''] = found
  return {
    clientId,
    bootstrapBrokers: hosts.split(',').map((host) => (host.includes(':') ? host : `${host}:9092`)),
    connectTimeout: CONNECT_TIMEOUT_MS,
    timeout: REQUEST_TIMEOUT_MS,
    retries: 0,
    ...(protocol === 'kafkas' ? { tls: {} } : {}),
    ...(user === undefined
      ? {}
      : { sasl: { mechanism, username: decodeURIComponent(user), password: decodeURIComponent(password ?? '') } }),
  }
}

/** Answers that a correction at the broker, or in the config, answers. */
const REFUSALS: Readonly<Record<string, string>> = {
  TOPIC_AUTHORIZATION_FAILED: 'Check what the user may read and write.',
  GROUP_AUTHORIZATION_FAILED: 'Check what the user may read and write.',
  CLUSTER_AUTHORIZATION_FAILED: 'Check what the user may read and write.',
  SASL_AUTHENTICATION_FAILED: 'Check the user and the password in the url.',
  UNKNOWN_TOPIC_OR_PARTITION: 'Make the topic at the broker.',
  INVALID_TOPIC_EXCEPTION: 'Give a topic that the broker takes.',
  RECORD_TOO_LARGE: 'Let the broker take larger messages (`max.message.bytes`).',
  MESSAGE_TOO_LARGE: 'Let the broker take larger messages (`max.message.bytes`).',
}

/** What the driver says, as what is wrong with the brokers. */
export function kafkaError(where: string, error: unknown): SyncError {
  if (SyncError.is(error)) return error
  const all = [...causesOf(error)]
  const words = [...new Set(all.map(({ message }) => message))].filter((text) => text !== '').join(': ')
  const refusal = all.map(({ id }) => REFUSALS[id]).find((next) => next !== undefined)
  const isRefused = all.some(({ code }) => code === 'PLT_KFK_AUTHENTICATION')
  const text = `${where}: ${words === '' ? String(error) : words}`.replace(/\.$/, '')
  return refusal === undefined && !isRefused
    ? new SyncError('broker.unreachable', `${text}.`, { cause: error })
    : new SyncError('broker.refused', `${text}. ${refusal ?? 'Check the user and the password in the url.'}`, {
        cause: error,
      })
}

interface Cause {
  readonly message: string
  readonly id: string
  readonly code: string
}

function* causesOf(error: unknown, depth = 0): Generator<Cause> {
  if (typeof error !== 'object' || error === null || depth > 5) return
  const { message, apiId, code, errors, cause } = error as Readonly<Record<string, unknown>>
  yield { message: String(message ?? ''), id: String(apiId ?? ''), code: String(code ?? '') }
  for (const inner of [...(Array.isArray(errors) ? errors : []), cause]) yield* causesOf(inner, depth + 1)
}

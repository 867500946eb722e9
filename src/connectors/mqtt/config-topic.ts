import { refuse } from '../../config/refuse.ts'
import type { MqttListenOptions } from './options.ts'

export interface SubscriptionOptions {
  /** Subscribers of one group get each message once (a shared subscription). */
  readonly group?: string
}

export const SUBSCRIPTION_KEYS = ['qos', 'group'] as const

/** By which the broker keeps what comes while the hub is away. */
export interface MqttSession {
  readonly clientId: string
  readonly sessionExpiryS: number
}

type Subscription = Pick<MqttListenOptions, 'clientId' | 'topic' | 'group' | 'qos' | 'sessionExpiryS'>

export function readSubscription(
  where: string,
  filter: unknown,
  { qos, group }: SubscriptionOptions & { readonly qos: 0 | 1 | 2 },
  { clientId, sessionExpiryS }: MqttSession,
): Subscription {
  if (
    typeof filter !== 'string' ||
    !/^(?:[^+#\0]*|(?:(?:\+|[^+#/\0]*)\/)*(?:\+|#|[^+#/\0]*))$/.test(filter) ||
    filter === ''
  )
    refuse(where, 'this is not a filter of topics', "Give one such as 'orders/new', 'orders/+' or 'orders/#'.")
  if (qos !== 0 && qos !== 1 && qos !== 2) refuse(`${where}.qos`, `${String(qos)} is not a QoS`, 'Give 0, 1 or 2.')
  if (group !== undefined && (typeof group !== 'string' || !/^[^/+#\0]+$/.test(group)))
    refuse(`${where}.group`, 'this is not the name of a group', 'Give text without / + and #.')
  return { clientId: `${clientId}:${filter}`, topic: filter, group: group ?? null, qos, sessionExpiryS }
}

export function checkTopic(where: string, topic: unknown): void {
  if (typeof topic !== 'string' || !/^[^+#\0]+$/.test(topic))
    refuse(where, 'this is not a topic', "Give one such as 'persons/{id}', without + and #.")
}

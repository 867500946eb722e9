import type { SyncError } from '../errors/index.ts'
import type { Message, Run, SetAside } from '../model/flow.ts'
import type { FlowName, RunId } from '../model/ids.ts'
import type { NativeData } from '../model/value.ts'
import type { RawReply, RawRequest } from './app.ts'

/** What became of a message that was handed in. */
export type Delivered =
  /** Durable; it runs afterwards. `run` is null for a duplicate, which was acknowledged before. */
  | { readonly kind: 'accepted'; readonly run: RunId | null; readonly duplicate: boolean }
  /** A filter of the flow wants nothing of it: acknowledged, and nothing is done. */
  | { readonly kind: 'filtered'; readonly filter: string }
  /** The flow's answer to a caller who waits. */
  | { readonly kind: 'replied'; readonly value: NativeData }

/** What a listener hands messages to. Every call is safe at any time; a rejection is a SyncError, whose message may be shown to the sender. */
export interface FlowDoor {
  /**
   * Hands one message to its flow. For a flow with an output it resolves with the reply; for one without, as soon as the message is durable: only then
   * may the sender be told so, or a broker's message be acknowledged. When it rejects, nothing was kept, and `handling` says whether sending it again can help.
   * `signal`: the caller has gone. `text`: the JSON text of the body, where it is at hand and `decodeData` of it gives the body. `notes`: whether a refusal is noted among what arrived at once, or by the listener (`setAside`, `refused`), which may hand the message over again.
   */
  deliver(
    flow: FlowName,
    message: Message,
    signal: AbortSignal | null,
    notes?: 'refusals' | 'none',
    text?: string,
  ): Promise<Delivered>
  /** Notes a message that its listener refused for good, or answered with a refusal. */
  refused(flow: FlowName, message: Message, error: SyncError): void
  /**
   * Keeps a message that its flow refused with handling `park`, or that could not be decoded, and that nobody waits for: as a run that is parked, durable
   * when it resolves, to be released or cancelled by a person.
   */
  setAside(flow: FlowName, message: Message & { readonly setAside: SetAside }): Promise<Delivered>
  /** The refusal that a message would get now because the flow is full; null when it may come. Cheap, so that it can be asked before a body is read. */
  refusal(flow: FlowName): SyncError | null
}

/** Where flows are started by name: this hub, or an agent that runs them next to its applications. */
export interface FlowExecutor {
  /** Resolves when the message is durable there. `run` is null for a duplicate. Rejects with SyncError. */
  execute(flow: FlowName, message: Message): Promise<{ readonly run: RunId | null }>
  /** null when there is no such run. */
  run(id: RunId): Promise<Run | null>
  /** Calls back with every state of a run from now on, until the returned function is called. */
  watch(id: RunId, callback: (run: Run) => void): () => void
}

/** One path of the hub that a listener answers. `:name` segments match anything but a slash. */
export interface ListenRoute {
  readonly method: string
  readonly path: string
  /** For the log and the message list. */
  readonly flow: FlowName
  /** A refusal before the body is read; null when it may come. */
  refuses(door: FlowDoor): SyncError | null
  /** Authenticates, decodes, delivers, and encodes the answer. Rejects with SyncError for what is refused. */
  answer(
    request: RawRequest,
    params: Readonly<Record<string, string>>,
    door: FlowDoor,
    nowMs: number,
  ): Promise<RawReply>
  /** A refusal in the form that this door's senders read. */
  refusal(error: SyncError, request: Pick<RawRequest, 'path' | 'headers'>): RawReply
}

/**
 * A door for messages to flows. Two kinds share the contract: one that is pushed to over the hub's HTTP front gives `routes`; one that fetches its messages itself
 * (a broker) begins in `start` and ends in `close`. A fetching one acknowledges a message only after `deliver` resolved, returns it to the broker when it rejects with
 * handling `retry`, sets it aside (`setAside`, or the broker's dead letters) when with `park`, and publishes a reply to `replyTo` with the correlation id.
 */
export interface MessageListener extends AsyncDisposable {
  readonly routes: readonly ListenRoute[]
  /** Reads a message of this door that was set aside undecoded, as the config says now; null for one of another door. Throws SyncError. */
  decode?(message: Message): Message | null
  start(door: FlowDoor): Promise<void>
  /** Takes nothing more; resolves when what is under way is answered. Idempotent. */
  close(): Promise<void>
}

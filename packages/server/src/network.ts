/**
 * How members reach each other.
 *
 * Three kinds of traffic, each best effort and never blocking:
 *
 *   - Raft messages: may be lost, delayed and, across kinds, reordered; Raft copes. It copes with repeated ones too, but for forwarded
 *     proposals: one that arrives twice is applied twice, so a transport must not send again what may have arrived.
 *   - Snapshots: a Raft message with a long content that is pulled chunk by chunk, so that neither side buffers it.
 *   - Calls: a question to one member with one answer (leases of the leader, hashes, promotion). They end at the deadline
 *     at the latest, and say nothing about whether the other side acted.
 *
 * Only members of this cluster get through to the listeners: the transport has checked cluster and member ids. Who was added
 * while this member was away is no peer yet, and may lead: it gets through, and can be sent to, while it is connected. The real
 * one is in `peers/` (gRPC streams); the simulated one in `@quorate/testing`. Both pass `network.contract.ts`. A cluster of
 * one uses `NO_PEERS`.
 */
export type MessageKind = 'vote' | 'heartbeat' | 'append';

/** A snapshot's content, pulled chunk by chunk. `ImageSource` of `@quorate/mvcc` is one. */
export interface SnapshotContent {
  /** One call at a time; null after the last chunk. */
  next(done: (error: Error | null, chunk: Uint8Array | null) => void): void;
  /** No more will be asked for; also after the end. Closing twice changes nothing. */
  close(): void;
}

export interface PeerReport {
  readonly to: bigint;
  readonly what: 'unreachable' | 'snapshot-ok' | 'snapshot-failed';
}

/** Answers a call; `done` exactly once, now or later. */
export type CallHandler = (
  from: bigint,
  request: Uint8Array,
  done: (error: Error | null, response: Uint8Array | null) => void,
) => void;

/** Takes a snapshot in. `done(null)` once it is installed or found unneeded, an error when it must be sent again. */
export type SnapshotListener = (
  from: bigint,
  message: Uint8Array,
  content: SnapshotContent,
  done: (error: Error | null) => void,
) => void;

export interface Network {
  /** Hands over one encoded Raft message: what does not fit in the bounds is dropped and reported. */
  send(to: bigint, message: Uint8Array, kind: MessageKind): void;
  /**
   * Sends a snapshot message and its content; the outcome is reported, once for each. Closes `content` in any case. One at a
   * time to each member: until the report the next is not begun, so a report needs not say which one it means.
   */
  sendSnapshot(to: bigint, message: Uint8Array, content: SnapshotContent): void;
  /** @param done exactly once; an error when there is no connection, no answer in time, or the other side refused (its message) */
  call(
    to: bigint,
    method: string,
    request: Uint8Array,
    timeoutMs: number,
    done: (error: Error | null, response: Uint8Array | null) => void,
  ): void;

  /** Messages for this member, in order per sender and kind. The bytes may be kept. */
  onMessage(listener: (from: bigint, message: Uint8Array) => void): void;
  onSnapshot(listener: SnapshotListener): void;
  onCall(method: string, handler: CallHandler): void;
  /** A message was dropped, or a snapshot finished or failed: the core adjusts its flow control. */
  onReport(listener: (report: PeerReport) => void): void;

  /** Peers by id and URLs, this member not among them; those who are gone are disconnected. */
  setPeers(peers: ReadonlyMap<bigint, readonly string[]>): void;
  /** When the connection to `id` was made, on `env.monotonicMs()`; null while there is none. */
  connectedSince(id: bigint): number | null;
  close(): Promise<void>;
}

export const NO_PEERS: Network = {
  send() {},
  sendSnapshot(_to, _message, content) {
    content.close();
  },
  call(_to, _method, _request, _timeoutMs, done) {
    done(new Error('this cluster has one member'), null);
  },
  onMessage() {},
  onSnapshot() {},
  onCall() {},
  onReport() {},
  setPeers() {},
  connectedSince: () => null,
  async close() {},
};

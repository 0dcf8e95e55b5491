/**
 * How members reach each other, as the consensus driver needs it.
 *
 * Delivery is best effort: messages may be lost, repeated, delayed and, across kinds of traffic, reordered; Raft
 * copes. The real one carries gRPC streams between members; the simulated one is in `@quorate/testing`. Both pass
 * `network.contract.ts`. A cluster of one uses `NO_PEERS`.
 */
export interface Network {
  /** Hands one encoded Raft message to the transport, which never blocks: what does not fit in its bounds is dropped and reported. */
  send(to: bigint, message: Uint8Array, kind: 'vote' | 'heartbeat' | 'append' | 'snapshot'): void;
  /** Messages for this member, in order per sender and kind. The bytes may be kept. */
  onMessage(listener: (from: bigint, message: Uint8Array) => void): void;
  /** A message was dropped, or a snapshot finished or failed: the core adjusts its flow control. */
  onReport(
    listener: (report: { to: bigint; what: 'unreachable' | 'snapshot-ok' | 'snapshot-failed' }) => void,
  ): void;
  /** Peers by id and URLs; removed ones are disconnected. */
  setPeers(peers: ReadonlyMap<bigint, readonly string[]>): void;
  close(): Promise<void>;
}

export const NO_PEERS: Network = {
  send() {},
  onMessage() {},
  onReport() {},
  setPeers() {},
  async close() {},
};

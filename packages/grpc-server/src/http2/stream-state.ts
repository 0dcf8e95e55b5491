/**
 * The states of a stream (RFC 9113 §5.1, figure 2), as far as a server that never pushes can see them.
 *
 *                    HEADERS
 *           idle ──────────────▶ open
 *                                │  │
 *            received END_STREAM │  │ sent END_STREAM
 *                                ▼  ▼
 *          half-closed (remote)      half-closed (local)
 *                                │  │
 *                sent END_STREAM │  │ received END_STREAM
 *                                ▼  ▼
 *                               closed     (RST_STREAM, either way: from any state)
 *
 * `idle` and `closed` streams have no object: an identifier above the highest one seen is idle, every other one
 * that is not in the connection's map is closed.
 */
export const StreamState = {
  OPEN: 0,
  HALF_CLOSED_REMOTE: 1,
  HALF_CLOSED_LOCAL: 2,
  CLOSED: 3,
} as const;
export type StreamState = (typeof StreamState)[keyof typeof StreamState];

export function afterReceivedEnd(state: StreamState): StreamState {
  return state === StreamState.OPEN ? StreamState.HALF_CLOSED_REMOTE : StreamState.CLOSED;
}

export function afterSentEnd(state: StreamState): StreamState {
  return state === StreamState.OPEN ? StreamState.HALF_CLOSED_LOCAL : StreamState.CLOSED;
}

/** Whether the peer may still send on the stream. */
export function canReceive(state: StreamState): boolean {
  return state === StreamState.OPEN || state === StreamState.HALF_CLOSED_LOCAL;
}

/** Whether we may still send on the stream. */
export function canSend(state: StreamState): boolean {
  return state === StreamState.OPEN || state === StreamState.HALF_CLOSED_REMOTE;
}

/** SETTINGS (RFC 9113 §6.5): what the peer may ask for, and the checks on it. */
import { ConnectionError } from './errors.ts';
import { DEFAULT_WINDOW_BYTES, MAX_WINDOW_BYTES } from './flow-control.ts';
import { DEFAULT_MAX_FRAME_BYTES, ErrorCode } from './frame.ts';

export const Setting = {
  HEADER_TABLE_SIZE: 0x1,
  ENABLE_PUSH: 0x2,
  MAX_CONCURRENT_STREAMS: 0x3,
  INITIAL_WINDOW_SIZE: 0x4,
  MAX_FRAME_SIZE: 0x5,
  MAX_HEADER_LIST_SIZE: 0x6,
} as const;

/** The peer's settings that bind what we send. The others do not concern a side that never pushes. */
export interface PeerSettings {
  headerTableBytes: number;
  /** Of a server; clients are never pushed anything. */
  maxConcurrentStreams: number;
  initialWindowBytes: number;
  maxFrameBytes: number;
}

export function initialPeerSettings(): PeerSettings {
  return {
    headerTableBytes: 4096,
    maxConcurrentStreams: Number.POSITIVE_INFINITY,
    initialWindowBytes: DEFAULT_WINDOW_BYTES,
    maxFrameBytes: DEFAULT_MAX_FRAME_BYTES,
  };
}

/** Applies a SETTINGS payload, "processed in the order in which they appear" (§6.5.3). @throws ConnectionError */
export function applySettings(peer: PeerSettings, bytes: Buffer, start: number, end: number): void {
  // §6.5: "A SETTINGS frame with a length other than a multiple of 6 octets MUST be treated as a connection error
  // (Section 5.4.1) of type FRAME_SIZE_ERROR."
  if ((end - start) % 6 !== 0) {
    throw new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, 'the length of SETTINGS is not a multiple of 6');
  }
  for (let at = start; at < end; at += 6) {
    const value = bytes.readUInt32BE(at + 2);
    switch (bytes.readUInt16BE(at)) {
      case Setting.HEADER_TABLE_SIZE:
        peer.headerTableBytes = value;
        break;
      case Setting.ENABLE_PUSH:
        // §6.5.2: "Any value other than 0 or 1 MUST be treated as a connection error (Section 5.4.1) of type
        // PROTOCOL_ERROR."
        if (value > 1) throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'ENABLE_PUSH is neither 0 nor 1');
        break;
      case Setting.MAX_CONCURRENT_STREAMS:
        peer.maxConcurrentStreams = value;
        break;
      case Setting.INITIAL_WINDOW_SIZE:
        // §6.5.2: "Values above the maximum flow-control window size of 2^31-1 MUST be treated as a connection error
        // (Section 5.4.1) of type FLOW_CONTROL_ERROR."
        if (value > MAX_WINDOW_BYTES) {
          throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, 'INITIAL_WINDOW_SIZE is above 2^31-1');
        }
        peer.initialWindowBytes = value;
        break;
      case Setting.MAX_FRAME_SIZE:
        // §6.5.2: "The value advertised by an endpoint MUST be between this initial value and the maximum allowed
        // frame size (2^24-1 or 16,777,215 octets), inclusive. Values outside this range MUST be treated as a
        // connection error (Section 5.4.1) of type PROTOCOL_ERROR."
        if (value < DEFAULT_MAX_FRAME_BYTES || value > 0xffffff) {
          throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'MAX_FRAME_SIZE is out of range');
        }
        peer.maxFrameBytes = value;
        break;
      default:
      // §6.5.2: "An endpoint that receives a SETTINGS frame with any unknown or unsupported identifier MUST ignore
      // that setting."
    }
  }
}

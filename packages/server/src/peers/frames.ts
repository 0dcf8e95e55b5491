/**
 * What members write into the gRPC messages they exchange: one or more frames.
 *
 *     frame   kind u8 | length u32 big endian | length bytes
 *
 * A gRPC message holds everything of one turn, so that the cost of a message is paid once a turn and not once a Raft
 * message. For example a ping numbered 7 behind a Raft message of three bytes:
 *
 *     01 00000003 aabbcc   02 00000004 00000007
 *
 * The bytes come from outside: no length is believed before it is seen to lie within the message, and the number of
 * frames is bounded. Bodies that are written rarely are JSON, read with every field checked.
 */
import { PeerError } from './errors.ts';

export const FrameKind = {
  /** An encoded Raft message. In a snapshot stream: the message the snapshot belongs to. */
  message: 1,
  /** A number; whoever gets it sends the same back in a `pong`. */
  ping: 2,
  pong: 3,
  /** First answer on a stream: the caller was let in. JSON `Welcome`. */
  welcome: 4,
  /** First and last answer: it was not. JSON `RefusalBody`. */
  refusal: 5,
  /** A part of a snapshot's content. */
  chunk: 6,
  /** The content is complete. */
  end: 7,
  /** Bytes of content that the receiver has taken so far, as a big-endian double. */
  taken: 8,
  /** The receiver still works on it. */
  alive: 9,
  /** Name of the method called. */
  method: 10,
  /** Request or response of a call. */
  body: 11,
  /** JSON `FailureBody`: the outcome of a call or snapshot that failed. */
  failure: 12,
  /** The snapshot is installed, or was not needed. */
  success: 13,
} as const;
export type FrameKind = (typeof FrameKind)[keyof typeof FrameKind];

export interface Frame {
  readonly kind: number;
  readonly bytes: Uint8Array;
}

export const FRAME_HEADER_BYTES = 5;
/** No turn of an honest member comes near. */
const MAX_FRAMES = 65_536;
/** Handshakes, refusals, failures. */
const MAX_JSON_BYTES = 16 * 1024;

const NOTHING = new Uint8Array(0);

export function encodeFrames(frames: readonly Frame[]): Buffer {
  let length = 0;
  for (const frame of frames) length += FRAME_HEADER_BYTES + frame.bytes.length;
  const out = Buffer.allocUnsafe(length);
  let at = 0;
  for (const { kind, bytes } of frames) {
    out[at] = kind;
    out.writeUInt32BE(bytes.length, at + 1);
    out.set(bytes, at + FRAME_HEADER_BYTES);
    at += FRAME_HEADER_BYTES + bytes.length;
  }
  return out;
}

/**
 * @returns the frames, whose bytes are views of `message`
 * @throws PeerError when it is anything but whole frames
 */
export function decodeFrames(message: Uint8Array): Frame[] {
  const view = Buffer.from(message.buffer, message.byteOffset, message.length);
  const frames: Frame[] = [];
  let at = 0;
  while (at < view.length) {
    if (view.length - at < FRAME_HEADER_BYTES) throw new PeerError('PEER_PROTOCOL', 'a frame is cut short');
    const kind = view[at]!;
    const length = view.readUInt32BE(at + 1);
    at += FRAME_HEADER_BYTES;
    if (length > view.length - at) throw new PeerError('PEER_PROTOCOL', 'a frame is longer than its message');
    if (frames.length === MAX_FRAMES) throw new PeerError('PEER_PROTOCOL', 'too many frames in a message');
    frames.push({ kind, bytes: view.subarray(at, at + length) });
    at += length;
  }
  return frames;
}

export function frame(kind: FrameKind, bytes: Uint8Array = NOTHING): Frame {
  return { kind, bytes };
}

export function numberFrame(kind: FrameKind, value: number): Frame {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeDoubleBE(value);
  return { kind, bytes };
}

/** @throws PeerError */
export function readNumber({ bytes }: Frame): number {
  if (bytes.length !== 8) throw new PeerError('PEER_PROTOCOL', 'a number has another length');
  return Buffer.from(bytes.buffer, bytes.byteOffset, 8).readDoubleBE();
}

export function jsonFrame(kind: FrameKind, value: Readonly<Record<string, unknown>>): Frame {
  return { kind, bytes: Buffer.from(JSON.stringify(value), 'utf8') };
}

/** Text fields of a JSON frame, cut to what a log line bears; what is absent or no text is empty. @throws PeerError */
export function readTexts<K extends string>({ bytes }: Frame, ...names: readonly K[]): Record<K, string> {
  const value = readJson(bytes, MAX_JSON_BYTES);
  const texts = {} as Record<K, string>;
  for (const name of names) {
    const field = value[name];
    texts[name] = typeof field === 'string' ? field.slice(0, 1_024) : '';
  }
  return texts;
}

/** @throws PeerError */
export function readJson(bytes: Uint8Array, maxBytes: number): Readonly<Record<string, unknown>> {
  if (bytes.length > maxBytes) throw new PeerError('PEER_PROTOCOL', 'a description is too long');
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>;
    }
  } catch {
    // Reported like any other value that is no object.
  }
  throw new PeerError('PEER_PROTOCOL', 'a description cannot be read');
}

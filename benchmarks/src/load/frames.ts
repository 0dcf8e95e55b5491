/**
 * The few pieces of HTTP/2 (RFC 9113) and HPACK (RFC 7541) that a load generator writes.
 *
 * Heads are encoded once for all connections. A real client fills the server's dynamic table with its first calls
 * and refers to it afterwards, a byte a field; so does `encodeHeads`: the blocks in `openings` insert, in that order,
 * and the blocks in `indexed` only refer. Neither server is asked to parse text that a real client would not send.
 *
 * Read next: `connection.ts`.
 */

export const FrameType = {
  DATA: 0,
  HEADERS: 1,
  RST_STREAM: 3,
  SETTINGS: 4,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
} as const;

export const END_STREAM = 0x1;
export const ACK = 0x1;
export const END_HEADERS = 0x4;
export const FRAME_HEAD_BYTES = 9;
/** Length prefix of a gRPC message: one byte of flags, four of length. */
export const GRPC_PREFIX_BYTES = 5;
/** RFC 9113 §4.2: no frame is longer unless the receiver allows it; neither server does. */
export const MAX_FRAME_BYTES = 16_384;
/** RFC 9113 §6.9.2. */
export const DEFAULT_WINDOW_BYTES = 65_535;
/** What we let servers send before we must say that we read it: they never wait for the generator. */
export const OUR_WINDOW_BYTES = 0x3fff_ffff;

/** Writes the nine bytes of RFC 9113 §4.1 at `at`. */
export function writeFrameHead(
  into: Buffer,
  at: number,
  payloadBytes: number,
  type: number,
  flags: number,
  streamId: number,
): void {
  into[at] = payloadBytes >>> 16;
  into[at + 1] = payloadBytes >>> 8;
  into[at + 2] = payloadBytes;
  into[at + 3] = type;
  into[at + 4] = flags;
  into[at + 5] = streamId >>> 24;
  into[at + 6] = streamId >>> 16;
  into[at + 7] = streamId >>> 8;
  into[at + 8] = streamId;
}

export function frame(type: number, flags: number, streamId: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(FRAME_HEAD_BYTES + payload.length);
  writeFrameHead(bytes, 0, payload.length, type, flags, streamId);
  bytes.set(payload, FRAME_HEAD_BYTES);
  return bytes;
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Preface, SETTINGS with a large INITIAL_WINDOW_SIZE, and the connection's window opened as wide. */
export function opening(): Buffer {
  return Buffer.concat([
    Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    frame(FrameType.SETTINGS, 0, 0, Buffer.concat([Buffer.from([0, 4]), uint32(OUR_WINDOW_BYTES)])),
    frame(FrameType.WINDOW_UPDATE, 0, 0, uint32(OUR_WINDOW_BYTES - DEFAULT_WINDOW_BYTES)),
  ]);
}

export interface Heads {
  /** One HEADERS frame a unary path, to be sent in this order before anything else; stream ids are still zero. */
  readonly openings: readonly Buffer[];
  /** One HEADERS frame a unary path, good from then on. */
  readonly indexed: readonly Buffer[];
  /** For streams, which are opened once: its path leaves no trace in the server's table. Empty without such a path. */
  readonly stream: Buffer;
}

/** @param paths unary gRPC paths (at least one), in the order in which a connection opens them */
export function encodeHeads(paths: readonly string[], streamPath?: string): Heads {
  const table: string[] = [];
  const openings = paths.map((path) => headersFrame(block(path, table, 0x40)));
  const indexed = paths.map((path) => headersFrame(block(path, table, 0x40)));
  const stream = streamPath === undefined ? Buffer.alloc(0) : headersFrame(block(streamPath, table, 0x00));
  return { openings, indexed, stream };
}

function headersFrame(headerBlock: Buffer): Buffer {
  return frame(FrameType.HEADERS, END_HEADERS, 0, headerBlock);
}

const STATIC_ENTRIES = 61;

/** Literal fields of a call: the index of the name in the static table (RFC 7541 appendix A), 0 when it has none. */
function literalFields(path: string): readonly [nameIndex: number, name: string, value: string][] {
  return [
    [4, ':path', path],
    [1, ':authority', '127.0.0.1'],
    [31, 'content-type', 'application/grpc'],
    [58, 'user-agent', 'quorate-bench'],
    [0, 'te', 'trailers'],
  ];
}

/**
 * One header block; `table` is the peer's dynamic table, newest entry last.
 * @param literal 0x40: what is not in the table is inserted (RFC 7541 §6.2.1); 0: it is not (§6.2.2)
 */
function block(path: string, table: string[], literal: 0x40 | 0x00): Buffer {
  // 0x83 and 0x86: `:method: POST` and `:scheme: http` of the static table.
  const parts: Buffer[] = [Buffer.from([0x83, 0x86])];
  for (const [nameIndex, name, value] of literalFields(path)) {
    const at = table.indexOf(`${name}: ${value}`);
    if (at >= 0) {
      // §2.3.3: the newest dynamic entry follows the static table, older ones come after it. §6.1: indexed field.
      parts.push(Buffer.from([0x80 | (STATIC_ENTRIES + table.length - at)]));
    } else {
      // A name's index has six bits with insertion and four without (the path's is 4). Lengths here are below 127.
      parts.push(Buffer.from([literal | nameIndex]));
      if (nameIndex === 0) parts.push(Buffer.from([name.length]), Buffer.from(name));
      parts.push(Buffer.from([value.length]), Buffer.from(value));
      if (literal === 0x40) table.push(`${name}: ${value}`);
    }
  }
  return Buffer.concat(parts);
}

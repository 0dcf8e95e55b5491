/**
 * A client that says exactly the bytes it is told to, over an in-process pair of streams: what a conformance tool or an
 * attacker does. It never checks what it sends.
 */
import type { Socket } from 'node:net';
import { type Duplex, duplexPair } from 'node:stream';
import { HpackDecoder } from '../../src/hpack/decoder.ts';
import { encodeLiteral, type FieldPair } from '../../src/hpack/encoder.ts';
import { CLIENT_PREFACE, ErrorCode, FrameType } from '../../src/http2/frame.ts';
import type { GrpcServer } from '../../src/index.ts';
import { below, type Random } from './random.ts';

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

export function frame(
  type: number,
  flags: number,
  streamId: number,
  payload: Uint8Array = Buffer.alloc(0),
): Buffer {
  const bytes = Buffer.alloc(9 + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(streamId >>> 0, 5);
  bytes.set(payload, 9);
  return bytes;
}

export function uint32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value >>> 0, 4 * index);
  return bytes;
}

export function setting(id: number, value: number): Buffer {
  const bytes = Buffer.alloc(6);
  bytes.writeUInt16BE(id, 0);
  bytes.writeUInt32BE(value >>> 0, 2);
  return bytes;
}

export const settings = (...entries: Buffer[]) => frame(FrameType.SETTINGS, 0, 0, Buffer.concat(entries));
export const preface = Buffer.concat([CLIENT_PREFACE, settings()]);

export function grpcFields(path: string, extra: readonly FieldPair[] = []): FieldPair[] {
  return [
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', path],
    [':authority', 'test'],
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
    ...extra,
  ];
}

/** HEADERS with END_HEADERS. */
export function headers(streamId: number, fields: readonly FieldPair[], endStream = false): Buffer {
  return frame(FrameType.HEADERS, endStream ? 5 : 4, streamId, encodeLiteral(fields));
}

export function data(streamId: number, payload: Uint8Array, endStream = false): Buffer {
  return frame(FrameType.DATA, endStream ? 1 : 0, streamId, payload);
}

export function message(text: string | Uint8Array, flag = 0): Buffer {
  const body = Buffer.from(text as string);
  return Buffer.concat([Buffer.from([flag]), uint32(body.length), body]);
}

/** A whole unary call. */
export function call(streamId: number, path: string, text: string | Uint8Array = 'hello'): Buffer {
  return Buffer.concat([headers(streamId, grpcFields(path)), data(streamId, message(text), true)]);
}

export interface Answer {
  readonly fields: Map<string, string>;
  readonly body: Buffer;
  readonly ended: boolean;
}

export class RawPeer {
  readonly frames: Frame[] = [];
  readonly socket: Duplex;
  closed = false;
  #held: Buffer = Buffer.alloc(0);
  #waiters: (() => void)[] = [];
  #answers: Map<number, { fields: Map<string, string>; body: Buffer[]; ended: boolean }> = new Map();
  readonly #decoder = new HpackDecoder({ maxTableBytes: 4096, maxListBytes: 1 << 20 });

  /** @param socket by default an in-process pair whose other end the server serves */
  constructor(server: GrpcServer | undefined, socket?: Duplex) {
    if (socket !== undefined) this.socket = socket;
    else {
      const [client, other] = duplexPair();
      this.socket = client;
      // What a connection uses of a socket beyond a Duplex.
      Object.assign(other, { setNoDelay: () => other, remoteAddress: '127.0.0.1', remotePort: 1 });
      other.on('close', () => this.#onClose());
      server?.handleConnection(other as unknown as Socket);
    }
    this.socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    this.socket.on('error', () => {});
    this.socket.on('end', () => this.#onClose());
    this.socket.on('close', () => this.#onClose());
  }

  /** Writes the bytes, cut at random places when a source of them is given. */
  send(bytes: Buffer, random?: Random): void {
    if (this.closed) return;
    if (random === undefined) {
      this.socket.write(bytes);
      return;
    }
    const cuts = Array.from({ length: below(random, 24) }, () => below(random, bytes.length + 1)).sort(
      (a, b) => a - b,
    );
    let from = 0;
    for (const cut of [...cuts, bytes.length]) {
      if (cut > from) this.socket.write(Buffer.from(bytes.subarray(from, cut)));
      from = cut;
    }
  }

  /** Resolves when `holds` does, looking whenever something has come; rejects when the connection ends before. */
  async until<T>(holds: () => T | undefined | false): Promise<T> {
    for (;;) {
      const result = holds();
      if (result !== undefined && result !== false) return result;
      if (this.closed) throw new Error(`the connection ended first; frames: ${this.describe()}`);
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
  }

  async untilClosed(): Promise<void> {
    while (!this.closed) await new Promise<void>((resolve) => this.#waiters.push(resolve));
  }

  find(type: number, streamId: number): Frame | undefined {
    return this.frames.find((each) => each.type === type && each.streamId === streamId);
  }

  /** The error code of a GOAWAY that reports one, and its debug data. */
  get goaway(): { code: number; debug: string } | undefined {
    for (const each of this.frames) {
      if (each.type === FrameType.GOAWAY && each.payload.readUInt32BE(4) !== ErrorCode.NO_ERROR) {
        return { code: each.payload.readUInt32BE(4), debug: each.payload.toString('latin1', 8) };
      }
    }
    return undefined;
  }

  resetCode(streamId: number): number | undefined {
    return this.find(FrameType.RST_STREAM, streamId)?.payload.readUInt32BE(0);
  }

  answer(streamId: number): Answer | undefined {
    const known = this.#answers.get(streamId);
    return known && { fields: known.fields, body: Buffer.concat(known.body), ended: known.ended };
  }

  /** The answer once it is complete. */
  async answered(streamId: number): Promise<Answer> {
    return await this.until(() => {
      const known = this.answer(streamId);
      return known?.ended ? known : undefined;
    });
  }

  /** A PING's round trip: everything sent before has been handled. */
  async ping(): Promise<void> {
    const before = this.#pongs;
    this.send(frame(FrameType.PING, 0, 0, Buffer.alloc(8)));
    await this.until(() => this.#pongs > before);
  }

  get #pongs(): number {
    return this.frames.filter((each) => each.type === FrameType.PING && each.flags === 1).length;
  }

  describe(): string {
    return this.frames.map((each) => `${each.type}/${each.streamId}:${each.payload.length}`).join(' ');
  }

  end(): void {
    this.socket.destroy();
  }

  #onData(chunk: Buffer): void {
    this.#held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    while (this.#held.length >= 9) {
      const end = 9 + this.#held.readUIntBE(0, 3);
      if (this.#held.length < end) break;
      this.#onFrame({
        type: this.#held[3]!,
        flags: this.#held[4]!,
        streamId: this.#held.readUInt32BE(5),
        payload: Buffer.from(this.#held.subarray(9, end)),
      });
      this.#held = this.#held.subarray(end);
    }
    this.#wake();
  }

  #onFrame(each: Frame): void {
    this.frames.push(each);
    if (each.type !== FrameType.DATA && each.type !== FrameType.HEADERS) return;
    const known = this.#answers.get(each.streamId) ?? {
      fields: new Map<string, string>(),
      body: [] as Buffer[],
      ended: false,
    };
    this.#answers.set(each.streamId, known);
    if (each.type === FrameType.DATA) known.body.push(each.payload);
    else {
      for (const { name, value } of this.#decoder.decode(each.payload, 0, each.payload.length))
        known.fields.set(name, value);
    }
    if ((each.flags & 1) !== 0) known.ended = true;
  }

  #onClose(): void {
    this.closed = true;
    this.socket.destroy();
    this.#wake();
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter();
  }
}

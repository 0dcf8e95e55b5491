/**
 * A load generator that costs little: prepared frames with the stream's number written in, and answers of which only the
 * frame headers are read. Closed loop: each connection keeps `inFlight` calls open.
 */
import { connect, type Socket } from 'node:net';
import { encodeLiteral } from '../src/hpack/encoder.ts';
import { CLIENT_PREFACE } from '../src/http2/frame.ts';

function frame(type: number, flags: number, streamId: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(9 + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(streamId, 5);
  bytes.set(payload, 9);
  return bytes;
}

const uint32 = (value: number) => Buffer.from([value >>> 24, value >>> 16, value >>> 8, value]);

/** One connection that reads frames and tells what the load needs to know. */
export class Generator {
  readonly socket: Socket;
  receivedBytes = 0;
  /** A stream has ended. */
  onEnded: () => void = () => {};
  #held: Buffer = Buffer.alloc(0);
  #skip = 0;
  #nextId = 1;
  #sinceUpdate = 0;
  readonly #head: Buffer;

  constructor(port: number, path: string) {
    this.socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#head = encodeLiteral([
      [':method', 'POST'],
      [':scheme', 'http'],
      [':path', path],
      [':authority', '127.0.0.1'],
      ['content-type', 'application/grpc'],
      ['te', 'trailers'],
      ['user-agent', 'bench'],
    ]);
    const settings = Buffer.from([0, 4, 0x3f, 0xff, 0xff, 0xff]);
    this.socket.write(
      Buffer.concat([CLIENT_PREFACE, frame(4, 0, 0, settings), frame(8, 0, 0, uint32(0x3fff0000))]),
    );
    this.socket.on('data', (chunk: Buffer) => this.#read(chunk));
  }

  /** The bytes of `count` calls with the given message, ready to be written. */
  calls(count: number, message: Uint8Array): Buffer {
    const one = Buffer.concat([
      frame(1, 4, 0, this.#head),
      frame(0, 1, 0, Buffer.concat([Buffer.from([0]), uint32(message.length), message])),
    ]);
    const all = Buffer.allocUnsafe(one.length * count);
    for (let index = 0; index < count; index++) {
      const at = index * one.length;
      one.copy(all, at);
      all.writeUInt32BE(this.#nextId, at + 5);
      all.writeUInt32BE(this.#nextId, at + 9 + this.#head.length + 5);
      this.#nextId += 2;
    }
    return all;
  }

  #read(chunk: Buffer): void {
    this.receivedBytes += chunk.length;
    let at = this.#skip;
    let bytes = chunk;
    if (this.#held.length > 0) {
      bytes = Buffer.concat([this.#held, chunk]);
      this.#held = Buffer.alloc(0);
    }
    while (at + 9 <= bytes.length) {
      const length = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
      const type = bytes[at + 3]!;
      if (type === 0) this.#sinceUpdate += length;
      if (type <= 1 && (bytes[at + 4]! & 1) === 1) this.onEnded();
      if (type === 4 && (bytes[at + 4]! & 1) === 0) this.socket.write(frame(4, 1, 0, Buffer.alloc(0)));
      if (type === 6 && (bytes[at + 4]! & 1) === 0)
        this.socket.write(frame(6, 1, 0, Buffer.from(bytes.subarray(at + 9, at + 17))));
      at += 9 + length;
    }
    if (at < bytes.length) {
      this.#held = Buffer.from(bytes.subarray(at));
      at = bytes.length;
    }
    this.#skip = at - bytes.length;
    if (this.#sinceUpdate > 0x10000000) {
      const update = uint32(this.#sinceUpdate);
      this.socket.write(Buffer.concat([frame(8, 0, 0, update), frame(8, 0, 1, update)]));
      this.#sinceUpdate = 0;
    }
  }
}

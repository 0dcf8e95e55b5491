/**
 * The far side of a client's socket, without a network: says exactly the bytes it is told to, at once, and keeps the frames it
 * hears. So a test needs no waiting, and sees every byte.
 */
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { ClientConnection } from '../../src/client/connection.ts';
import type { ClientCall, ClientOptions } from '../../src/client/contract.ts';
import { CLIENT_PREFACE, FrameType } from '../../src/http2/frame.ts';
import type { Status } from '../../src/index.ts';
import type { Frame } from './raw-peer.ts';

/** As much of a socket as the client uses. */
class FakeSocket extends EventEmitter {
  readonly written: Buffer[] = [];
  /** What the kernel does not take, and so waits in this process. */
  writableLength = 0;
  writableNeedDrain = false;
  writableEnded = false;
  destroyed = false;
  write(bytes: Uint8Array): boolean {
    this.written.push(Buffer.from(bytes));
    return true;
  }
  cork(): void {}
  uncork(): void {}
  destroy(): void {
    this.destroyed = true;
  }
}

export interface FakeCall {
  readonly call: ClientCall;
  readonly messages: string[];
  /** Statuses with texts: at most one. */
  readonly ends: [status: Status, text: string][];
}

export class FakeServer {
  readonly socket = new FakeSocket();
  readonly client: ClientConnection;
  /** Why the connection ended, and why it takes no more calls: at most one of each. */
  readonly ends: string[] = [];
  readonly goaways: string[] = [];

  constructor(options: Partial<ClientOptions> = {}) {
    this.client = new ClientConnection(this.socket as unknown as Socket, {
      scheme: 'http',
      authority: 'test',
      maxMessageBytes: 100_000,
      onEnd: (error) => this.ends.push(error.message),
      onGoaway: (reason) => this.goaways.push(reason),
      ...options,
    });
  }

  say(...bytes: readonly Buffer[]): void {
    for (const each of bytes) this.socket.emit('data', each);
  }

  /** A unary call when there is a request, else a stream. */
  call(request?: Uint8Array, onRoom?: () => void): FakeCall {
    const messages: string[] = [];
    const ends: [Status, string][] = [];
    const listener = {
      onMessage: (message: Uint8Array) => messages.push(Buffer.from(message).toString('latin1')),
      onEnd: (status: Status, text: string) => ends.push([status, text]),
      ...(onRoom === undefined ? {} : { onRoom }),
    };
    return { call: this.client.open('/a/B', [], listener, request), messages, ends };
  }

  /** Everything the client has said, which must be whole frames behind the preface. */
  get frames(): Frame[] {
    const bytes = Buffer.concat(this.socket.written);
    if (!bytes.subarray(0, CLIENT_PREFACE.length).equals(CLIENT_PREFACE)) throw new Error('no preface');
    const frames: Frame[] = [];
    for (let at = CLIENT_PREFACE.length; at < bytes.length; ) {
      const end = at + 9 + bytes.readUIntBE(at, 3);
      if (end > bytes.length) throw new Error('a frame is cut short');
      frames.push({
        type: bytes[at + 3]!,
        flags: bytes[at + 4]!,
        streamId: bytes.readUInt32BE(at + 5),
        payload: bytes.subarray(at + 9, end),
      });
      at = end;
    }
    return frames;
  }

  sent(type: number, streamId: number): Frame[] {
    return this.frames.filter((each) => each.type === type && each.streamId === streamId);
  }

  dataOf(streamId: number): Buffer {
    return Buffer.concat(this.sent(FrameType.DATA, streamId).map(({ payload }) => payload));
  }

  resetsOf(streamId: number): number[] {
    return this.sent(FrameType.RST_STREAM, streamId).map(({ payload }) => payload.readUInt32BE(0));
  }
}

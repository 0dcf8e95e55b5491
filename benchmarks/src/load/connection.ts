/**
 * One HTTP/2 connection that makes prepared calls: bytes are copied into an output slab, the stream's number and the
 * random digits are written over them, and all calls of one turn leave in one write.
 *
 * Status without HPACK: of an answer only the frames are read. A unary call that succeeded has sent a message, one that
 * failed has not (its head and trailers are one block), so "ended without DATA" is "failed".
 *
 * Flow control (RFC 9113 §5.2, §6.9) is kept in both directions: we may not send beyond the server's windows, and our
 * own are so wide that a server never waits. What does not fit now is queued in order.
 *
 * Calls made outside of a listener must be followed by `flush`; those made inside one leave by themselves.
 */
import { connect, type Socket } from 'node:net';
import { FrameReader } from './frame-reader.ts';
import {
  ACK,
  DEFAULT_WINDOW_BYTES,
  END_STREAM,
  FRAME_HEAD_BYTES,
  FrameType,
  frame,
  GRPC_PREFIX_BYTES,
  type Heads,
  MAX_FRAME_BYTES,
  OUR_WINDOW_BYTES,
  opening,
  uint32,
  writeFrameHead,
} from './frames.ts';
import { type PreparedCall, patchKeys } from './prepared.ts';

export interface StreamListener {
  /** A piece of the answer's body, valid during the call only. */
  onData?(bytes: Buffer, start: number, end: number): void;
  /** @param succeeded a message came before the end */
  onEnd(succeeded: boolean): void;
}

/** A call that is under way. */
export interface OpenStream {
  readonly id: number;
  readonly listener: StreamListener;
  /** What the server still lets us send on this stream. May be negative after a SETTINGS (RFC 9113 §6.9.2). */
  sendWindow: number;
  receivedBytes: number;
  unackedBytes: number;
}

interface Queued {
  readonly stream: OpenStream;
  readonly body: Buffer;
  at: number;
  readonly end: boolean;
}

const SLAB_BYTES = 512 * 1024;
const READ_BUFFER_BYTES = 128 * 1024;
const NO_BYTES = Buffer.alloc(0);
const EMPTY_MESSAGE = Buffer.alloc(GRPC_PREFIX_BYTES);
const SETTINGS_INITIAL_WINDOW_SIZE = 4;

export class Connection {
  readonly #socket: Socket;
  readonly #reader: FrameReader;
  readonly #streams = new Map<number, OpenStream>();
  readonly #onLost: (error: Error) => void;
  #slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
  #from = 0;
  #to = 0;
  #nextId = 1;
  #sendWindow = DEFAULT_WINDOW_BYTES;
  #streamSendWindow = DEFAULT_WINDOW_BYTES;
  #unackedBytes = 0;
  #queue: Queued[] = [];
  #closed = false;

  /** Connects and sends each path's opening head, with an empty message; resolves when those calls have ended. */
  static async open(endpoint: string, heads: Heads, onLost: (error: Error) => void): Promise<Connection> {
    const [host, port] = endpoint.split(':') as [string, string];
    let connection: Connection | undefined;
    const read = (bytesRead: number, buffer: Uint8Array): boolean => {
      connection?.receive(Buffer.from(buffer.buffer, buffer.byteOffset, bytesRead));
      return true;
    };
    const socket = connect({
      host,
      port: Number(port),
      noDelay: true,
      onread: { buffer: Buffer.allocUnsafeSlow(READ_BUFFER_BYTES), callback: read },
    });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    connection = new Connection(socket, onLost);
    await connection.#open(heads);
    return connection;
  }

  private constructor(socket: Socket, onLost: (error: Error) => void) {
    this.#socket = socket;
    this.#onLost = onLost;
    this.#reader = new FrameReader({
      onData: (id, flags, bytes, start, end, last) => this.#onData(id, flags, bytes, start, end, last),
      onFrame: (type, flags, id, payload) => this.#onFrame(type, flags, id, payload),
    });
    socket.removeAllListeners('error');
    socket.on('error', (error) => this.#lost(error));
    socket.on('close', () => this.#lost(new Error('the server closed a connection')));
  }

  /** A unary call; `key` is written into the message's slots. */
  call(prepared: PreparedCall, key: number, listener: StreamListener): void {
    const { wire, headBytes } = prepared;
    const stream = this.#newStream(listener);
    const messageBytes = wire.length - headBytes - FRAME_HEAD_BYTES;
    const fits =
      messageBytes <= MAX_FRAME_BYTES &&
      messageBytes <= this.#sendWindow &&
      messageBytes <= stream.sendWindow &&
      this.#queue.length === 0;
    const at = this.#reserve(fits ? wire.length : headBytes);
    if (fits) {
      wire.copy(this.#slab, at);
      this.#slab.writeUInt32BE(stream.id, at + 5);
      this.#slab.writeUInt32BE(stream.id, at + headBytes + 5);
      patchKeys(prepared, this.#slab, at, key);
      this.#sendWindow -= messageBytes;
      stream.sendWindow -= messageBytes;
    } else {
      wire.copy(this.#slab, at, 0, headBytes);
      this.#slab.writeUInt32BE(stream.id, at + 5);
      const whole = Buffer.from(wire);
      patchKeys(prepared, whole, 0, key);
      this.#enqueue(stream, whole.subarray(headBytes + FRAME_HEAD_BYTES), true);
    }
  }

  /** Opens a stream that stays open: messages follow by `send`. */
  openStream(head: Buffer, listener: StreamListener): OpenStream {
    const stream = this.#newStream(listener);
    const at = this.#reserve(head.length);
    head.copy(this.#slab, at);
    this.#slab.writeUInt32BE(stream.id, at + 5);
    return stream;
  }

  /** One message, with its gRPC prefix, on an open stream. */
  send(stream: OpenStream, message: Buffer): void {
    this.#enqueue(stream, message, false);
  }

  flush(): void {
    if (this.#to === this.#from) return;
    this.#socket.write(this.#slab.subarray(this.#from, this.#to));
    this.#from = this.#to;
  }

  close(): void {
    this.#closed = true;
    this.#socket.destroy();
  }

  /** What the socket delivered; `bytes` may be overwritten afterwards. */
  private receive(bytes: Buffer): void {
    this.#reader.push(bytes);
    this.flush();
  }

  #open(heads: Heads): Promise<void> {
    return new Promise((resolve) => {
      this.#write(opening());
      let open = heads.openings.length;
      const onEnd = () => {
        if (--open === 0) resolve();
      };
      for (const head of heads.openings) {
        this.#enqueue(this.openStream(head, { onEnd }), EMPTY_MESSAGE, true);
      }
      this.flush();
    });
  }

  #newStream(listener: StreamListener): OpenStream {
    const id = this.#nextId;
    this.#nextId += 2;
    const stream = { id, listener, sendWindow: this.#streamSendWindow, receivedBytes: 0, unackedBytes: 0 };
    this.#streams.set(id, stream);
    return stream;
  }

  #onData(id: number, flags: number, bytes: Buffer, start: number, end: number, last: boolean): void {
    const length = end - start;
    this.#unackedBytes += length;
    if (this.#unackedBytes > OUR_WINDOW_BYTES / 4) {
      this.#write(frame(FrameType.WINDOW_UPDATE, 0, 0, uint32(this.#unackedBytes)));
      this.#unackedBytes = 0;
    }
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    stream.receivedBytes += length;
    stream.unackedBytes += length;
    if (stream.unackedBytes > OUR_WINDOW_BYTES / 4) {
      this.#write(frame(FrameType.WINDOW_UPDATE, 0, id, uint32(stream.unackedBytes)));
      stream.unackedBytes = 0;
    }
    if (length > 0) stream.listener.onData?.(bytes, start, end);
    if (last && (flags & END_STREAM) !== 0) this.#end(stream);
  }

  #onFrame(type: number, flags: number, id: number, payload: Buffer): void {
    const stream = this.#streams.get(id);
    if (type === FrameType.HEADERS) {
      if ((flags & END_STREAM) !== 0 && stream !== undefined) this.#end(stream);
    } else if (type === FrameType.WINDOW_UPDATE) {
      const bytes = payload.readUInt32BE(0) & 0x7fff_ffff;
      if (id === 0) this.#sendWindow += bytes;
      else if (stream !== undefined) stream.sendWindow += bytes;
      if (this.#queue.length > 0) this.#pump();
    } else if (type === FrameType.RST_STREAM) {
      if (stream !== undefined) {
        stream.receivedBytes = 0;
        this.#end(stream);
      }
    } else if (type === FrameType.SETTINGS && (flags & ACK) === 0) {
      this.#onSettings(payload);
    } else if (type === FrameType.PING && (flags & ACK) === 0) {
      this.#write(frame(FrameType.PING, ACK, 0, payload));
    } else if (type === FrameType.GOAWAY) {
      this.#lost(new Error(`the server sent GOAWAY: ${payload.subarray(8).toString('latin1')}`));
    }
  }

  #onSettings(payload: Buffer): void {
    for (let at = 0; at + 6 <= payload.length; at += 6) {
      if (payload.readUInt16BE(at) !== SETTINGS_INITIAL_WINDOW_SIZE) continue;
      const window = payload.readUInt32BE(at + 2);
      for (const stream of this.#streams.values()) stream.sendWindow += window - this.#streamSendWindow;
      this.#streamSendWindow = window;
    }
    this.#write(frame(FrameType.SETTINGS, ACK, 0, NO_BYTES));
    this.#pump();
  }

  #end(stream: OpenStream): void {
    this.#streams.delete(stream.id);
    stream.listener.onEnd(stream.receivedBytes > 0);
  }

  #enqueue(stream: OpenStream, body: Buffer, end: boolean): void {
    this.#queue.push({ stream, body, at: 0, end });
    this.#pump();
  }

  /** Sends of the queue what the windows allow: in order, but past streams whose own window is used up. */
  #pump(): void {
    let waiting = 0;
    for (const item of this.#queue) {
      const { stream, body } = item;
      while (item.at < body.length) {
        const length = Math.min(body.length - item.at, MAX_FRAME_BYTES, this.#sendWindow, stream.sendWindow);
        if (length <= 0) break;
        const ends = item.end && item.at + length === body.length;
        const at = this.#reserve(FRAME_HEAD_BYTES + length);
        writeFrameHead(this.#slab, at, length, FrameType.DATA, ends ? END_STREAM : 0, stream.id);
        body.copy(this.#slab, at + FRAME_HEAD_BYTES, item.at, item.at + length);
        item.at += length;
        this.#sendWindow -= length;
        stream.sendWindow -= length;
      }
      if (item.at < body.length && this.#streams.has(stream.id)) this.#queue[waiting++] = item;
    }
    this.#queue.length = waiting;
  }

  #write(bytes: Buffer): void {
    // First, since it may begin a new slab.
    const at = this.#reserve(bytes.length);
    bytes.copy(this.#slab, at);
  }

  /** @returns where `length` bytes may be written: what was reserved earlier is on its way or before it */
  #reserve(length: number): number {
    if (this.#to + length > this.#slab.length) {
      this.flush();
      // The old slab belongs to the socket until it is sent.
      this.#slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, length));
      this.#from = 0;
      this.#to = 0;
    }
    const at = this.#to;
    this.#to += length;
    return at;
  }

  #lost(error: Error): void {
    if (this.#closed) return;
    this.close();
    this.#onLost(error);
  }
}

/**
 * `/etcdserverpb.Lease/LeaseKeepAlive`: one answer per request, in order (sem-089).
 *
 * Renewals of one stream are made one after the other, as etcd does: an answer's header is built before its renewal, so
 * its revision never exceeds the revision at which the lease was renewed (sem-090). Most renewals are done in the turn
 * they came in; while one waits (its lease has expired and its revocation is on the way, or there is no leader) the
 * caller's further requests stay in its socket.
 */
import type { StreamCall, StreamListener } from '@quorate/grpc-server';
import { WireReader } from '../codec/wire-reader.ts';
import { sizeDelimited, sizeNumberField, sizeUint64, WireWriter } from '../codec/wire-writer.ts';
import type { Member } from '../member.ts';
import { statusOfError, type WireStatus } from './error-map.ts';
import type { ResponseHeader } from './header.ts';

const KEEP_ALIVE_REQUEST = [undefined, 'ID'];

export type Renew = (
  id: bigint,
  call: StreamCall,
  done: (error: Error | null, ttlSec: number) => void,
) => void;

export interface KeepAliveOptions {
  readonly member: Pick<Member, 'store'>;
  readonly header: ResponseHeader;
  readonly renew: Renew;
  /** Called once, when the call has ended for whatever reason. */
  readonly onEnd: (ended: KeepAliveCall) => void;
}

export class KeepAliveCall implements StreamListener {
  readonly #call: StreamCall;
  readonly #options: KeepAliveOptions;
  /** Requests that came while another one waits: what the transport had already read when it was told to pause. */
  #waiting: bigint[] = [];
  #busy = false;
  #blocked = false;
  #paused = false;
  #halfClosed = false;
  #ended = false;

  constructor(call: StreamCall, options: KeepAliveOptions) {
    this.#call = call;
    this.#options = options;
    call.onCancel(() => this.#finish());
  }

  onMessage(message: Uint8Array): void {
    if (this.#ended) return;
    try {
      this.#waiting.push(decodeKeepAliveRequest(message));
    } catch (error) {
      this.end(statusOfError(error as Error));
      return;
    }
    this.#run();
  }

  onHalfClose(): void {
    this.#halfClosed = true;
    this.#run();
  }

  end({ status, message }: WireStatus): void {
    if (this.#ended) return;
    this.#finish();
    this.#call.end(status, message);
  }

  #run(): void {
    while (!this.#busy && !this.#blocked && !this.#ended && this.#waiting.length > 0)
      this.#renew(this.#waiting.shift()!);
    if (this.#ended) return;
    const mustWait = this.#busy || this.#blocked;
    if (mustWait !== this.#paused) {
      this.#paused = mustWait;
      if (mustWait) this.#call.pause();
      else this.#call.resume();
    }
    if (this.#halfClosed && !mustWait) {
      this.#finish();
      this.#call.end();
    }
  }

  #renew(id: bigint): void {
    const { member, header, renew } = this.#options;
    const { revision } = member.store;
    this.#busy = true;
    let later = false;
    renew(id, this.#call, (error, ttlSec) => {
      this.#busy = false;
      if (this.#ended) return;
      if (error !== null) {
        this.end(statusOfError(error));
        return;
      }
      this.#write(encodeKeepAliveResponse(header, revision, id, ttlSec));
      if (later) this.#run();
    });
    later = true;
  }

  #write(response: Uint8Array): void {
    if (this.#call.write(response)) return;
    this.#blocked = true;
    this.#call.onDrain(() => {
      this.#blocked = false;
      this.#run();
    });
  }

  #finish(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#waiting = [];
    this.#options.onEnd(this);
  }
}

/** @throws WireError for bytes that are no such message */
export function decodeKeepAliveRequest(bytes: Uint8Array): bigint {
  const reader = new WireReader(bytes);
  let id = 0n;
  while (reader.more) {
    const tag = reader.tag('LeaseKeepAliveRequest');
    if (tag === 0x08) id = reader.int64Exact();
    else reader.other(tag, KEEP_ALIVE_REQUEST);
  }
  return id;
}

export function encodeKeepAliveResponse(
  header: ResponseHeader,
  revision: number,
  id: bigint,
  ttlSec: number,
): Uint8Array {
  const headerBytes = header.size(revision);
  const idBytes = id === 0n ? 0 : 1 + sizeUint64(id);
  const writer = new WireWriter(sizeDelimited(headerBytes) + idBytes + sizeNumberField(ttlSec));
  writer.byte(0x0a);
  writer.varint(headerBytes);
  header.write(writer, revision);
  if (id !== 0n) {
    writer.byte(0x10);
    writer.uint64(id);
  }
  writer.numberField(0x18, ttlSec);
  return writer.buffer;
}

/**
 * KV.RangeStream: a range in chunks, so that neither side holds all of it (sem-036..038).
 *
 * Every chunk is read at the revision of the first, beginning right after the last key sent. Chunks start at ten
 * keys; the number doubles while they are small and halves when they are large, against `--max-request-bytes`. Only
 * the last chunk has header, `more` and `count`, so that all chunks merged equal the answer to a plain Range.
 * A caller that does not read holds up nobody: the next chunk is read once the last one has left.
 */
import { Status, type StreamCall, type StreamHandler } from '@quorate/grpc-server';
import type { RangeResult } from '@quorate/mvcc';
import { rangeOptions, shapeRange } from '../apply/range.ts';
import { decodeRangeRequest } from '../codec/requests.ts';
import { encodeRangeStreamResponse } from '../codec/responses.ts';
import { DomainError } from '../errors.ts';
import type { Member } from '../member.ts';
import type { RangeOperation } from '../operations.ts';
import { statusOfCode, statusOfError } from './error-map.ts';
import { refuseByMetadata } from './guard.ts';
import type { ResponseHeader } from './header.ts';
import { checkRangeStream } from './validate.ts';

const FIRST_CHUNK_KEYS = 10;

export function rangeStreamMethod(member: Member, header: ResponseHeader): StreamHandler {
  return {
    kind: 'stream',
    open(call) {
      const refusal = member.ended ? 'SERVER_STOPPED' : refuseByMetadata(call, member);
      let started = refusal !== null;
      if (refusal !== null) {
        const { status, message } = statusOfCode(refusal);
        call.end(status, message);
      }
      return {
        onMessage(message) {
          if (started) return;
          started = true;
          start(member, header, message, call);
        },
        onHalfClose() {
          // What etcd's server says to a call that ends before its request came.
          if (!started) call.end(Status.UNKNOWN, 'EOF');
        },
      };
    },
  };
}

function start(member: Member, header: ResponseHeader, message: Uint8Array, call: StreamCall): void {
  let operation: RangeOperation;
  try {
    operation = decodeRangeRequest(message);
  } catch (error) {
    endWith(call, error as Error);
    return;
  }
  const refusal = checkRangeStream(operation);
  if (refusal !== null) {
    const { status, message: text } = statusOfCode(refusal);
    call.end(status, text);
    return;
  }
  // Without an order the keys come in theirs, whatever the target says.
  const stream = new RangeStream(member, header, { ...operation, sortOrder: 0, sortTarget: 0 }, call);
  call.onCancel(() => stream.stop());
  if (operation.serializable) stream.next();
  else {
    member.confirmRead(call.deadlineMs, (error) => {
      if (error !== null) endWith(call, error);
      else stream.next();
    });
  }
}

function endWith(call: StreamCall, error: Error): void {
  const { status, message } = statusOfError(error);
  call.end(status, message);
}

class RangeStream {
  private readonly member: Member;
  private readonly header: ResponseHeader;
  private readonly operation: RangeOperation;
  private readonly call: StreamCall;
  private stopped = false;
  /** First key not sent yet. */
  private nextKey: Uint8Array;
  private chunkKeys = FIRST_CHUNK_KEYS;
  private keysSent = 0;
  /** The first read: its revision is that of all, its count the stream's. */
  private first: RangeResult | null = null;

  constructor(member: Member, header: ResponseHeader, operation: RangeOperation, call: StreamCall) {
    this.member = member;
    this.header = header;
    this.operation = operation;
    this.call = call;
    this.nextKey = operation.key;
  }

  stop(): void {
    this.stopped = true;
  }

  /** Reads one chunk and sends it; goes on when the caller has room. */
  next(): void {
    if (this.stopped) return;
    if (this.member.ended) {
      endWith(this.call, new DomainError('SERVER_STOPPED'));
      return;
    }
    const { operation, first } = this;
    const keysLeft = operation.limit > 0 ? operation.limit - this.keysSent : Number.MAX_SAFE_INTEGER;
    const wanted = Math.min(this.chunkKeys, keysLeft);
    const revision = operation.revision > 0 ? operation.revision : (first?.revision ?? 0);
    // One key more than wanted tells whether there is another chunk, or `more`.
    const options = { ...rangeOptions(operation), key: this.nextKey, revision, limit: wanted + 1 };
    this.member.store.range(options, (error, result) => {
      if (this.stopped) return;
      if (error !== null) endWith(this.call, error);
      else this.send(result!, wanted, keysLeft);
    });
  }

  private send(result: RangeResult, wanted: number, keysLeft: number): void {
    this.first ??= result;
    const first = this.first;
    const cut = result.records.length > wanted;
    const records = cut ? result.records.slice(0, wanted) : result.records;
    const last = !cut || wanted === keysLeft;
    const outcome = shapeRange(
      { ...this.operation, limit: 0 },
      { records, count: last ? first.count : 0, revision: first.revision },
    );
    const message = encodeRangeStreamResponse(last ? this.header : null, { ...outcome, more: last && cut });
    const hasRoom = this.call.write(message);
    if (last) {
      this.call.end();
      return;
    }
    this.keysSent += records.length;
    this.nextKey = successor(records[records.length - 1]!.key);
    this.adjustChunk(message.length);
    if (hasRoom) this.member.env.afterPoll(() => this.next());
    else this.call.onDrain(() => this.next());
  }

  private adjustChunk(sentBytes: number): void {
    const targetBytes = this.member.limits.maxRequestBytes;
    if (sentBytes < targetBytes / 2) this.chunkKeys *= 2;
    else if (sentBytes > targetBytes * 2) this.chunkKeys = Math.max(1, Math.floor(this.chunkKeys / 2));
  }
}

/** The smallest key after `key`. */
function successor(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1);
  next.set(key);
  return next;
}

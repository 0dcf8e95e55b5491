/** An HTTP/2 request that is not gRPC, as the plain HTTP side sees it. */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { encodeLiteral, type FieldPair } from '../hpack/encoder.ts';
import { ErrorCode } from '../http2/frame.ts';
import { isFieldName, isFieldValue, type RequestHead } from '../http2/request-head.ts';
import type { CloseReason, Stream, StreamConsumer } from '../http2/stream.ts';
import type { HttpExchange, HttpExchangeListener, HttpHandOver } from './exchange.ts';

/** RFC 9113 §8.2.2: HTTP/2 has no such fields; the frames say it. */
const connectionSpecific = new Set([
  'connection',
  'proxy-connection',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
]);

export class Http2Exchange implements HttpExchange, StreamConsumer {
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly #head: RequestHead;
  readonly #stream: Stream;
  readonly #listener: HttpExchangeListener;
  readonly #maxBodyBytes: number;
  #responded = false;
  #ended = false;
  #bodyBytes = 0;
  /** Body bytes that were handed on and not consumed yet. */
  #heldBytes = 0;

  constructor(stream: Stream, head: RequestHead, handOver: HttpHandOver) {
    this.#stream = stream;
    this.#head = head;
    this.#maxBodyBytes = stream.connection.limits.maxHttpBodyBytes;
    this.fields = plainFields(head);
    this.#listener = handOver.exchange(this);
  }

  get method(): string {
    return this.#head.method;
  }
  get path(): string {
    return this.#head.path;
  }
  get scheme(): string {
    return this.#head.scheme;
  }
  get authority(): string {
    return this.#head.authority;
  }
  get socket(): Socket | TLSSocket {
    return this.#stream.connection.peer.socket;
  }

  /** The body may take its time, as long as something comes: the plain HTTP side has time limits of its own. */
  readonly waitingSinceMs = Number.POSITIVE_INFINITY;
  onTooSlow(): void {}

  onData(bytes: Buffer, start: number, end: number, endStream: boolean): void {
    if (this.#ended) return;
    this.#bodyBytes += end - start;
    if (this.#bodyBytes > this.#maxBodyBytes) {
      this.#refuseBody();
      return;
    }
    this.#heldBytes += end - start;
    this.#stream.connection.host.counters.heldRequestBytes += end - start;
    if (end > start) this.#listener.onBody(Buffer.from(bytes.subarray(start, end)));
    if (endStream && !this.#ended) this.#listener.onBodyEnd();
  }

  consumed(byteCount: number): void {
    const counted = Math.min(byteCount, this.#heldBytes);
    this.#heldBytes -= counted;
    this.#stream.connection.host.counters.heldRequestBytes -= counted;
    this.#stream.giveCredit(this.#heldBytes, 0);
  }

  respond(status: number, fields: Iterable<readonly [name: string, value: string]>): void {
    if (this.#responded || this.#ended) return;
    this.#responded = true;
    const encoded: FieldPair[] = [[':status', String(status)]];
    for (const [name, value] of fields) {
      const lower = name.toLowerCase();
      // What HTTP/1.1 would have to refuse is not passed on either: no field can be smuggled into the answer.
      if (connectionSpecific.has(lower) || !isFieldName(lower) || !isFieldValue(value)) continue;
      encoded.push([lower, value]);
    }
    this.#stream.sendHead(encodeLiteral(encoded), false);
  }

  write(bytes: Uint8Array): boolean {
    return this.#ended ? true : this.#stream.sendBytes(bytes);
  }

  end(): void {
    if (this.#ended) return;
    this.#conclude();
    this.#stream.finish('data');
  }

  abort(): void {
    if (this.#ended) return;
    this.#conclude();
    this.#stream.reset(ErrorCode.INTERNAL_ERROR);
  }

  onDrained(): void {
    if (!this.#ended) this.#listener.onDrain();
  }

  onClosed(_reason: CloseReason): void {
    if (this.#ended) return;
    this.#conclude();
    this.#listener.onAbort();
  }

  #refuseBody(): void {
    const isFirst = !this.#responded;
    this.#conclude();
    if (isFirst) this.#stream.sendHead(encodeLiteral([[':status', '413']]), true);
    else this.#stream.reset(ErrorCode.CANCEL);
    this.#listener.onAbort();
  }

  #conclude(): void {
    this.#ended = true;
    this.#stream.connection.host.counters.heldRequestBytes -= this.#heldBytes;
    this.#heldBytes = 0;
    this.#stream.release();
  }
}

/** §8.2.3: "If there are multiple Cookie header fields after decompression, these MUST be concatenated [...] using "; "". */
function plainFields(head: RequestHead): [name: string, value: string][] {
  const fields: [string, string][] = [];
  const cookies: string[] = [];
  for (const { name, value } of head.fields) {
    if (name === 'cookie') cookies.push(value);
    else fields.push([name, value]);
  }
  if (cookies.length > 0) fields.push(['cookie', cookies.join('; ')]);
  return fields;
}

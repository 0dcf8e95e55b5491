/** An HTTP/2 request with the members of `http.IncomingMessage` that handlers use. */
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import type { HttpExchange } from './exchange.ts';

/** Fields of which only the first counts, as in Node's own parser; the rest are joined with ", ". */
const singular = new Set([
  'age',
  'authorization',
  'content-length',
  'content-type',
  'etag',
  'expires',
  'from',
  'host',
  'if-modified-since',
  'if-unmodified-since',
  'last-modified',
  'location',
  'max-forwards',
  'proxy-authorization',
  'referer',
  'retry-after',
  'server',
  'user-agent',
]);

export class Http2Request extends Readable {
  readonly method: string;
  url: string;
  readonly httpVersion = '2.0';
  readonly httpVersionMajor = 2;
  readonly httpVersionMinor = 0;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly rawHeaders: string[];
  readonly trailers: Record<string, string> = {};
  readonly rawTrailers: string[] = [];
  readonly socket: Socket;
  complete = false;
  aborted = false;
  readonly #exchange: HttpExchange;
  /** Bytes that were read from the caller and not yet by the handler. */
  #buffered: number[] = [];

  constructor(exchange: HttpExchange) {
    super({ highWaterMark: 64 * 1024 });
    this.#exchange = exchange;
    this.method = exchange.method;
    this.url = exchange.path;
    this.socket = exchange.socket;
    const fields = [...exchange.fields];
    // RFC 9113 §8.3.1: an intermediary that makes an HTTP/1.1 request of this one takes Host from :authority.
    if (exchange.authority !== '' && !fields.some(([name]) => name === 'host')) {
      fields.unshift(['host', exchange.authority]);
    }
    this.rawHeaders = fields.flat();
    this.headers = Object.create(null) as Record<string, string>;
    for (const [name, value] of fields) {
      const known = this.headers[name];
      if (known === undefined) this.headers[name] = name === 'set-cookie' ? [value] : value;
      else if (Array.isArray(known)) known.push(value);
      else if (!singular.has(name)) this.headers[name] = `${known}, ${value}`;
    }
  }

  get connection(): Socket {
    return this.socket;
  }

  /** HTTP/1.x handlers call it to bound how long they wait; here the transport's own limits hold. */
  setTimeout(_timeoutMs: number, _callback?: () => void): this {
    return this;
  }

  /** Body bytes from the transport. */
  receive(bytes: Uint8Array): void {
    this.#buffered.push(bytes.length);
    // Below the mark the caller may go on at once; above it, when the handler has read.
    if (this.push(bytes)) this.#release();
  }

  receiveEnd(): void {
    this.complete = true;
    this.push(null);
  }

  /** The caller went away. */
  abort(): void {
    if (this.complete || this.destroyed) return;
    this.aborted = true;
    this.emit('aborted');
    this.destroy();
  }

  override _read(): void {
    this.#release();
  }

  #release(): void {
    for (const byteCount of this.#buffered) this.#exchange.consumed(byteCount);
    this.#buffered = [];
  }
}

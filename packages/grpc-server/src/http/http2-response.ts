/** The answer to an HTTP/2 request with the members of `http.ServerResponse` that handlers use. */
import type { Socket } from 'node:net';
import { Writable } from 'node:stream';
import type { HttpExchange } from './exchange.ts';
import type { Http2Request } from './http2-request.ts';

type HeaderValue = number | string | readonly string[];
type HeaderInput = Record<string, HeaderValue | undefined> | readonly HeaderValue[];

export class Http2Response extends Writable {
  statusCode = 200;
  statusMessage = '';
  sendDate = true;
  headersSent = false;
  readonly req: Http2Request;
  readonly #exchange: HttpExchange;
  /** By lower-case name; the name as it was given beside it. */
  readonly #headers = new Map<string, { name: string; value: HeaderValue }>();
  #onceDrained: (() => void) | undefined;

  constructor(exchange: HttpExchange, request: Http2Request) {
    super({ highWaterMark: 64 * 1024 });
    this.#exchange = exchange;
    this.req = request;
  }

  get socket(): Socket {
    return this.#exchange.socket;
  }

  get connection(): Socket {
    return this.#exchange.socket;
  }

  get finished(): boolean {
    return this.writableEnded;
  }

  setHeader(name: string, value: HeaderValue): this {
    if (this.headersSent) throw new Error('the head of the response has been sent');
    this.#headers.set(name.toLowerCase(), { name, value });
    return this;
  }

  appendHeader(name: string, value: string | readonly string[]): this {
    const known = this.getHeader(name);
    const values = known === undefined ? [] : Array.isArray(known) ? known : [String(known)];
    return this.setHeader(name, [...values, ...(typeof value === 'string' ? [value] : value)]);
  }

  getHeader(name: string): HeaderValue | undefined {
    return this.#headers.get(name.toLowerCase())?.value;
  }

  hasHeader(name: string): boolean {
    return this.#headers.has(name.toLowerCase());
  }

  removeHeader(name: string): void {
    this.#headers.delete(name.toLowerCase());
  }

  getHeaderNames(): string[] {
    return [...this.#headers.keys()];
  }

  getHeaders(): Record<string, HeaderValue> {
    const headers = Object.create(null) as Record<string, HeaderValue>;
    for (const [name, { value }] of this.#headers) headers[name] = value;
    return headers;
  }

  writeHead(statusCode: number, reasonOrHeaders?: string | HeaderInput, headers?: HeaderInput): this {
    this.statusCode = statusCode;
    const given = typeof reasonOrHeaders === 'object' ? reasonOrHeaders : headers;
    if (Array.isArray(given)) {
      for (let at = 0; at + 1 < given.length; at += 2)
        this.setHeader(String(given[at]), given[at + 1] as HeaderValue);
    } else if (given !== undefined) {
      for (const [name, value] of Object.entries(given))
        if (value !== undefined) this.setHeader(name, value as HeaderValue);
    }
    this.#sendHead();
    return this;
  }

  flushHeaders(): void {
    this.#sendHead();
  }

  writeContinue(): void {}

  addTrailers(): void {}

  setTimeout(_timeoutMs: number, _callback?: () => void): this {
    return this;
  }

  #sendHead(): void {
    if (this.headersSent) return;
    this.headersSent = true;
    // As an import, `node:http` would load a whole HTTP client (its `WebSocket`) with it.
    this.statusMessage ||= process.getBuiltinModule('node:http').STATUS_CODES[this.statusCode] ?? '';
    if (this.sendDate && !this.hasHeader('date'))
      this.#headers.set('date', { name: 'Date', value: new Date().toUTCString() });
    const fields: [string, string][] = [];
    for (const [name, { value }] of this.#headers) {
      if (typeof value === 'object') for (const item of value) fields.push([name, item]);
      else fields.push([name, String(value)]);
    }
    this.#exchange.respond(this.statusCode, fields);
  }

  /** Bodies that the status or the method forbids are dropped, as Node does for HTTP/1.1 (RFC 9110 §6.4.1). */
  get #hasBody(): boolean {
    return this.req.method !== 'HEAD' && this.statusCode !== 204 && this.statusCode !== 304;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    this.#sendHead();
    if (!this.#hasBody || this.#exchange.write(chunk)) callback();
    else this.#onceDrained = callback;
  }

  override _final(callback: () => void): void {
    this.#sendHead();
    this.#exchange.end();
    callback();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    if (!this.writableFinished) this.#exchange.abort();
    callback(error);
  }

  /** The transport's queue is empty again. */
  drained(): void {
    const callback = this.#onceDrained;
    this.#onceDrained = undefined;
    callback?.();
  }

  /** The caller went away. */
  abort(): void {
    this.destroy();
  }
}

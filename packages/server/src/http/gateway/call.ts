/**
 * What unary and streaming calls of the gateway have in common: identity, deadline, cancellation, and being counted.
 *
 * They are calls of the same handler table that gRPC uses (`@quorate/grpc-server` `handler.ts` is the contract), so the
 * services cannot tell. A client certificate means nothing here: its name is not the caller's (CVE-2018-16886).
 */
import type { IncomingHttpHeaders } from 'node:http';
import {
  type CallContext,
  type CallObserver,
  type Handler,
  type Metadata,
  type ResponseFields,
  Status,
} from '@quorate/grpc-server';
import type { Env, Timer } from '../../env.ts';
import { metadataOf, timeoutOf } from './metadata.ts';

export interface CallOptions {
  readonly path: string;
  readonly kind: Handler['kind'];
  readonly headers: IncomingHttpHeaders;
  readonly peer: string;
  readonly env: Env;
  readonly observer: CallObserver | null;
}

export abstract class GatewayCall implements CallContext {
  readonly path: string;
  readonly metadata: Metadata;
  readonly deadlineMs: number;
  readonly peer: string;
  readonly peerCommonName = '';
  cancelled = false;
  protected readonly observer: CallObserver | null;
  readonly #env: Env;
  readonly #startedMs: number;
  #listeners: ((reason: 'cancelled' | 'deadline') => void)[] = [];
  #reason: 'cancelled' | 'deadline' = 'cancelled';
  #timer: Timer | null = null;
  #ended = false;

  /** @throws HeaderError */
  constructor(options: CallOptions) {
    const timeoutMs = timeoutOf(options.headers);
    this.path = options.path;
    this.metadata = metadataOf(options.headers);
    this.peer = options.peer;
    this.observer = options.observer;
    this.#env = options.env;
    this.#startedMs = options.env.monotonicMs();
    this.deadlineMs = this.#startedMs + timeoutMs;
    // A timer cannot be set further ahead than about 24 days; nobody waits that long.
    if (timeoutMs < 2 ** 31) {
      this.#timer = options.env.setTimer(timeoutMs, () => this.expire());
    }
    this.observer?.callStarted?.(this.path, options.kind, this);
  }

  get isEnded(): boolean {
    return this.#ended;
  }

  onCancel(listener: (reason: 'cancelled' | 'deadline') => void): void {
    if (this.cancelled) listener(this.#reason);
    else if (!this.#ended) this.#listeners.push(listener);
  }

  /** Head fields that the handler gave, as grpc-gateway forwards them: `Grpc-Metadata-NAME`. */
  readonly responseHeaders: Record<string, string> = {};

  setHeaders(fields: ResponseFields): void {
    for (const [name, value] of fields) {
      this.responseHeaders[`Grpc-Metadata-${name}`] =
        typeof value === 'string' ? value : Buffer.from(value).toString('base64');
    }
  }

  /** Trailers have no place in an answer whose length is told first. */
  setTrailers(_fields: ResponseFields): void {}

  /** Whether there is time left to begin with; when not, the call has ended. */
  checkDeadline(): boolean {
    if (this.#env.monotonicMs() >= this.deadlineMs) this.expire();
    return !this.#ended;
  }

  protected expire(): void {
    this.abort('deadline', Status.DEADLINE_EXCEEDED, 'context deadline exceeded');
  }

  /** Ends the call in place of its handler, and tells the handler. */
  protected abort(reason: 'cancelled' | 'deadline', status: Status, message: string): void {
    if (this.#ended) return;
    // The answer first: what the handler says when it is told no longer counts.
    this.refuse(status, message);
    this.cancelled = true;
    this.#reason = reason;
    const listeners = this.#listeners;
    this.#listeners = [];
    for (const listener of listeners) listener(reason);
  }

  /** Sends an answer that is not the handler's; nothing when there has been one. */
  protected abstract refuse(status: Status, message: string): void;

  /** @returns whether this is the first end */
  protected conclude(status: Status): boolean {
    if (this.#ended) return false;
    this.#ended = true;
    this.#timer?.cancel();
    this.observer?.callEnded?.(this.path, status, this.#env.monotonicMs() - this.#startedMs);
    return true;
  }
}

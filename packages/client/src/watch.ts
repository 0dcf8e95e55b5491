/**
 * A watch as its user sees it: an async iterable of batches that survives reconnections.
 *
 * Invariants: events come in revision order, none twice, none left out. `next` is the revision that the store has
 * to send next; it moves only when a batch is queued, so whatever ends the stream, the watch resumes exactly behind
 * the last batch it queued. All events of one revision come in one batch (fragments are joined).
 *
 * A consumer that does not read costs bounded memory: past the limits the watch is *parked* (cancelled at the
 * server) and, once everything queued was read, created again from `next`.
 *
 * Next: `watch-hub.ts`, which owns the stream.
 */
import type * as wire from '@quorate/proto';
import { WatchCreateRequest_FilterType as Filter, Event_EventType as Type } from '@quorate/proto';
import { type ClientError, localError } from './errors.ts';
import { defaults } from './options.ts';
import { type KeyRange, type KeySelector, toRange } from './range.ts';
import { type Header, KeyValue, toHeader, toKeyValue } from './response.ts';

export interface WatchOptions {
  /** First revision to see; by default only what changes from now on. */
  readonly startRevision?: number | bigint;
  /** Send what the key was before, too. */
  readonly previous?: boolean;
  /** Leave puts or deletes out. */
  readonly without?: 'puts' | 'deletes';
  /** Let the server report, now and then, how far the watch has come while nothing happens. */
  readonly progress?: boolean;
  /** Let the server split large revisions into several messages (they are joined here). */
  readonly fragment?: boolean;
  /** End rather than stay on a member that lost its leader. */
  readonly requireLeader?: boolean;
  /** How long the first creation may take; the watch then outlives any disconnection. `Infinity`: for ever. */
  readonly establishTimeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface WatchEvent {
  readonly type: 'put' | 'delete';
  /** For a delete only the key and the revision of the deletion. */
  readonly kv: KeyValue;
  readonly previous: KeyValue | null;
}

export interface WatchBatch {
  readonly header: Header;
  /** Empty for a progress report: everything up to `header.revision` has been seen. */
  readonly events: readonly WatchEvent[];
}

/** What a watch asks of the hub that carries it. */
export interface WatchCarrier {
  /** Everything queued was read: create the watch again from `next`. */
  resume(watch: Watch): void;
  /** The watch is not wanted any more. */
  remove(watch: Watch): void;
}

export class Watch implements AsyncIterable<WatchBatch>, AsyncDisposable {
  readonly range: KeyRange;
  /** Resolves once the server has accepted the watch; its revision is where "now" was. */
  readonly created: Promise<Header>;
  /** Revision the server has to send next; 0 until known, when watching from now on. */
  next: bigint;
  /** Not at the server because the consumer does not read. */
  parked = false;

  private readonly options: WatchOptions;
  private readonly carrier: WatchCarrier;
  private readonly queue: WatchBatch[] = [];
  private queuedEvents = 0;
  private queuedBytes = 0;
  private fragments: wire.Event[] = [];
  private waiting: {
    resolve: (result: IteratorResult<WatchBatch>) => void;
    reject: (error: Error) => void;
  } | null = null;
  private end: { error: ClientError | null } | null = null;
  private readonly settleCreated: { resolve: (header: Header) => void; reject: (error: Error) => void };
  private established = false;
  private establishTimer: NodeJS.Timeout | undefined;

  constructor(
    selector: KeySelector,
    options: WatchOptions,
    carrier: WatchCarrier,
    establishTimeoutMs: number,
  ) {
    this.range = toRange(selector);
    this.options = options;
    this.carrier = carrier;
    this.next = BigInt(options.startRevision ?? 0);
    const { promise, resolve, reject } = Promise.withResolvers<Header>();
    this.created = promise;
    this.settleCreated = { resolve, reject };
    // Whoever does not wait for `created` learns of a failure from the iteration.
    promise.catch(() => {});
    if (Number.isFinite(establishTimeoutMs))
      this.establishTimer = setTimeout(
        () => this.fail(localError('DEADLINE_EXCEEDED', 'the watch could not be created in time')),
        establishTimeoutMs,
      );
    options.signal?.addEventListener('abort', this.onAbort, { once: true });
    if (options.signal?.aborted) queueMicrotask(this.onAbort);
  }

  get ended(): boolean {
    return this.end !== null;
  }

  /** The request that (re)creates this watch where it stands. */
  createRequest(): wire.Init<wire.WatchCreateRequest> {
    const { previous, without, progress, fragment } = this.options;
    const filter = without === 'puts' ? Filter.NOPUT : Filter.NODELETE;
    return {
      key: this.range.key,
      rangeEnd: this.range.end,
      startRevision: this.next,
      prevKv: previous,
      progressNotify: progress,
      fragment,
      filters: without === undefined ? [] : [filter],
    };
  }

  /** The server has accepted the watch, for the first time or again. */
  onCreated(header: wire.ResponseHeader | undefined): void {
    clearTimeout(this.establishTimer);
    this.fragments = [];
    if (this.next === 0n) this.next = (header?.revision ?? 0n) + 1n;
    if (this.established) return;
    this.established = true;
    this.settleCreated.resolve(toHeader(header));
  }

  /** A message with events, or a progress report. @returns false when the watch has to be parked */
  onResponse(response: wire.WatchResponse): boolean {
    if (this.end !== null) return true;
    if (response.events.length === 0) {
      this.advance((response.header?.revision ?? 0n) + 1n);
      return this.push({ header: toHeader(response.header), events: [] }, 0);
    }
    // What a resumed watch has seen before its disconnection is not shown again.
    const fresh = response.events.filter((event) => (event.kv?.modRevision ?? 0n) >= this.next);
    this.fragments.push(...fresh);
    if (response.fragment) return true;
    const events = this.fragments;
    this.fragments = [];
    const last = events.at(-1);
    if (last === undefined) return true;
    this.advance((last.kv?.modRevision ?? 0n) + 1n);
    let bytes = 0;
    for (const { kv, prevKv } of events)
      bytes += (kv?.key.length ?? 0) + (kv?.value.length ?? 0) + (prevKv?.value.length ?? 0);
    return this.push({ header: toHeader(response.header), events: events.map(toEvent) }, bytes);
  }

  /** Ends the iteration: with an error once everything queued was read, or cleanly. */
  fail(error: ClientError | null): void {
    if (this.end !== null) return;
    this.end = { error };
    clearTimeout(this.establishTimer);
    this.options.signal?.removeEventListener('abort', this.onAbort);
    this.settleCreated.reject(error ?? localError('CANCELLED', 'the watch was cancelled'));
    this.carrier.remove(this);
    const waiting = this.waiting;
    this.waiting = null;
    if (error) waiting?.reject(error);
    else waiting?.resolve({ done: true, value: undefined });
  }

  /** Ends the watch. What is queued and not yet read is dropped. */
  cancel(): void {
    this.queue.length = 0;
    this.fail(null);
  }

  [Symbol.asyncIterator](): AsyncIterator<WatchBatch> {
    return {
      next: () => this.take(),
      return: () => {
        this.cancel();
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }

  /** The events alone, one by one, without progress reports. */
  async *events(): AsyncGenerator<WatchEvent, void, void> {
    for await (const batch of this) yield* batch.events;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.cancel();
    return Promise.resolve();
  }

  private readonly onAbort = (): void => {
    this.queue.length = 0;
    this.fail(localError('CANCELLED', 'the watch was cancelled', this.options.signal?.reason));
  };

  private advance(revision: bigint): void {
    if (revision > this.next) this.next = revision;
  }

  private push(batch: WatchBatch, bytes: number): boolean {
    if (this.waiting) {
      const { resolve } = this.waiting;
      this.waiting = null;
      resolve({ done: false, value: batch });
      return true;
    }
    this.queue.push(batch);
    this.queuedEvents += Math.max(1, batch.events.length);
    this.queuedBytes += bytes;
    return this.queuedEvents < defaults.watchBufferEvents && this.queuedBytes < defaults.watchBufferBytes;
  }

  private take(): Promise<IteratorResult<WatchBatch>> {
    const batch = this.queue.shift();
    if (batch) {
      if (this.queue.length === 0) {
        this.queuedEvents = 0;
        this.queuedBytes = 0;
        if (this.parked && this.end === null) this.carrier.resume(this);
      }
      return Promise.resolve({ done: false, value: batch });
    }
    if (this.end?.error) {
      const { error } = this.end;
      this.end = { error: null };
      return Promise.reject(error);
    }
    if (this.end) return Promise.resolve({ done: true, value: undefined });
    if (this.waiting) return Promise.reject(new TypeError('a watch has one reader at a time'));
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
    });
  }
}

function toEvent(event: wire.Event): WatchEvent {
  return {
    type: event.type === Type.DELETE ? 'delete' : 'put',
    kv: new KeyValue(event.kv ?? EMPTY_KV),
    previous: toKeyValue(event.prevKv),
  };
}

const EMPTY_KV: wire.KeyValue = {
  key: new Uint8Array(0),
  value: new Uint8Array(0),
  createRevision: 0n,
  modRevision: 0n,
  version: 0n,
  lease: 0n,
};

/**
 * Keeping leases alive: one stream for all leases of a client, opened again when it breaks.
 *
 * A lease is renewed when a third of its time has passed. It is lost when the server says so (time to live 0) or when
 * its time passed without an answer; whichever comes first ends its `KeepAlive` with an error.
 */
import {
  errorFacts,
  type LeaseKeepAliveRequest,
  type LeaseKeepAliveResponse,
  services,
} from '@quorate/proto';
import { toCount } from './bytes.ts';
import { asClientError, ClientError, fromServiceError, localError } from './errors.ts';
import { defaults } from './options.ts';
import { type Header, toHeader } from './response.ts';
import type { BidiCall, Session } from './session.ts';

const METHOD = services['etcdserverpb.Lease'].LeaseKeepAlive;

export interface Renewal {
  readonly header: Header;
  readonly ttlSec: number;
}

export class KeepAlive implements AsyncIterable<Renewal>, Disposable {
  readonly id: bigint;
  /** Rejects when the lease is lost; resolves after `stop`. */
  readonly lost: Promise<void>;
  /** Monotonic ms: when to ask again, and when the lease is taken for lost. */
  nextSendMs = 0;
  deadlineMs: number;

  private readonly hub: KeepAliveHub;
  private readonly settleLost: { resolve: () => void; reject: (error: Error) => void };
  private readonly signal: AbortSignal | undefined;
  /** Only the newest renewal waits for a reader. */
  private newest: Renewal | null = null;
  private end: { error: ClientError | null } | null = null;
  private wake: (() => void) | null = null;

  constructor(id: bigint, hub: KeepAliveHub, signal: AbortSignal | undefined) {
    this.id = id;
    this.hub = hub;
    this.deadlineMs = performance.now() + hub.firstAnswerMs;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    promise.catch(() => {});
    this.lost = promise;
    this.settleLost = { resolve, reject };
    this.signal = signal;
    signal?.addEventListener('abort', this.onAbort, { once: true });
    if (signal?.aborted) queueMicrotask(this.onAbort);
  }

  get ended(): boolean {
    return this.end !== null;
  }

  /** Stops renewing; the lease runs out by itself. */
  stop(): void {
    this.finish(null);
  }

  [Symbol.dispose](): void {
    this.stop();
  }

  /** Renewals as they happen; a slow reader sees the newest one only. Ends after `stop`, throws on loss. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Renewal, void, void> {
    for (;;) {
      const renewal = this.newest;
      this.newest = null;
      if (renewal) yield renewal;
      else if (this.end) {
        if (this.end.error) throw this.end.error;
        return;
      } else
        await new Promise<void>((resolve) => {
          this.wake = resolve;
        });
    }
  }

  onAnswer(response: LeaseKeepAliveResponse): void {
    const ttlSec = toCount(response.TTL);
    if (ttlSec <= 0) {
      const { message } = errorFacts.LEASE_NOT_FOUND;
      this.finish(new ClientError('LEASE_NOT_FOUND', message, { status: 'NOT_FOUND' }));
      return;
    }
    const now = performance.now();
    this.nextSendMs = now + (ttlSec * 1000) / 3;
    this.deadlineMs = now + ttlSec * 1000;
    this.newest = { header: toHeader(response.header), ttlSec };
    this.notify();
  }

  finish(error: ClientError | null): void {
    if (this.end) return;
    this.end = { error };
    this.signal?.removeEventListener('abort', this.onAbort);
    this.hub.remove(this);
    if (error) this.settleLost.reject(error);
    else this.settleLost.resolve();
    this.notify();
  }

  private readonly onAbort = (): void => {
    this.finish(localError('CANCELLED', 'the keep-alive was cancelled', this.signal?.reason));
  };

  private notify(): void {
    const wake = this.wake;
    this.wake = null;
    wake?.();
  }
}

export class KeepAliveHub {
  /** How long the first answer may take. */
  readonly firstAnswerMs: number;
  private readonly session: Session;
  private readonly leases = new Set<KeepAlive>();
  private stream: BidiCall<LeaseKeepAliveRequest, LeaseKeepAliveResponse> | null = null;
  private opening = false;
  private timer: NodeJS.Timeout | undefined;

  constructor(session: Session) {
    this.session = session;
    this.firstAnswerMs = session.settings.callTimeoutMs;
    session.closed.addEventListener(
      'abort',
      () => this.failAll(localError('CLOSED', 'the client is closed')),
      {
        once: true,
      },
    );
  }

  add(lease: KeepAlive): void {
    this.leases.add(lease);
    if (this.session.closed.aborted) {
      this.failAll(localError('CLOSED', 'the client is closed'));
      return;
    }
    if (!this.stream) void this.open();
    this.run();
  }

  remove(lease: KeepAlive): void {
    this.leases.delete(lease);
    if (this.leases.size > 0) return;
    clearTimeout(this.timer);
    if (this.stream) this.drop(this.stream);
  }

  /** Sends what is due, gives up what is overdue, and sleeps until the next of either. */
  private run(): void {
    clearTimeout(this.timer);
    const now = performance.now();
    let wakeMs = Number.POSITIVE_INFINITY;
    for (const lease of [...this.leases]) {
      if (lease.deadlineMs <= now) {
        lease.finish(localError('DEADLINE_EXCEEDED', 'the lease was not renewed in time'));
        continue;
      }
      if (this.stream && lease.nextSendMs <= now) {
        // Asked again after a third of what is left, should the answer not come.
        lease.nextSendMs = now + Math.max(defaults.keepAliveRetryMs, (lease.deadlineMs - now) / 3);
        this.stream.call.write({ ID: lease.id });
      }
      wakeMs = Math.min(wakeMs, lease.deadlineMs, this.stream ? lease.nextSendMs : lease.deadlineMs);
    }
    if (this.leases.size > 0) this.timer = setTimeout(() => this.run(), Math.min(wakeMs - now + 1, 60_000));
  }

  private async open(): Promise<void> {
    // After a pause somebody else may have opened it.
    if (this.opening || this.stream !== null) return;
    this.opening = true;
    while (this.leases.size > 0 && !this.session.closed.aborted) {
      try {
        const stream = await this.session.openBidi(METHOD, {});
        if (this.leases.size === 0) stream.call.cancel();
        else this.attach(stream);
        break;
      } catch (thrown) {
        const error = asClientError(thrown);
        if (!this.session.renewToken(error, null) && isRefusal(error)) this.failAll(error);
        await this.pause();
      }
    }
    this.opening = false;
  }

  private attach(stream: BidiCall<LeaseKeepAliveRequest, LeaseKeepAliveResponse>): void {
    this.stream = stream;
    stream.call.on('data', (bytes: Buffer) => {
      if (this.stream !== stream) return;
      try {
        const response = stream.decode(bytes);
        for (const lease of [...this.leases]) if (lease.id === response.ID) lease.onAnswer(response);
        this.run();
      } catch (error) {
        this.broken(stream, asClientError(error));
      }
    });
    stream.call.on('error', (error) => this.broken(stream, fromServiceError(error as never)));
    stream.call.on('end', () =>
      this.broken(stream, localError('CONNECTION_LOST', 'the server ended the stream')),
    );
    for (const lease of this.leases) lease.nextSendMs = 0;
    this.run();
  }

  private broken(stream: BidiCall<LeaseKeepAliveRequest, LeaseKeepAliveResponse>, error: ClientError): void {
    if (this.stream !== stream) return;
    this.drop(stream);
    if (!this.session.renewToken(error, stream.login) && isRefusal(error)) {
      this.failAll(error);
      return;
    }
    this.run();
    void this.pause().then(() => this.open());
  }

  private drop(stream: BidiCall<LeaseKeepAliveRequest, LeaseKeepAliveResponse>): void {
    if (this.stream === stream) this.stream = null;
    stream.call.removeAllListeners();
    stream.call.on('error', () => {});
    stream.call.cancel();
  }

  private failAll(error: ClientError): void {
    for (const lease of [...this.leases]) lease.finish(error);
  }

  private async pause(): Promise<void> {
    // A closed client has already ended every keep-alive.
    await this.session.pause(Number.POSITIVE_INFINITY, undefined, defaults.keepAliveRetryMs).catch(() => {});
  }
}

const REFUSALS: ReadonlySet<string> = new Set([
  'FAILED_PRECONDITION',
  'INVALID_ARGUMENT',
  'PERMISSION_DENIED',
  'UNIMPLEMENTED',
]);

/** Whether asking again is of no use. Anything else may pass before the lease does; if not, its time ends it. */
function isRefusal(error: ClientError): boolean {
  return error.code === 'BAD_RESPONSE' || error.code === 'CLOSED' || REFUSALS.has(error.status);
}

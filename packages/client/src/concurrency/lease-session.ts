/**
 * A lease that is kept alive: what locks and leaderships hang on. When the session is lost, so is everything it holds, and its
 * signal says so.
 */
import type { Client } from '../connect.ts';
import { asClientError, type ClientError } from '../errors.ts';
import type { KeepAlive } from '../keep-alive.ts';

export interface LeaseSessionOptions {
  /** How long the lease outlives this program. Locks of a program that died are free after this time. */
  readonly ttlSec?: number;
  /** Use this lease instead of a new one. */
  readonly leaseId?: bigint;
  /** Ends keeping it alive, without revoking it. */
  readonly signal?: AbortSignal;
}

/** As etcd's client library has it. */
const DEFAULT_TTL_SEC = 60;

export class LeaseSession implements AsyncDisposable {
  readonly client: Client;
  readonly leaseId: bigint;
  /** Aborted once the lease is lost or the session is closed: stop what the lock protects. */
  readonly signal: AbortSignal;
  private readonly keepAlive: KeepAlive;
  private readonly aborter = new AbortController();
  private lossError: ClientError | null = null;

  constructor(client: Client, leaseId: bigint, signal: AbortSignal | undefined) {
    this.client = client;
    this.leaseId = leaseId;
    this.signal = this.aborter.signal;
    this.keepAlive = client.lease.keepAlive(leaseId, signal === undefined ? {} : { signal });
    this.keepAlive.lost.then(
      () => this.aborter.abort(new Error('the session was closed')),
      (error: unknown) => {
        this.lossError = asClientError(error);
        this.aborter.abort(this.lossError);
      },
    );
  }

  /** Why the lease was lost; null while it is not. */
  get loss(): ClientError | null {
    return this.lossError;
  }

  /** Stops keeping it alive, and revokes it: whatever hangs on it goes at once. */
  async close(): Promise<void> {
    this.keepAlive.stop();
    if (this.loss === null) await this.client.lease.revoke(this.leaseId);
  }

  /** Stops keeping it alive; the lease runs out by itself. */
  orphan(): void {
    this.keepAlive.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Whoever leaves the scope wants it gone; a server that is away lets it run out.
    await this.close().catch(() => {});
  }
}

/** Grants a lease (or takes the one given) and keeps it alive. */
export async function openLeaseSession(
  client: Client,
  options: LeaseSessionOptions = {},
): Promise<LeaseSession> {
  const { ttlSec = DEFAULT_TTL_SEC, leaseId, signal } = options;
  const id = leaseId ?? (await client.lease.grant(ttlSec, signal === undefined ? {} : { signal })).id;
  return new LeaseSession(client, id, signal);
}

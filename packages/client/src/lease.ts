/** Leases: a lifetime that keys can hang on. Ids are signed 64-bit and print as hex. */
import { services } from '@quorate/proto';
import { toCount } from './bytes.ts';
import { localError } from './errors.ts';
import { KeepAlive, KeepAliveHub } from './keep-alive.ts';
import type { CallOptions } from './options.ts';
import { type Header, toHeader } from './response.ts';
import type { Session } from './session.ts';

const Lease_ = services['etcdserverpb.Lease'];

export interface LeaseGrant {
  readonly header: Header;
  readonly id: bigint;
  /** What the server granted; it raises very short times. */
  readonly ttlSec: number;
}

export interface LeaseInfo {
  readonly header: Header;
  readonly id: bigint;
  /** Whole seconds left; -1 when the lease does not exist. */
  readonly remainingSec: number;
  readonly grantedSec: number;
  /** Keys that hang on it, when asked for. */
  readonly keys: readonly Uint8Array[];
}

export class Leases {
  private readonly session: Session;
  private hub: KeepAliveHub | undefined;

  constructor(session: Session) {
    this.session = session;
  }

  /** @param options.id the id to use; the server chooses one when absent */
  async grant(ttlSec: number, options: { id?: bigint } & CallOptions = {}): Promise<LeaseGrant> {
    const request = { TTL: Math.ceil(ttlSec), ID: options.id };
    const response = await this.session.unary(Lease_.LeaseGrant, request, 'write', options);
    return { header: toHeader(response.header), id: response.ID, ttlSec: toCount(response.TTL) };
  }

  /** Ends a lease and deletes its keys. */
  async revoke(id: bigint, options: CallOptions = {}): Promise<Header> {
    const { header } = await this.session.unary(Lease_.LeaseRevoke, { ID: id }, 'write', options);
    return toHeader(header);
  }

  async timeToLive(id: bigint, options: { keys?: boolean } & CallOptions = {}): Promise<LeaseInfo> {
    const request = { ID: id, keys: options.keys };
    const response = await this.session.unary(Lease_.LeaseTimeToLive, request, 'read', options);
    return {
      header: toHeader(response.header),
      id: response.ID,
      remainingSec: toCount(response.TTL),
      grantedSec: toCount(response.grantedTTL),
      keys: response.keys,
    };
  }

  /** Ids of all leases, the one that expires first in front. */
  async list(options: CallOptions = {}): Promise<readonly bigint[]> {
    const { leases } = await this.session.unary(Lease_.LeaseLeases, {}, 'read', options);
    return leases.map((lease) => lease.ID);
  }

  /** Keeps a lease alive until `stop`, the signal, or its loss. Renewed every third of its time. */
  keepAlive(id: bigint, options: { signal?: AbortSignal; requireLeader?: boolean } = {}): KeepAlive {
    this.hub ??= new KeepAliveHub(this.session);
    const keepAlive = new KeepAlive(id, this.hub, options.signal);
    this.hub.add(keepAlive);
    return keepAlive;
  }

  /** Renews a lease once. @throws ClientError LEASE_NOT_FOUND when it is gone */
  async keepAliveOnce(id: bigint, options: CallOptions = {}): Promise<LeaseGrant> {
    const timeoutMs = options.timeoutMs ?? this.session.settings.callTimeoutMs;
    const timeout = AbortSignal.timeout(Math.min(timeoutMs, 2 ** 31 - 1));
    const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout;
    const keepAlive = this.keepAlive(id, { signal });
    try {
      for await (const renewal of keepAlive) return { id, ...renewal };
      throw localError('CANCELLED', 'the renewal was stopped');
    } catch (error) {
      if (timeout.aborted && !options.signal?.aborted)
        throw localError('DEADLINE_EXCEEDED', 'the lease was not renewed in time', error);
      throw error;
    } finally {
      keepAlive.stop();
    }
  }
}

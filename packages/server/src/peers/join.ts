/**
 * Asking for a cluster by URL, before one's own id or those of its members are known.
 *
 * Every URL is asked, all at once, since a member that is down must not cost its timeout before the next is tried; the first
 * answer in the order given counts, or all of them. No handshake of ids takes place: the answer is what anybody may
 * know who reaches the peer port, as with etcd's `/members`.
 */
import type { ConnectionOptions as TlsConnectionOptions } from 'node:tls';
import type { Env } from '../env.ts';
import { decodeCluster, MAX_VIEW_BYTES } from './cluster-view.ts';
import { Connection } from './connection.ts';
import { PeerError } from './errors.ts';
import { Path, PROTOCOL } from './handshake.ts';
import type { ClusterView } from './options.ts';

export interface AskOptions {
  readonly env: Env;
  readonly timeoutMs: number;
  readonly dialTls?: TlsConnectionOptions;
}

export interface Answer {
  readonly url: string;
  readonly view: ClusterView | null;
  /** Why there is no view. */
  readonly error: Error | null;
}

/** The cluster as the first of `urls` that answers knows it. @throws PeerError naming why each of them did not */
export async function fetchCluster(urls: readonly string[], options: AskOptions): Promise<ClusterView> {
  const asked = urls.map((url) => ask(url, options));
  const reasons: string[] = [];
  for (const answer of asked) {
    const { url, view, error } = await answer;
    if (view !== null) return view;
    reasons.push(`${url}: ${error!.message}`);
  }
  throw new PeerError('PEER_UNREACHABLE', `no member answers (${reasons.join('; ')})`);
}

/** What each of `urls` answers, in that order; never rejects. For checks over all members: versions, agreement. */
export function fetchAllClusters(urls: readonly string[], options: AskOptions): Promise<Answer[]> {
  return Promise.all(urls.map((url) => ask(url, options)));
}

function ask(url: string, { env, timeoutMs, dialTls }: AskOptions): Promise<Answer> {
  return new Promise((resolve) => {
    let connection: Connection | null = null;
    const timer = env.setTimer(timeoutMs, () => {
      settle(null, new PeerError('PEER_TIMEOUT', 'no answer in time'));
    });
    const settle = (view: ClusterView | null, error: Error | null): void => {
      timer.cancel();
      connection?.destroy();
      resolve({ url, view, error });
    };
    const metadata = new Map([['quorate-protocol', PROTOCOL]]);
    try {
      connection = new Connection(url, {
        maxMessageBytes: MAX_VIEW_BYTES,
        ...(dialTls === undefined ? {} : { dialTls }),
      });
      connection.unary(Path.cluster, metadata, Buffer.alloc(0), (error, response) => {
        try {
          if (error !== null || response === undefined) settle(null, error);
          else settle(decodeCluster(response), null);
        } catch (failure) {
          settle(null, failure as Error);
        }
      });
    } catch (error) {
      settle(null, error as Error);
    }
  });
}

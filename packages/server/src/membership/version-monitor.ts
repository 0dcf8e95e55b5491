/**
 * The leader decides which release the cluster counts as: the lowest among its members (sem-197).
 *
 * Every few seconds it asks each of them what it runs. Until all have answered once the cluster counts as 3.0.0; after
 * that the version only rises, except in a downgrade, which leads to one minor below and ends by itself once every member
 * runs that release (sem-196).
 */
import type { Env } from '../env.ts';
import type { Network } from '../network.ts';
import type { Operation } from '../operations.ts';
import {
  clusterVersionOf,
  compareReleases,
  LOWEST_CLUSTER_VERSION,
  parseRelease,
  type Release,
} from './cluster-version.ts';
import type { Members } from './members.ts';

const METHOD = 'version';
const NOTHING = new Uint8Array(0);
/** As often as etcd looks. */
const INTERVAL_MS = 5_000;
/** Until every member has answered, it is asked more often: a cluster that starts wants to know soon. */
const EAGER_INTERVAL_MS = 500;
const CALL_TIMEOUT_MS = 2_000;

export interface VersionMonitorParts {
  readonly env: Env;
  readonly network: Network;
  readonly members: Members;
  readonly memberId: bigint;
  readonly serverVersion: string;
  readonly propose: (operation: Operation, done: (error: Error | null) => void) => void;
}

export class VersionMonitor {
  readonly #parts: VersionMonitorParts;
  readonly #own: Release;
  #leading = false;
  #nextMs = 0;
  #asking = false;
  #proposing = false;
  #closed = false;

  constructor(parts: VersionMonitorParts) {
    this.#parts = parts;
    const own = parseRelease(parts.serverVersion);
    if (own === null) throw new Error('the release of this server has no such form');
    this.#own = own;
    parts.network.onCall(METHOD, (_from, _request, done) =>
      done(null, Buffer.from(parts.serverVersion, 'utf8')),
    );
  }

  lead(leading: boolean): void {
    if (leading && !this.#leading) this.#nextMs = 0;
    this.#leading = leading;
  }

  /** Once a tick. */
  tick(nowMs: number): void {
    if (!this.#leading || this.#asking || this.#proposing || this.#closed || nowMs < this.#nextMs) return;
    this.#asking = true;
    this.#askAll((lowest) => {
      this.#asking = false;
      if (!this.#leading || this.#closed) return;
      const change = this.#decide(lowest);
      const settled = change === null && lowest !== null;
      this.#nextMs = this.#parts.env.monotonicMs() + (settled ? INTERVAL_MS : EAGER_INTERVAL_MS);
      if (change !== null) this.#propose(change);
    });
  }

  close(): void {
    this.#closed = true;
  }

  /** @param done with the lowest release among the members; null when one did not answer */
  #askAll(done: (lowest: Release | null) => void): void {
    const { members, memberId, network } = this.#parts;
    const others = members.list().filter(({ id }) => id !== memberId);
    let lowest: Release | null = this.#own;
    let waiting = others.length;
    if (waiting === 0) {
      done(lowest);
      return;
    }
    for (const { id } of others) {
      network.call(id, METHOD, NOTHING, CALL_TIMEOUT_MS, (error, response) => {
        const release = error === null && response !== null ? parseRelease(textOf(response)) : null;
        if (release === null || lowest === null) lowest = null;
        else if (compareReleases(release, lowest) < 0) lowest = release;
        if (--waiting === 0) done(lowest);
      });
    }
  }

  #decide(lowest: Release | null): Operation | null {
    const { members } = this.#parts;
    const { clusterVersion, downgradeTarget } = members;
    const target = downgradeTarget === null ? null : parseRelease(downgradeTarget);
    if (clusterVersion === null) {
      return version(lowest === null ? LOWEST_CLUSTER_VERSION : clusterVersionOf(lowest));
    }
    if (lowest === null) return null;
    if (target !== null) {
      if (compareReleases(lowest, target) === 0) return { kind: 'downgrade', target: null };
      return clusterVersion === downgradeTarget ? null : version(clusterVersionOf(target));
    }
    const current = parseRelease(clusterVersion);
    const rises = current === null || compareReleases(current, lowest) < 0;
    return rises ? version(clusterVersionOf(lowest)) : null;
  }

  #propose(operation: Operation): void {
    this.#proposing = true;
    this.#parts.propose(operation, (error) => {
      this.#proposing = false;
      if (error === null) this.#nextMs = 0;
    });
  }
}

function version(text: string): Operation {
  return { kind: 'cluster-version', version: text };
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8');
}

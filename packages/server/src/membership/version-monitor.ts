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

interface Range {
  readonly lowest: Release;
  readonly highest: Release;
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
    this.#askAll((answers) => {
      this.#asking = false;
      if (!this.#leading || this.#closed) return;
      const change = this.#decide(answers);
      const settled = change === null && answers !== null;
      this.#nextMs = this.#parts.env.monotonicMs() + (settled ? INTERVAL_MS : EAGER_INTERVAL_MS);
      if (change !== null) this.#propose(change);
    });
  }

  close(): void {
    this.#closed = true;
  }

  /** @param done with the lowest and highest release among the members; null when one did not answer */
  #askAll(done: (answers: Range | null) => void): void {
    const { members, memberId, network } = this.#parts;
    const others = members.list().filter(({ id }) => id !== memberId);
    const releases: Release[] = [this.#own];
    let waiting = others.length;
    const end = (): void => {
      releases.sort(compareReleases);
      const complete = releases.length === others.length + 1;
      done(complete ? { lowest: releases[0]!, highest: releases.at(-1)! } : null);
    };
    if (waiting === 0) end();
    for (const { id } of others) {
      network.call(id, METHOD, NOTHING, CALL_TIMEOUT_MS, (error, response) => {
        const release = error === null && response !== null ? parseRelease(textOf(response)) : null;
        if (release !== null) releases.push(release);
        if (--waiting === 0) end();
      });
    }
  }

  #decide(answers: Range | null): Operation | null {
    const { clusterVersion, downgradeTarget } = this.#parts.members;
    if (clusterVersion === null) {
      return version(answers === null ? LOWEST_CLUSTER_VERSION : clusterVersionOf(answers.lowest));
    }
    if (answers === null) return null;
    const { lowest, highest } = answers;
    const target = downgradeTarget === null ? null : parseRelease(downgradeTarget);
    if (target !== null) {
      const arrived = compareReleases(lowest, target) === 0 && compareReleases(highest, target) === 0;
      if (arrived) return { kind: 'downgrade', target: null };
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

/**
 * Compares the keys of the members, as etcd does: at the start, now and then, and after compactions (sem-187, sem-188).
 *
 *   initial       before a member takes part: its hash and those of the others at its revision; a difference ends the start
 *   periodic      the leader, every `corrupt-check-time`: all members at the leader's revision
 *   compaction    the leader, every `compact-hash-check-time`: all members at the newest compacted revision, once per compaction
 *
 * Only hashes made at one revision and one compact revision are compared. What differs raises the alarm CORRUPT for those that
 * `verdict.ts` names: the cluster then takes no writes until an operator has seen to it. The rolling hash (`state-monitor.ts`) finds
 * members that apply differently, at once; these checks find what changed under the store afterwards.
 */
import type { Store } from '@quorate/mvcc';
import type { Env } from '../env.ts';
import { formatId } from '../membership/ids.ts';
import type { Network } from '../network.ts';
import { callHash, type HashAnswer, hashAt, type KeysHash, onHashCall } from './hash-call.ts';
import { oddOnes } from './verdict.ts';

export interface CorruptionCheckOptions {
  readonly initial: boolean;
  /** 0: never. */
  readonly periodMs: number;
  /** 0: never. */
  readonly compactPeriodMs: number;
}

export const NO_CORRUPTION_CHECKS: CorruptionCheckOptions = {
  initial: false,
  periodMs: 0,
  compactPeriodMs: 0,
};

/** This member's data differ from those of others at the same revision. */
export class InconsistentDataError extends Error {
  override readonly name = 'InconsistentDataError';
  readonly code = 'DATA_INCONSISTENT';
  constructor(memberId: bigint) {
    super(`${formatId(memberId)} found data inconsistency with peers`);
  }
}

export interface CorruptionCheckParts {
  readonly env: Env;
  readonly network: Network;
  readonly store: Store;
  readonly memberId: bigint;
  readonly options: CorruptionCheckOptions;
  /** Ids of all members, this one among them. */
  members(): readonly bigint[];
  confirmRead(deadlineMs: number, done: (error: Error | null) => void): void;
  /** Raises CORRUPT for one member, unless it is raised already. */
  raise(memberId: bigint): void;
}

const CALL_TIMEOUT_MS = 30_000;
/** A starting member waits so long to reach the others, and for their answers. */
const INITIAL_CONNECT_MS = 2_000;
const INITIAL_TIMEOUT_MS = 5_000;
const LOOK_MS = 50;

export class CorruptionCheck {
  readonly #parts: CorruptionCheckParts;
  #leading = false;
  #nextMs = Number.POSITIVE_INFINITY;
  #nextCompactMs = Number.POSITIVE_INFINITY;
  #running = false;
  /** Newest compact revision at which all members were found equal. */
  #checkedCompaction = -1;
  #closed = false;

  constructor(parts: CorruptionCheckParts) {
    this.#parts = parts;
    const { network, store, env } = parts;
    onHashCall(network, store, (done) => parts.confirmRead(env.monotonicMs() + CALL_TIMEOUT_MS, done));
  }

  /**
   * Before the member takes part. Members that do not answer, are behind or have compacted more say nothing about it.
   * @param done with InconsistentDataError
   */
  initial(done: (error: Error | null) => void): void {
    const { options, store, memberId, network } = this.#parts;
    const others = this.#others();
    if (!options.initial || store.appliedIndex === 0 || others.length === 0) {
      done(null);
      return;
    }
    this.#whenConnected(others, () => {
      hashAt(store, 0, (own) => {
        if (typeof own === 'string') {
          done(null);
          return;
        }
        const how = { catchUp: false, timeoutMs: INITIAL_TIMEOUT_MS };
        gather(
          others,
          (id, answer) => callHash(network, id, own.revision, how, answer),
          (answers) => {
            const differs = [...answers].some(([id, theirs]) => this.#differs(id, own, theirs));
            done(differs ? new InconsistentDataError(memberId) : null);
          },
        );
      });
    });
  }

  lead(leading: boolean): void {
    if (leading === this.#leading) return;
    this.#leading = leading;
    const { options, env } = this.#parts;
    const nowMs = env.monotonicMs();
    this.#nextMs = options.periodMs > 0 ? nowMs + options.periodMs : Number.POSITIVE_INFINITY;
    this.#nextCompactMs =
      options.compactPeriodMs > 0 ? nowMs + options.compactPeriodMs : Number.POSITIVE_INFINITY;
  }

  /** Once a tick. */
  tick(nowMs: number): void {
    if (!this.#leading || this.#running || this.#closed) return;
    const { options, store } = this.#parts;
    if (nowMs >= this.#nextMs) {
      this.#nextMs = nowMs + options.periodMs;
      this.#compare(0, () => {});
    } else if (nowMs >= this.#nextCompactMs) {
      this.#nextCompactMs = nowMs + options.compactPeriodMs;
      const { compactRevision } = store;
      if (compactRevision <= Math.max(0, this.#checkedCompaction)) return;
      this.#compare(compactRevision, (complete) => {
        if (complete) this.#checkedCompaction = compactRevision;
      });
    }
  }

  close(): void {
    this.#closed = true;
  }

  /** @param done whether all members answered with comparable hashes */
  #compare(revision: number, done: (complete: boolean) => void): void {
    const { store, network, memberId } = this.#parts;
    this.#running = true;
    const end = (complete: boolean): void => {
      this.#running = false;
      if (!this.#closed) done(complete);
    };
    hashAt(store, revision, (own) => {
      if (typeof own === 'string' || this.#closed) {
        end(false);
        return;
      }
      // The members are asked about the revision that was hashed, while this one goes on.
      const at = revision > 0 ? revision : own.revision;
      const others = this.#others();
      const how = { catchUp: true, timeoutMs: CALL_TIMEOUT_MS };
      gather(
        others,
        (id, answer) => callHash(network, id, at, how, answer),
        (answers) => {
          const comparable = new Map([[memberId, own.hash]]);
          for (const [id, theirs] of answers) {
            if (typeof theirs !== 'string' && theirs.compactRevision === own.compactRevision)
              comparable.set(id, theirs.hash);
          }
          if (this.#leading && !this.#closed) this.#judge(comparable, others.length + 1, at);
          end(comparable.size === others.length + 1);
        },
      );
    });
  }

  #judge(hashes: ReadonlyMap<bigint, number>, memberCount: number, revision: number): void {
    for (const id of oddOnes(hashes, memberCount)) {
      this.#parts.env.log.log('error', 'members differ in their keys', { revision, member: formatId(id) });
      this.#parts.raise(id);
    }
  }

  #differs(id: bigint, own: KeysHash, theirs: HashAnswer): boolean {
    const { log } = this.#parts.env;
    if (typeof theirs === 'string') {
      log.log('warn', 'a member says nothing about the data of this one', {
        member: formatId(id),
        why: theirs,
      });
      return false;
    }
    if (theirs.compactRevision !== own.compactRevision || theirs.hash === own.hash) return false;
    log.log('error', 'found different hash values from remote peer', {
      member: formatId(id),
      revision: own.revision,
    });
    return true;
  }

  #others(): readonly bigint[] {
    return this.#parts.members().filter((id) => id !== this.#parts.memberId);
  }

  /** All of them, or those that can be reached in time. */
  #whenConnected(ids: readonly bigint[], then: () => void): void {
    const { env, network } = this.#parts;
    const untilMs = env.monotonicMs() + INITIAL_CONNECT_MS;
    const look = (): void => {
      if (this.#closed) return;
      const all = ids.every((id) => network.connectedSince(id) !== null);
      if (all || env.monotonicMs() >= untilMs) then();
      else env.setTimer(LOOK_MS, look);
    };
    look();
  }
}

/** Asks all at once. @param done with every answer */
function gather(
  ids: readonly bigint[],
  ask: (id: bigint, answer: (answer: HashAnswer) => void) => void,
  done: (answers: ReadonlyMap<bigint, HashAnswer>) => void,
): void {
  const answers = new Map<bigint, HashAnswer>();
  if (ids.length === 0) done(answers);
  for (const id of ids) {
    ask(id, (answer) => {
      answers.set(id, answer);
      if (answers.size === ids.length) done(answers);
    });
  }
}

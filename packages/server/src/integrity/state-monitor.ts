/**
 * Compares the members' states while they work, by their rolling hashes (`state-hash.ts`).
 *
 *   leader    once a heartbeat, when it has applied more: "at entry 70 my hash is H; 65 is confirmed, with G"
 *   member    once it has applied entry 70: "mine is H'"; when its own hash at 65 is not G it stops
 *
 * Confirmed is what a quorum of voters agrees on with the leader. Hashes are chains, so whoever agrees at an entry agrees at all
 * before it, and the confirmed index is found as a commit index is: the highest that a quorum has reached.
 *
 *   A member differs and the leader is confirmed there    it is told at once, and stops: within one round trip and the next message
 *   Voters that differ alike are a quorum                 the leader is the odd one, and stops; the others elect another
 *   All voters have spoken and neither is so              nobody can tell who is right: `onUndecided`
 *
 * The one that stops cannot come back with its data: it finds the same on its next start. Never is anybody stopped on the word of
 * less than a quorum.
 */
import type { Env } from '../env.ts';
import type { Network } from '../network.ts';
import type { StateHash, StateHashAt } from './state-hash.ts';

const METHOD = 'state-hash';
/** A member that does not get there in time is asked again about a later entry. */
const CALL_TIMEOUT_MS = 5_000;
const CLAIM_BYTES = 24;

/** The data of this member differ from what a quorum of the cluster agrees on. */
export class StateDivergedError extends Error {
  override readonly name = 'StateDivergedError';
  readonly code = 'STATE_DIVERGED';
  constructor(index: number) {
    super(
      `the state of this member differs from that of the cluster at entry ${index}: ` +
        'remove it from the cluster, and add it again with an empty data folder',
    );
  }
}

export interface StateMonitorParts {
  readonly env: Env;
  readonly network: Network;
  readonly memberId: bigint;
  readonly hash: StateHash;
  /** Those who count; null while two configurations are in force. */
  voters(): readonly bigint[] | null;
  /** All members, learners too. */
  members(): readonly bigint[];
  onDiverged(error: StateDivergedError): void;
  /** Voters differ, and no quorum agrees on anything. */
  onUndecided(index: number): void;
}

/** A question that waits here until its entry is applied. */
interface Waiting {
  readonly index: number;
  readonly answer: () => void;
}

export class StateMonitor {
  readonly #parts: StateMonitorParts;
  #leading = false;
  /** Rises with each reign: answers to an earlier one are stale. */
  #reign = 0;
  /** By member: the highest index at which it agreed with this leader. */
  readonly #agreed = new Map<bigint, number>();
  /** By member: where it last disagreed, and with what. */
  readonly #differing = new Map<bigint, StateHashAt>();
  readonly #asking = new Set<bigint>();
  #lastAsked = 0;
  /** By asking member. */
  readonly #waiting = new Map<bigint, Waiting>();
  #closed = false;

  constructor(parts: StateMonitorParts) {
    this.#parts = parts;
    parts.network.onCall(METHOD, (from, request, done) => this.#answer(from, request, done));
  }

  lead(leading: boolean): void {
    if (leading === this.#leading) return;
    this.#leading = leading;
    this.#reign++;
    this.#agreed.clear();
    this.#differing.clear();
    this.#asking.clear();
    this.#lastAsked = 0;
  }

  /** Once a tick. */
  tick(): void {
    if (!this.#leading || this.#closed) return;
    const { hash, memberId } = this.#parts;
    const { index } = hash.now;
    if (index === this.#lastAsked && this.#differing.size === 0) return;
    this.#lastAsked = index;
    this.#agreed.set(memberId, index);
    for (const id of this.#parts.members()) if (id !== memberId) this.#ask(id, hash.now);
  }

  /** This member has applied everything up to `index`. */
  applied(index: number): void {
    for (const [from, waiting] of this.#waiting) {
      if (waiting.index > index) continue;
      this.#waiting.delete(from);
      waiting.answer();
    }
  }

  close(): void {
    this.#closed = true;
    this.#waiting.clear();
  }

  #ask(id: bigint, claim: StateHashAt): void {
    if (this.#asking.has(id)) return;
    const { network } = this.#parts;
    const reign = this.#reign;
    this.#asking.add(id);
    network.call(id, METHOD, encodeClaims(claim, this.#confirmed()), CALL_TIMEOUT_MS, (error, response) => {
      if (reign !== this.#reign || this.#closed) return;
      this.#asking.delete(id);
      const theirs = error === null && response !== null ? decodeClaim(response, 0) : null;
      if (theirs === null || theirs.since !== claim.since || theirs.index !== claim.index) return;
      if (theirs.hash === claim.hash) {
        this.#agreed.set(id, Math.max(this.#agreed.get(id) ?? 0, theirs.index));
        this.#differing.delete(id);
        if (this.#differing.size > 0) this.#judge();
      } else {
        this.#differing.set(id, theirs);
        this.#judge();
      }
    });
  }

  /** The newest entry at which a quorum agrees with this leader. */
  #confirmed(): StateHashAt | null {
    const voters = this.#parts.voters();
    if (voters === null || voters.length === 0) return null;
    const agreed = voters.map((id) => this.#agreed.get(id) ?? 0).sort((a, b) => b - a);
    return this.#parts.hash.at(agreed[Math.floor(voters.length / 2)]!);
  }

  #judge(): void {
    const { hash, onDiverged, onUndecided } = this.#parts;
    const voters = this.#parts.voters();
    if (voters === null) return;
    const confirmed = this.#confirmed();
    let undecided: StateHashAt | null = null;
    for (const [id, theirs] of this.#differing) {
      if (confirmed !== null && confirmed.index >= theirs.index) {
        const ours = hash.at(theirs.index);
        if (ours !== null) this.#tell(id, ours);
        continue;
      }
      const alike = [...this.#differing].filter(
        ([other, { index, hash: same }]) =>
          voters.includes(other) && index === theirs.index && same === theirs.hash,
      );
      if (alike.length > voters.length / 2) {
        onDiverged(new StateDivergedError(theirs.index));
        return;
      }
      undecided = theirs;
    }
    if (undecided === null) return;
    const { index } = undecided;
    const heard = (id: bigint) =>
      (this.#agreed.get(id) ?? 0) >= index || this.#differing.get(id)?.index === index;
    if (voters.every(heard)) onUndecided(index);
  }

  /** It stops on hearing this; whether it did shows when it is asked the next time. */
  #tell(id: bigint, ours: StateHashAt): void {
    this.#parts.env.log.log('error', 'the state of a member differs from that of the cluster', {
      member: id.toString(16),
      index: ours.index,
    });
    this.#parts.network.call(id, METHOD, encodeClaims(ours, ours), CALL_TIMEOUT_MS, () => {});
  }

  #answer(
    from: bigint,
    request: Uint8Array,
    done: (error: Error | null, response: Uint8Array | null) => void,
  ): void {
    const claim = decodeClaim(request, 0);
    if (claim === null || this.#closed) {
      done(new Error('no claim about a state'), null);
      return;
    }
    const { hash } = this.#parts;
    const confirmed = decodeClaim(request, CLAIM_BYTES);
    if (confirmed !== null) this.#compare(confirmed);
    this.#waiting.get(from)?.answer();
    const answer = (): void => {
      const ours = hash.at(claim.index);
      if (ours === null) done(new Error('the hash at that entry is not known here'), null);
      else done(null, encodeClaim(ours));
    };
    this.#waiting.delete(from);
    if (claim.index <= hash.now.index) answer();
    else this.#waiting.set(from, { index: claim.index, answer });
  }

  #compare(confirmed: StateHashAt): void {
    const ours = this.#parts.hash.at(confirmed.index);
    if (ours === null || ours.since !== confirmed.since || ours.hash === confirmed.hash) return;
    this.#parts.onDiverged(new StateDivergedError(confirmed.index));
  }
}

/** Index, since, hash: 8 bytes each, big endian. */
function encodeClaim({ index, since, hash }: StateHashAt): Buffer {
  const bytes = Buffer.alloc(CLAIM_BYTES);
  bytes.writeBigUInt64BE(BigInt(index), 0);
  bytes.writeBigUInt64BE(BigInt(since), 8);
  bytes.writeBigUInt64BE(hash, 16);
  return bytes;
}

/** What is asked about, then what is confirmed, if anything is. */
function encodeClaims(claim: StateHashAt, confirmed: StateHashAt | null): Buffer {
  return confirmed === null
    ? encodeClaim(claim)
    : Buffer.concat([encodeClaim(claim), encodeClaim(confirmed)]);
}

function decodeClaim(bytes: Uint8Array, at: number): StateHashAt | null {
  if (bytes.length < at + CLAIM_BYTES) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, CLAIM_BYTES);
  const [index, since] = [Number(view.getBigUint64(0)), Number(view.getBigUint64(8))];
  return { index, since, hash: view.getBigUint64(16) };
}

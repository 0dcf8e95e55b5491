/**
 * What must hold in a Raft cluster at every moment, checked from outside after every event.
 *
 * The checker sees what nodes hand to their hosts and what is on their disks; it never asks a node what it believes.
 * Names are those of the thesis (figure 3.2) and of reliability section 4.
 */
import type { ConfState, Entry, Snapshot } from '@quorate/raft';

/** An invariant does not hold. `invariant` names it; shrinking keeps only runs that break the same one. */
export class Violation extends Error {
  override readonly name = 'Violation';
  readonly invariant: string;
  constructor(invariant: string, detail: string) {
    super(`${invariant}: ${detail}`);
    this.invariant = invariant;
  }
}

/** What the checker may look at on a node, crashed or not. */
export interface Observed {
  readonly id: bigint;
  /** Term of the entry at `index` on disk, undefined when there is none; entries under a snapshot count as held. */
  durableTerm(index: number): number | 'snapshot' | undefined;
}

interface Committed {
  readonly term: number;
  readonly hash: number;
  /** The lowest term in which anybody knew it to be committed; it was committed in this term or an earlier one. */
  knownInTerm: number;
}

/** FNV-1a, enough to tell entries apart. */
export function hashEntry(entry: Entry): number {
  let hash = 0x811c9dc5 ^ entry.type;
  for (const byte of entry.data) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

export function chainHash(previous: number, entry: Entry): number {
  return (
    (Math.imul(previous ^ entry.index, 0x01000193) ^ Math.imul(entry.term, 0x9e3779b1) ^ hashEntry(entry)) >>>
    0
  );
}

export class Invariants {
  readonly #leaders = new Map<number, bigint>();
  readonly #votes = new Map<string, bigint>();
  /** Every entry ever appended anywhere: what stands at (index, term), and the term before it. */
  readonly #appended = new Map<string, { hash: number; previousTerm: number | undefined }>();
  readonly #committed = new Map<number, Committed>();
  /** State of the machine after each applied index. */
  readonly #states = new Map<number, number>([[1, 0]]);
  readonly #confs = new Map<number, string>();
  /** Where each request of a client stands in the log. */
  readonly #requests = new Map<number, number>();
  /** Every configuration that any node has had in force. */
  readonly #everyConf: ConfState[] = [];
  highestCommitted = 0;
  highestApplied = 0;

  /** Election safety: at most one leader in a term. @returns whether this is a new reign */
  leader(id: bigint, term: number): boolean {
    const known = this.#leaders.get(term);
    if (known !== undefined && known !== id) {
      throw new Violation('election safety', `term ${term} has leaders ${known} and ${id}`);
    }
    this.#leaders.set(term, id);
    return known === undefined;
  }

  /** Leader append-only: a leader adds to the end of its log and changes nothing before. */
  leaderAppends(id: bigint, term: number, index: number, lastIndex: number): void {
    if (index <= lastIndex) {
      throw new Violation(
        'leader append-only',
        `node ${id}, leader of term ${term}, writes index ${index} of a log that ends at ${lastIndex}`,
      );
    }
  }

  /** One vote a term, as the disk remembers it. */
  durableVote(id: bigint, term: number, vote: bigint): void {
    if (vote === 0n) return;
    const key = `${id}/${term}`;
    const known = this.#votes.get(key);
    if (known !== undefined && known !== vote) {
      throw new Violation('one vote a term', `node ${id} voted for ${known} and ${vote} in term ${term}`);
    }
    this.#votes.set(key, vote);
  }

  /** Log matching: equal index and term mean equal entries, here and before. */
  appended(id: bigint, entry: Entry, previousTerm: number | undefined): void {
    const key = `${entry.index}/${entry.term}`;
    const known = this.#appended.get(key);
    const hash = hashEntry(entry);
    if (known === undefined) {
      this.#appended.set(key, { hash, previousTerm });
      return;
    }
    if (known.hash !== hash) throw new Violation('log matching', `node ${id} has another entry at ${key}`);
    if (previousTerm === undefined) return;
    if (known.previousTerm === undefined) this.#appended.set(key, { hash, previousTerm });
    else if (known.previousTerm !== previousTerm) {
      throw new Violation(
        'log matching',
        `node ${id} has term ${previousTerm} before ${key}, not ${known.previousTerm}`,
      );
    }
  }

  /** A leader counted `index` as committed: it must be on the disks of every quorum its configuration asks for. */
  committedByLeader(
    leader: bigint,
    index: number,
    conf: ConfState,
    nodes: ReadonlyMap<bigint, Observed>,
  ): void {
    const term = nodes.get(leader)?.durableTerm(index);
    for (const half of [conf.voters, conf.votersOutgoing]) {
      if (half.length === 0) continue;
      const holders = half.filter((id) => {
        const held = nodes.get(id)?.durableTerm(index);
        return (
          held === 'snapshot' ||
          (held !== undefined && (term === undefined || held === term || term === 'snapshot'))
        );
      });
      if (holders.length * 2 <= half.length) {
        throw new Violation(
          'committed is durable on a quorum',
          `leader ${leader} committed ${index}, on the disks of only [${holders.join(' ')}] of [${half.join(' ')}]`,
        );
      }
    }
  }

  /** State-machine safety: an index is committed with one entry only, and applied to one state. @returns the new state */
  applied(id: bigint, entry: Entry, state: number, term: number): number {
    const known = this.#committed.get(entry.index);
    const hash = hashEntry(entry);
    if (known === undefined) this.#committed.set(entry.index, { term: entry.term, hash, knownInTerm: term });
    else if (known.term !== entry.term || known.hash !== hash) {
      throw new Violation(
        'state-machine safety',
        `node ${id} applies index ${entry.index} of term ${entry.term}, others had term ${known.term}`,
      );
    }
    if (known !== undefined && term < known.knownInTerm) known.knownInTerm = term;
    this.highestCommitted = Math.max(this.highestCommitted, entry.index);
    this.highestApplied = Math.max(this.highestApplied, entry.index);
    const next = chainHash(state, entry);
    this.#sameState(id, entry.index, next);
    return next;
  }

  /** A request is proposed once, however often the network repeats the message that passed it on. */
  requested(request: number, index: number): void {
    const known = this.#requests.get(request) ?? index;
    if (known !== index)
      throw new Violation('proposed once', `request ${request} stands at ${known} and at ${index}`);
    this.#requests.set(request, index);
  }

  /** A snapshot stands for the state at its index. */
  installed(id: bigint, snapshot: Snapshot, state: number): void {
    this.#sameState(id, snapshot.meta.index, state);
  }

  #sameState(id: bigint, index: number, state: number): void {
    const known = this.#states.get(index);
    if (known !== undefined && known !== state) {
      throw new Violation('state-machine safety', `node ${id} has another state at index ${index}`);
    }
    this.#states.set(index, state);
  }

  /**
   * Leader completeness: what was committed in a term is in the logs of the leaders of all later terms. (A node may
   * also learn late that it won an old term; then it need not have what later terms committed.)
   */
  leaderLog(
    id: bigint,
    term: number,
    firstIndex: number,
    termAt: (index: number) => number | undefined,
  ): void {
    for (const [index, known] of this.#committed) {
      if (index < firstIndex || known.knownInTerm >= term) continue;
      if (termAt(index) !== known.term) {
        throw new Violation(
          'leader completeness',
          `leader ${id} lacks committed entry ${index} of term ${known.term}`,
        );
      }
    }
  }

  /** Configuration safety: the configuration at an index is the same everywhere. */
  configured(id: bigint, index: number, conf: ConfState): void {
    const text = JSON.stringify(conf, (_, value) => (typeof value === 'bigint' ? String(value) : value));
    const known = this.#confs.get(index);
    if (known !== undefined && known !== text) {
      throw new Violation(
        'configuration safety',
        `node ${id} has ${text} at index ${index}, others ${known}`,
      );
    }
    if (known === undefined) this.#everyConf.push(conf);
    this.#confs.set(index, text);
  }

  get configurations(): readonly ConfState[] {
    return this.#everyConf;
  }

  /** A linearizable read sees whatever anybody had seen when it was asked for. */
  readAnswered(id: bigint, index: number, seenAtRequest: number): void {
    if (index < seenAtRequest) {
      throw new Violation(
        'read index',
        `node ${id} may read at ${index}, but ${seenAtRequest} had been applied before`,
      );
    }
  }

  /** Terms and commit indexes of one run of one node never fall. */
  monotonic(id: bigint, what: string, before: number, now: number): void {
    if (now < before) throw new Violation('monotonic', `${what} of node ${id} fell from ${before} to ${now}`);
  }
}

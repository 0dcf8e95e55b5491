/**
 * What must hold in a cluster after every event, looked at from outside: the members' own words, their stores, their answers.
 *
 * Cheap: a few comparisons a member. What needs the whole story is judged at the end (`judge.ts`). Names are those of reliability
 * section 4; the first one that breaks ends the run.
 */
import type { EventBatch, Store } from '@quorate/mvcc';
import type { Member } from '@quorate/server';
import { Violation } from '../raft-sim/invariants.ts';

export { Violation };

/** What one member said last, within one life. */
interface Seen {
  term: number;
  committed: number;
  applied: number;
  revision: number;
  compact: number;
}

/** What an entry did: equal on every member that applies it. */
interface Applied {
  readonly term: number;
  readonly chain: number;
}

function mix(hash: number, value: number): number {
  return Math.imul(hash ^ value, 0x01000193) >>> 0;
}

export class Invariants {
  /** The first that broke. What notices it may be deep inside a member that catches errors. */
  violation: Violation | null = null;
  readonly #leaders = new Map<number, bigint>();
  readonly #seen = new WeakMap<Member, Seen>();
  readonly #applied = new Map<number, Applied>();
  /** Every revision that any store has shown, with its changes. */
  readonly revisions = new Map<number, EventBatch>();
  leaderChanges = 0;
  highestCommitted = 0;
  highestApplied = 0;
  highestRevision = 1;

  broken(invariant: string, detail: string): Violation {
    this.violation ??= new Violation(invariant, detail);
    return this.violation;
  }

  /** After anything happened at `name`. */
  look(name: string, member: Member): void {
    const { term, committedIndex, appliedIndex, leader, memberId, store } = member;
    const seen = this.#seen.get(member);
    if (leader === memberId && leader !== 0n) this.#leads(term, leader);
    const { revision, compactRevision } = store;
    if (seen === undefined) {
      this.#seen.set(member, {
        term,
        committed: committedIndex,
        applied: appliedIndex,
        revision,
        compact: compactRevision,
      });
    } else {
      this.#grows(name, 'term', seen.term, term);
      this.#grows(name, 'commit index', seen.committed, committedIndex);
      this.#grows(name, 'applied index', seen.applied, appliedIndex);
      this.#grows(name, 'revision', seen.revision, revision);
      this.#grows(name, 'compact revision', seen.compact, compactRevision);
      seen.term = term;
      seen.committed = committedIndex;
      seen.applied = appliedIndex;
      seen.revision = revision;
      seen.compact = compactRevision;
    }
    // While a snapshot is put in place the store is ahead for a moment.
    if (store.appliedIndex < appliedIndex) {
      throw this.broken(
        'consistent index',
        `${name}: store at ${store.appliedIndex}, applied ${appliedIndex}`,
      );
    }
    if (store.durableIndex > store.appliedIndex) {
      throw this.broken('durable is applied', `${name}: ${store.durableIndex} > ${store.appliedIndex}`);
    }
    if (committedIndex > this.highestCommitted) this.highestCommitted = committedIndex;
  }

  #leads(term: number, leader: bigint): void {
    const known = this.#leaders.get(term);
    if (known === undefined) {
      this.#leaders.set(term, leader);
      this.leaderChanges++;
    } else if (known !== leader) {
      throw this.broken('election safety', `term ${term} has leaders ${known} and ${leader}`);
    }
  }

  /**
   * Watches what is applied to a store: in order of index without a gap, and to the same effect as everywhere else.
   * @param isAlive false: the member has crashed, nothing it does counts
   */
  watchStore(name: string, store: Store, isAlive: () => boolean): void {
    const begin = store.begin.bind(store);
    let last = store.appliedIndex;
    let lastRevision = store.revision;
    store.begin = (index, term) => {
      // A snapshot may have moved the store on.
      if (store.appliedIndex > last) {
        last = store.appliedIndex;
        lastRevision = store.revision;
      }
      if (isAlive() && index !== last + 1)
        throw this.broken('applied without gaps', `${name} applies ${index} after ${last}`);
      const transaction = begin(index, term);
      const commit = transaction.commit.bind(transaction);
      transaction.commit = (fold) => {
        const events = commit(fold);
        if (!isAlive()) return events;
        last = index;
        if (events !== null && events.revision !== lastRevision + 1) {
          throw this.broken(
            'revisions without gaps',
            `${name}: revision ${events.revision} after ${lastRevision}`,
          );
        }
        if (events !== null) lastRevision = events.revision;
        this.#sameEffect(name, index, term, events);
        return events;
      };
      return transaction;
    };
  }

  #sameEffect(name: string, index: number, term: number, events: EventBatch | null): void {
    let hash = mix(mix(0x811c9dc5, index), term);
    if (events !== null) {
      hash = mix(hash, events.revision);
      for (const event of events.events) for (const byte of event.encoded) hash = mix(hash, byte);
    }
    const known = this.#applied.get(index);
    if (known === undefined) {
      this.#applied.set(index, { term, chain: hash });
      this.highestApplied = Math.max(this.highestApplied, index);
      if (events !== null) {
        this.revisions.set(events.revision, events);
        this.highestRevision = Math.max(this.highestRevision, events.revision);
      }
    } else if (known.chain !== hash) {
      throw this.broken(
        'same effect everywhere',
        `${name} applies entry ${index} of term ${term}, first applied with term ${known.term}, to another effect`,
      );
    }
  }

  /** A linearizable read sees what was known to be committed anywhere when it was asked for. @returns to be called with the answer */
  readAsked(name: string, member: () => Member | null): (error: Error | null) => void {
    const committed = this.highestCommitted;
    return (error) => {
      const now = member();
      if (error !== null || now === null) return;
      if (now.appliedIndex < committed) {
        throw this.broken(
          'read index',
          `${name} may read at ${now.appliedIndex}, but ${committed} was committed before`,
        );
      }
    };
  }

  /** Only the primary lets leases expire. */
  revokeProposed(name: string, primary: boolean, leads: boolean): void {
    if (!primary || !leads) throw this.broken('revoked by the primary', `${name} revokes and does not lead`);
  }

  #grows(name: string, what: string, before: number, now: number): void {
    if (now < before) throw this.broken('monotonic', `${what} of ${name} fell from ${before} to ${now}`);
  }
}

/**
 * Collects what a `Ready` contains, and remembers what was handed out, so that nothing is handed out twice.
 *
 * Read next: `ready.ts` for the promises made here.
 */
import { sendForwarded } from './proposals.ts';
import type { Raft } from './raft.ts';
import { startRound } from './read-index.ts';
import type { Ready, SoftState } from './ready.ts';
import { sendAppends } from './replication/leader.ts';
import { StorageUnavailableError } from './storage.ts';
import type { Entry, HardState, Snapshot } from './types.ts';

export class ReadyBuilder {
  readonly #raft: Raft;
  #hardState: HardState;
  #softState: SoftState;
  /** The incoming snapshot handed out last; the same one is not handed out again. */
  #snapshot: Snapshot | null = null;
  /** Committed entries out for application: last index and bytes of each hand-out. */
  #applying: { last: number; bytes: number }[] = [];
  #applyingBytes = 0;
  /** Storage could not deliver committed entries; asked again after `retryStorage`. */
  #storageBlocked = false;

  constructor(raft: Raft) {
    this.#raft = raft;
    this.#hardState = this.#currentHardState();
    this.#softState = { leader: raft.leader, role: raft.role };
  }

  hasReady(): boolean {
    const raft = this.#raft;
    return (
      raft.replicationDue ||
      raft.reads.roundWanted ||
      raft.forwarding.length > 0 ||
      !raft.outbox.empty ||
      raft.log.hasUnpersisted ||
      raft.ownVotePending ||
      raft.readStates.length > 0 ||
      raft.forwardedReads.hasDropped ||
      this.#softStateChanged() ||
      this.#hardStateChanged() ||
      (raft.log.incomingSnapshot !== null && raft.log.incomingSnapshot !== this.#snapshot) ||
      this.#mayApply()
    );
  }

  build(): Ready {
    const raft = this.#raft;
    if (raft.leading) {
      if (raft.reads.roundWanted) startRound(raft);
      if (raft.replicationDue) sendAppends(raft);
    }
    raft.replicationDue = false;
    raft.reads.roundWanted = false;
    sendForwarded(raft);

    const softState = this.#softStateChanged() ? { leader: raft.leader, role: raft.role } : null;
    const current = this.#currentHardState();
    const promises = current.term !== this.#hardState.term || current.vote !== this.#hardState.vote;
    const hardState = promises || current.commit !== this.#hardState.commit ? current : null;
    const incoming = raft.log.incomingSnapshot;
    const snapshot = incoming !== null && incoming !== this.#snapshot ? incoming : null;
    const entries = raft.log.takeUnpersisted();
    const sequence = raft.persistence.issue({
      durableTo: entries.length > 0 ? raft.log.lastIndex : (snapshot?.meta.index ?? 0),
      snapshot,
      term: promises ? current.term : 0,
      ownVoteTerm: raft.ownVotePending ? raft.term : 0,
    });
    raft.ownVotePending = false;
    if (softState !== null) this.#softState = softState;
    if (hardState !== null) this.#hardState = hardState;
    if (snapshot !== null) {
      this.#snapshot = snapshot;
      this.#applying = [{ last: snapshot.meta.index, bytes: 0 }];
      this.#applyingBytes = 0;
    }
    const committedEntries = this.#takeCommitted();
    const { messages, messagesAfterPersist } = raft.outbox.take();
    const readStates = raft.readStates;
    raft.readStates = [];
    return {
      sequence,
      softState,
      hardState,
      snapshot,
      entries,
      mustSync: promises || entries.length > 0 || snapshot !== null,
      messages,
      messagesAfterPersist,
      committedEntries,
      readStates,
      droppedReads: raft.forwardedReads.takeDropped(),
    };
  }

  appliedTo(index: number): void {
    while (this.#applying.length > 0 && this.#applying[0]!.last <= index) {
      this.#applyingBytes -= this.#applying.shift()!.bytes;
    }
  }

  /** Time passed or the host says so: ask storage again. */
  retryStorage(): void {
    this.#storageBlocked = false;
  }

  #mayApply(): boolean {
    const { log, config } = this.#raft;
    return (
      !this.#storageBlocked && log.applying < log.appliable && this.#applyingBytes < config.maxApplyingBytes
    );
  }

  #takeCommitted(): readonly Entry[] {
    if (!this.#mayApply()) return [];
    const { log, config } = this.#raft;
    try {
      const entries = log.takeCommitted(config.maxApplyingBytes - this.#applyingBytes);
      let bytes = 0;
      for (const entry of entries) bytes += entry.data.byteLength;
      this.#applying.push({ last: log.applying, bytes });
      this.#applyingBytes += bytes;
      return entries;
    } catch (error) {
      if (!(error instanceof StorageUnavailableError)) throw error;
      this.#storageBlocked = true;
      return [];
    }
  }

  #currentHardState(): HardState {
    const { term, vote, log, rules } = this.#raft;
    return { term, vote: rules.voteToPersist(vote), commit: log.committed };
  }

  #hardStateChanged(): boolean {
    const { term, vote, log, rules } = this.#raft;
    const known = this.#hardState;
    return term !== known.term || rules.voteToPersist(vote) !== known.vote || log.committed !== known.commit;
  }

  #softStateChanged(): boolean {
    return this.#softState.leader !== this.#raft.leader || this.#softState.role !== this.#raft.role;
  }
}

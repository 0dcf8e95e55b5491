/**
 * Disaster recovery: one member's log becomes that of a cluster of one (`--force-new-cluster`).
 *
 * What is committed stays. What is not is cut away, since nobody can say any more whether it would have been; in its place come
 * entries that remove every other member, learners included, in this member's term. From then on it is its own quorum, and a
 * restart without the flag finds the same. Those who were removed know nothing of it and must never be started again with their data.
 */
import {
  type ConfState,
  decodeConfChange,
  type Entry,
  EntryType,
  encodeConfChange,
  type HardState,
  NONE,
} from '@quorate/raft';
import type { Wal } from '@quorate/wal';
import { encodeChange, type MembershipChange } from './change.ts';

const NOBODY_ASKED = { origin: 0, sequence: 0 } as const;
const READ_BYTES = 1024 * 1024;

/**
 * The entries to put after the last committed one, and the state to save with them.
 * @param applied index whose configuration is `conf`; entries from there to `hardState.commit` are in the log
 */
export function forceNewCluster(
  wal: Pick<Wal, 'entries' | 'term'>,
  self: bigint,
  applied: { readonly index: number; readonly conf: ConfState },
  hardState: HardState,
): { entries: Entry[]; hardState: HardState } {
  const { voters, learners } = confAt(wal, applied, hardState.commit);
  const changes: MembershipChange[] = [];
  if (learners.has(self)) changes.push({ kind: 'promote', id: self });
  for (const id of [...voters, ...learners]) if (id !== self) changes.push({ kind: 'remove', id });
  const term = Math.max(hardState.term, wal.term(hardState.commit) ?? 0);
  const entries = changes.map(
    (change, position): Entry => ({
      index: hardState.commit + 1 + position,
      term,
      type: EntryType.confChange,
      data: encodeConfChange(encodeChange(NOBODY_ASKED, change)),
    }),
  );
  const commit = hardState.commit + entries.length;
  return { entries, hardState: { term, vote: term === hardState.term ? hardState.vote : NONE, commit } };
}

/** Members as of `commit`: single-server changes, one after the other. */
function confAt(
  wal: Pick<Wal, 'entries'>,
  applied: { readonly index: number; readonly conf: ConfState },
  commit: number,
): { voters: Set<bigint>; learners: Set<bigint> } {
  const voters = new Set(applied.conf.voters);
  const learners = new Set(applied.conf.learners);
  for (let next = applied.index + 1; next <= commit; ) {
    const entries = wal.entries(next, commit + 1, READ_BYTES);
    for (const entry of entries) {
      if (entry.type !== EntryType.confChange) continue;
      for (const { kind, id } of decodeConfChange(entry.data).steps) {
        voters.delete(id);
        learners.delete(id);
        if (kind === 'add-voter') voters.add(id);
        else if (kind === 'add-learner') learners.add(id);
      }
    }
    next += entries.length;
  }
  return { voters, learners };
}

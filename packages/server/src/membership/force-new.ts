/**
 * Disaster recovery: one member's log becomes that of a cluster of one (`--force-new-cluster`).
 *
 * The whole log counts as committed: which part of its end was, only those who are lost could say, and what was acknowledged must
 * stay. After it come entries that remove every other member, learners included, in this member's term. From then on it is its own
 * quorum, and a restart without the flag finds the same. Those who were removed know nothing of it and must never be started again
 * with their data.
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
 * The entries to put at the end of the log, and the state to save with them.
 * @param applied index whose configuration is `conf`; the entries after it are in the log
 */
export function forceNewCluster(
  wal: Pick<Wal, 'entries' | 'term' | 'lastIndex'>,
  self: bigint,
  applied: { readonly index: number; readonly conf: ConfState },
  hardState: HardState,
): { entries: Entry[]; hardState: HardState } {
  const last = wal.lastIndex();
  const seen = idsIn(wal, applied, last);
  // Whatever does not fit any more (a member that was removed already) is refused when it is applied.
  const changes: MembershipChange[] = [];
  if (seen.learners.has(self)) changes.push({ kind: 'promote', id: self });
  for (const id of seen.all) if (id !== self) changes.push({ kind: 'remove', id });
  const term = Math.max(hardState.term, wal.term(last) ?? 0);
  const entries = changes.map(
    (change, position): Entry => ({
      index: last + 1 + position,
      term,
      type: EntryType.confChange,
      data: encodeConfChange(encodeChange(NOBODY_ASKED, change)),
    }),
  );
  const vote = term === hardState.term ? hardState.vote : NONE;
  return { entries, hardState: { term, vote, commit: last + entries.length } };
}

/** Everybody who may be a member at the end of the log. */
function idsIn(
  wal: Pick<Wal, 'entries'>,
  applied: { readonly index: number; readonly conf: ConfState },
  last: number,
): { all: Set<bigint>; learners: Set<bigint> } {
  const learners = new Set(applied.conf.learners);
  const all = new Set([...applied.conf.voters, ...learners]);
  for (let next = applied.index + 1; next <= last; ) {
    const entries = wal.entries(next, last + 1, READ_BYTES);
    for (const entry of entries) {
      if (entry.type !== EntryType.confChange) continue;
      for (const { kind, id } of decodeConfChange(entry.data).steps) {
        all.add(id);
        if (kind === 'add-learner') learners.add(id);
      }
    }
    next += entries.length;
  }
  return { all, learners };
}

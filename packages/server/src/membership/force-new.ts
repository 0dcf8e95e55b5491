/**
 * Disaster recovery: one member's log becomes that of a cluster of one (`--force-new-cluster`).
 *
 * The whole log counts as committed: which part of its end was, only those who are lost could say, and what was acknowledged must
 * stay. After it come entries that remove every other member, learners included, in this member's term. From then on it is its own
 * quorum, and a restart without the flag finds the same. Those who were removed know nothing of it and must never be started again
 * with their data.
 *
 * One thing at the end of the log does not stay: the removal of this very member, when it is not known to be committed. An empty
 * entry takes its place, as whoever asks for a cluster of this member alone means it to live.
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
import { MemberRemovedError } from '../member.ts';
import { encodeChange, type MembershipChange } from './change.ts';

const NOBODY_ASKED = { origin: 0, sequence: 0 } as const;
const READ_BYTES = 1024 * 1024;
const NO_DATA = new Uint8Array(0);

export interface ForcedCluster {
  /** For the end of the log. The first may take the place of one that is there. */
  readonly entries: readonly Entry[];
  /** To be saved with them. */
  readonly hardState: HardState;
  /** How many others are removed. */
  readonly removedCount: number;
}

/**
 * @param applied index whose configuration is `conf`; the entries after it are in the log
 * @throws MemberRemovedError when this member's removal is committed
 */
export function forceNewCluster(
  wal: Pick<Wal, 'entries' | 'term' | 'lastIndex'>,
  self: bigint,
  applied: { readonly index: number; readonly conf: ConfState },
  hardState: HardState,
): ForcedCluster {
  const last = wal.lastIndex();
  const seen = idsIn(wal, applied, last);
  const removal = seen.removals.get(self) ?? null;
  if (removal !== null && removal <= hardState.commit) throw new MemberRemovedError();
  const rewritten = removal === null ? [] : withoutRemoval(wal, self, removal, last);
  // Whatever does not fit any more (a member that was removed already) is refused when it is applied.
  const changes: MembershipChange[] = [];
  if (seen.learners.has(self)) changes.push({ kind: 'promote', id: self });
  for (const id of seen.all) if (id !== self) changes.push({ kind: 'remove', id });
  const term = Math.max(hardState.term, wal.term(last) ?? 0);
  const appended = changes.map(
    (change, position): Entry => ({
      index: last + 1 + position,
      term,
      type: EntryType.confChange,
      data: encodeConfChange(encodeChange(NOBODY_ASKED, change)),
    }),
  );
  const vote = term === hardState.term ? hardState.vote : NONE;
  return {
    entries: [...rewritten, ...appended],
    hardState: { term, vote, commit: last + appended.length },
    removedCount: changes.filter(({ kind }) => kind === 'remove').length,
  };
}

/** The entries `[from, last]`, with empty ones where `self` is removed. */
function withoutRemoval(wal: Pick<Wal, 'entries'>, self: bigint, from: number, last: number): Entry[] {
  const rewritten: Entry[] = [];
  for (let next = from; next <= last; next = rewritten.at(-1)!.index + 1) {
    for (const entry of wal.entries(next, last + 1, READ_BYTES)) {
      const steps = entry.type === EntryType.confChange ? decodeConfChange(entry.data).steps : [];
      const removesSelf = steps.some(({ kind, id }) => kind === 'remove-node' && id === self);
      const { index, term } = entry;
      rewritten.push(removesSelf ? { index, term, type: EntryType.normal, data: NO_DATA } : entry);
    }
  }
  return rewritten;
}

/** Everybody who may be a member at the end of the log, and where they are first removed in it. */
function idsIn(
  wal: Pick<Wal, 'entries'>,
  applied: { readonly index: number; readonly conf: ConfState },
  last: number,
): { all: Set<bigint>; learners: Set<bigint>; removals: Map<bigint, number> } {
  const learners = new Set(applied.conf.learners);
  const all = new Set([...applied.conf.voters, ...learners]);
  const removals = new Map<bigint, number>();
  for (let next = applied.index + 1; next <= last; ) {
    const entries = wal.entries(next, last + 1, READ_BYTES);
    for (const entry of entries) {
      if (entry.type !== EntryType.confChange) continue;
      for (const { kind, id } of decodeConfChange(entry.data).steps) {
        all.add(id);
        if (kind === 'add-learner') learners.add(id);
        if (kind === 'remove-node' && !removals.has(id)) removals.set(id, entry.index);
      }
    }
    next += entries.length;
  }
  return { all, learners, removals };
}

/**
 * All checkers over one history: the verdict of a run.
 *
 * `drained` are watches of everything from revision 1, one per member, read to the end after all had healed. They say what
 * was committed. Compaction takes old revisions away from such watches: runs that compact keep one watcher
 * from the beginning and pass its recording.
 */
import { committedFrom } from './committed.ts';
import { type ConservationOptions, checkConservation } from './conservation.ts';
import type { History, HistoryWatch } from './history.ts';
import { checkLeases, type LeaseBounds } from './lease.ts';
import { checkLinearizable } from './linearizable.ts';
import { checkMembers, type FinalDump } from './members.ts';
import { checkWatch, type Violation } from './watch.ts';
import { WatchHistory } from './watch-record.ts';

export interface Evidence {
  readonly history: History;
  /** One of each member at least. */
  readonly drained: readonly HistoryWatch[];
  readonly dumps?: readonly FinalDump[];
  readonly leases?: LeaseBounds;
  readonly conservation?: ConservationOptions;
  /** Greatest revision that a compaction may have been asked for; -1: none. */
  readonly compactRevision?: number;
}

export function checkHistory(evidence: Evidence): Violation[] {
  const { history, drained, dumps = [], leases = {}, conservation = {}, compactRevision = -1 } = evidence;
  if (drained.length === 0) throw new Error('nothing says what was committed');
  const { committed: story, violations } = committedFrom(drained);
  const committed = new WatchHistory(story.revisions, compactRevision);
  return [
    ...violations,
    ...checkLinearizable(history.calls, committed),
    ...checkMembers(history, committed, dumps),
    ...checkLeases({ ...history, watches: [...history.watches, ...drained] }, committed, leases),
    ...checkConservation(history.calls, committed, conservation),
    ...[...history.watches, ...drained].flatMap((watch) =>
      checkWatch(watch.record, committed).map(({ rule, detail }) => ({
        rule,
        detail: `watch of ${JSON.stringify(watch.record.key)} on ${watch.member}: ${detail}`,
      })),
    ),
  ];
}

/**
 * Events of past revisions, whole revisions at a time: from the ring of recent segments, or from `log`.
 *
 * A watch may start at the compact revision itself: what lies exactly there was kept whole (`removal.ts`).
 */
import { copyBytes } from '../bytes.ts';
import { type RecordFrame, StoredEvent } from '../stored-record.ts';
import { CompactedError, type EventBatch, type StoreEvent } from '../types.ts';
import type { ReadView } from './view.ts';

export function readEvents(
  view: ReadView,
  from: number,
  maxBytes: number,
  outOfTime: () => boolean,
): { batches: EventBatch[]; next: number } {
  if (from < view.compactRevision) throw new CompactedError('the revision was compacted');
  const batches: EventBatch[] = [];
  let events: StoreEvent[] = [];
  let revision = 0;
  let bytes = 0;
  let next = Math.max(from, view.revision + 1);
  view.records.walk(from, 0, view.revision, (main, sub, frame, stable) => {
    if (main !== revision) {
      if (revision !== 0) {
        batches.push({ revision, events });
        events = [];
        if (bytes >= maxBytes || outOfTime()) {
          revision = 0;
          next = main;
          return false;
        }
      }
      revision = main;
    }
    bytes += frame.end - frame.start;
    events.push(new StoredEvent(stable ? frame : ownFrame(frame), sub));
    return true;
  });
  if (revision !== 0) batches.push({ revision, events });
  return { batches, next };
}

function ownFrame(frame: RecordFrame): RecordFrame {
  return {
    bytes: copyBytes(frame.bytes.subarray(frame.start, frame.end)),
    start: 0,
    end: frame.end - frame.start,
  };
}

/** Links a new record into the chain of its key: how `jump.ts` is used when a record is made. */
import type { HeadEntry } from './head-entry.ts';
import { jumpDepth } from './jump.ts';
import { emptyRecordHeader, type RecordFields, readRecordHeader } from './log-record.ts';
import type { Records } from './read/records.ts';

const header = emptyRecordHeader();

/** Sets depth, past and pointers of a new record whose predecessor is `previous`. */
export function linkRecord(fields: RecordFields, previous: HeadEntry, records: Records): void {
  fields.past = previous.tombstone || previous.past;
  fields.depth = previous.depth + 1;
  fields.previousMain = fields.jumpMain = previous.main;
  fields.previousSub = fields.jumpSub = previous.sub;
  if (jumpDepth(fields.depth) === previous.depth || previous.jumpMain === 0) return;
  const frame = records.find(previous.jumpMain, previous.jumpSub);
  // Compaction may have taken what the jump would lead over.
  if (frame === null) return;
  readRecordHeader(frame.bytes, frame.start, header);
  if (header.jumpMain === 0) return;
  fields.jumpMain = header.jumpMain;
  fields.jumpSub = header.jumpSub;
}

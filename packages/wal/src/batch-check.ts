/**
 * Whether a batch can be written at all, whatever the log holds: numbers that fit their fields, and a size that fits a frame.
 *
 * Checked before anything is changed, so that a batch that is refused leaves no trace; and as strictly as a reader checks
 * (`frame-body.ts`), so that nothing is acknowledged that the next start would refuse. Where a batch fits is for `log.ts`.
 */
import { MAX_ENTRY_BYTES, type WalBatch } from './wal.ts';

/** Entries and marker of one batch together, with room for their headers: a frame has to hold them. */
const MAX_BATCH_BYTES = MAX_ENTRY_BYTES + 1024;
const MAX_VOTE = 2n ** 64n - 1n;

/** @throws RangeError */
export function checkBatch({ entries, hardState, snapshotMarker: marker }: WalBatch): void {
  if (hardState !== null) {
    checkCounter('term of the hard state', hardState.term);
    checkCounter('commit index of the hard state', hardState.commit);
    if (hardState.vote < 0n || hardState.vote > MAX_VOTE) {
      throw new RangeError(`the vote ${hardState.vote} is not a 64-bit id`);
    }
  }
  let bytes = 0;
  if (marker) {
    checkCounter('index of the snapshot marker', marker.index);
    checkCounter('term of the snapshot marker', marker.term);
    const { voters, votersOutgoing, learners, learnersNext } = marker.conf;
    for (const ids of [voters, votersOutgoing, learners, learnersNext]) bytes += ids.length * 8;
  }
  const first = entries[0]?.index ?? 1;
  if (first < 1) throw new RangeError(`entry ${first} does not exist: entries begin at 1`);
  for (const [at, entry] of entries.entries()) {
    if (entry.index !== first + at) throw new RangeError(`entry ${entry.index} is out of order`);
    checkCounter('index of an entry', entry.index);
    checkCounter('term of an entry', entry.term);
    if (entry.type !== 0 && entry.type !== 1)
      throw new RangeError(`entry ${entry.index} has type ${entry.type}`);
    bytes += entry.data.length + 16;
    if (entry.data.length > MAX_ENTRY_BYTES || bytes > MAX_BATCH_BYTES) {
      throw new RangeError(`a batch holds at most ${MAX_ENTRY_BYTES} bytes`);
    }
  }
}

function checkCounter(what: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 0) return;
  throw new RangeError(`the ${what} is no counter: ${value}`);
}

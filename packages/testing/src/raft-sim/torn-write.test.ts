/** Frames of the simulated disk: whole ones are read back, torn ones are known for what they are. */
import { EntryType } from '@quorate/raft';
import { expect, it } from 'vitest';
import { Random } from '../sim/random.ts';
import { encodeFrame, readFrame, tear } from './torn-write.ts';

const frame = {
  hardState: { term: 3, vote: 2n, commit: 6 },
  entries: [7, 8].map((index) => ({
    index,
    term: 3,
    type: EntryType.normal,
    data: new Uint8Array([index, 1, 2]),
  })),
};

it('a whole frame is what was written', () => {
  expect(readFrame(encodeFrame(frame), false)).toEqual(frame);
  expect(readFrame(encodeFrame({ hardState: null, entries: [] }), false)).toEqual({
    hardState: null,
    entries: [],
  });
});

it('a frame cut off anywhere is not read, except by a disk that trusts it', () => {
  const random = new Random('tears');
  let pieces = 0;
  for (let count = 0; count < 300; count++) {
    const torn = tear(encodeFrame(frame), random);
    if (torn === null) continue;
    expect(readFrame(torn, false)).toBeNull();
    pieces += readFrame(torn, true)?.entries.length ?? 0;
  }
  expect(pieces).toBeGreaterThan(0);
});

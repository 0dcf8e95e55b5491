import { describe, expect, test } from 'vitest';
import { type HeadEntry, MAX_HEAD_ENTRY_BYTES, readHeadEntry, writeHeadEntry } from './head-entry.ts';

const first: HeadEntry = {
  main: 5,
  sub: 0,
  createRevision: 5,
  version: 1,
  lease: 0n,
  tombstone: false,
  past: false,
  depth: 0,
  jumpMain: 0,
  jumpSub: 0,
};
const later: HeadEntry = {
  ...first,
  main: 200_000_000,
  version: 16_000,
  depth: 15_999,
  jumpMain: 199_999_999,
};

/** Into a buffer that something else was in. */
function written(entry: HeadEntry): Uint8Array {
  const target = new Uint8Array(MAX_HEAD_ENTRY_BYTES).fill(0xff);
  return target.subarray(0, writeHeadEntry(target, 0, entry));
}

describe('head entry', () => {
  test('is read as it was written', () => {
    const most = 2 ** 53 - 1;
    const largest: HeadEntry = {
      ...{ main: most, sub: 0xffffffff, createRevision: 1, version: most, lease: 2n ** 63n - 1n },
      ...{ tombstone: false, past: true, depth: 0xffffffff, jumpMain: most, jumpSub: 0xffffffff },
    };
    for (const entry of [first, later, largest, { ...later, lease: 7n, past: true }]) {
      const bytes = written(entry);
      expect(bytes.length).toBeLessThanOrEqual(MAX_HEAD_ENTRY_BYTES);
      expect(readHeadEntry(bytes, false)).toEqual(entry);
    }
  });

  test('takes the same room after 16,000 puts as after the first, with and without a lease', () => {
    for (const lease of [0n, 2n ** 62n]) {
      expect(written({ ...later, lease }).length).toBe(written({ ...first, lease }).length);
    }
  });

  test('without the room, as entries were written once, is read all the same', () => {
    const bytes = written(first);
    expect(readHeadEntry(bytes.subarray(0, 6), false)).toEqual(first);
  });

  test('leaves nothing of what was in the buffer', () => {
    const clean = new Uint8Array(MAX_HEAD_ENTRY_BYTES);
    expect(written(first)).toEqual(clean.subarray(0, writeHeadEntry(clean, 0, first)));
  });
});

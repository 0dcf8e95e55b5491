/** The next segment's file is filled beside the writing: ready when it is needed, and never much at a time. */
import { Random, SimDisk } from '@quorate/testing';
import { expect, it } from 'vitest';
import { batchBytes, encodeBatch } from '../src/batch.ts';
import { NO_FAILPOINTS } from '../src/failpoints.ts';
import { openWalInline } from '../src/index.ts';
import { readLog } from '../src/recovery.ts';
import { SegmentWriter } from '../src/segment-writer.ts';
import { DIRECTORY, entry, METADATA } from './images.ts';

const SEGMENT_BYTES = 4 * 1024 * 1024;
const STEP_BYTES = 256 * 1024;

function setUp() {
  const disk = new SimDisk(new Random('preparing', 'disk'));
  void openWalInline({
    directory: DIRECTORY,
    metadata: METADATA,
    segmentBytes: SEGMENT_BYTES,
    disk,
  }).wal.close();
  const writer = new SegmentWriter(
    {
      disk,
      directory: DIRECTORY,
      segmentBytes: SEGMENT_BYTES,
      spareSegments: 1,
      noSync: false,
      failpoint: NO_FAILPOINTS,
    },
    readLog(disk, DIRECTORY)!.writer,
  );
  let last = 0;
  const write = (dataBytes: number): void => {
    last++;
    const entries = [entry(last, 1, new Uint8Array(dataBytes))];
    const content = { entries, hardState: null, marker: null, restart: false, lastIndex: last, lastTerm: 1 };
    const encoded = Buffer.alloc(batchBytes(content));
    encodeBatch(encoded, content);
    writer.write([encoded], () => {});
  };
  const spareBytes = (): number => {
    const name = disk.list(DIRECTORY).find((one) => one.endsWith('.spare'));
    if (name === undefined) return 0;
    const file = disk.open(`${DIRECTORY}/${name}`, 'read');
    const bytes = file.size();
    file.close();
    return bytes;
  };
  return { writer, write, spareBytes };
}

it('beside writing it keeps pace from the half of a segment on, and is whole when the segment is full', () => {
  const { writer, write, spareBytes } = setUp();
  while (writer.state.segments.length === 1) {
    const before = spareBytes();
    expect(before).toBeGreaterThanOrEqual(Math.min(SEGMENT_BYTES, 2 * writer.state.offset - SEGMENT_BYTES));
    if (writer.state.offset * 2 < SEGMENT_BYTES) expect(before).toBe(0);
    if (writer.state.offset + 62 * 1024 > SEGMENT_BYTES) expect(before).toBe(SEGMENT_BYTES);
    write(60 * 1024);
    if (writer.state.segments.length > 1) break;
    writer.prepareStep(false);
    expect(spareBytes() - before).toBeLessThanOrEqual(STEP_BYTES);
  }
  expect(spareBytes()).toBe(0); // It is the segment now.
});

it('beside large writes it fills as much as they took', () => {
  const { writer, write, spareBytes } = setUp();
  write(3 * 1024 * 1024);
  writer.prepareStep(false);
  expect(spareBytes()).toBeGreaterThanOrEqual(2 * writer.state.offset - SEGMENT_BYTES);
});

it('while nobody writes it is filled to its end in steps', () => {
  const { writer, spareBytes } = setUp();
  let steps = 0;
  while (writer.prepareStep(true)) {
    steps++;
    expect(spareBytes()).toBe(steps * STEP_BYTES);
    expect(writer.mayPrepare).toBe(steps * STEP_BYTES < SEGMENT_BYTES);
  }
  expect(spareBytes()).toBe(SEGMENT_BYTES);
});

/** Two writers of one log: the thread's and the caller's, in any order, write what one alone would have written. */
import { Random, SimDisk } from '@quorate/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type BatchContent, batchBytes, encodeBatch } from '../src/batch.ts';
import { DirectWriter } from '../src/direct-writer.ts';
import { type Disk, DiskError, type DiskFile } from '../src/disk.ts';
import { NO_FAILPOINTS } from '../src/failpoints.ts';
import { openWalInline } from '../src/index.ts';
import { PEN_BYTES, Pen } from '../src/pen.ts';
import { readLog } from '../src/recovery.ts';
import { SegmentWriter } from '../src/segment-writer.ts';
import { LogTail } from '../src/tail.ts';
import { DIRECTORY, diskWith, entry, hardState, METADATA, SEGMENT_BYTES, takeFiles } from './images.ts';

/** As many quick syncs as open the direct way. */
const IN_ROW = 32;

function setUp(wrap: (disk: Disk) => Disk = (disk) => disk, segmentBytes = SEGMENT_BYTES) {
  const disk = new SimDisk(new Random('direct', 'disk'));
  void openWalInline({ directory: DIRECTORY, metadata: METADATA, segmentBytes, disk }).wal.close();
  const tail = new LogTail(new SharedArrayBuffer(1024));
  const memory = new SharedArrayBuffer(PEN_BYTES);
  const pen = new Pen(memory);
  const clock = { nowMs: 0, syncMs: 0 };
  const directory = DIRECTORY;
  const thread = new SegmentWriter(
    {
      disk,
      directory,
      segmentBytes,
      spareSegments: 1,
      noSync: false,
      failpoint: NO_FAILPOINTS,
      tail,
    },
    readLog(disk, directory)!.writer,
  );
  const nowMs = (): number => {
    clock.nowMs += clock.syncMs;
    return clock.nowMs;
  };
  const direct = new DirectWriter({ disk: wrap(disk), directory, noSync: false, tail, pen, nowMs });
  let last = 0;
  const batch = (dataBytes: number): { content: BatchContent; bytes: number } => {
    last++;
    const content = {
      entries: [entry(last, 1, new Uint8Array(dataBytes).fill(last))],
      hardState: hardState(1, last - 1),
      marker: null,
      restart: false,
      lastIndex: last,
      lastTerm: 1,
    };
    return { content, bytes: batchBytes(content) };
  };
  const byThread = ({ content, bytes }: ReturnType<typeof batch>): void => {
    const encoded = Buffer.alloc(bytes);
    encodeBatch(encoded, content);
    thread.write([encoded], () => {});
  };
  const quick = (): void => {
    for (let i = 0; i < IN_ROW; i++) direct.observe(0.2);
  };
  return { disk, pen, direct, thread, clock, batch, byThread, quick };
}

describe('direct writes', () => {
  it('mixed with those of the thread leave one log with everything in it, across segments', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat({ max: 900 })), { maxLength: 60 }), (steps) => {
        const { disk, direct, thread, batch, byThread, quick } = setUp();
        quick();
        let directly = 0;
        for (const [wantsDirect, dataBytes] of steps) {
          const next = batch(dataBytes);
          if (wantsDirect && direct.write(next.content, next.bytes) !== null) directly++;
          else byThread(next);
        }
        thread.close();
        direct.close();
        const { wal, recovered } = openWalInline({
          directory: DIRECTORY,
          metadata: METADATA,
          segmentBytes: SEGMENT_BYTES,
          disk: diskWith(takeFiles(disk)),
        });
        expect(recovered.repaired).toBeNull();
        expect(wal.lastIndex()).toBe(steps.length);
        expect(recovered.hardState?.commit ?? 0).toBe(Math.max(0, steps.length - 1));
        const read = wal.entries(1, steps.length + 1, 1e6);
        expect(read.map(({ data }) => data.length)).toEqual(steps.map(([, dataBytes]) => dataBytes));
        // Only a full segment sends a batch to the thread.
        const wanted = steps.filter(([wantsDirect]) => wantsDirect).length;
        expect(directly).toBeGreaterThanOrEqual(wanted - steps.length / 4);
        void wal.close();
      }),
      { numRuns: 60 },
    );
  });

  it('wait until syncs have been quick for a while, and again after a slow one', () => {
    const { direct, batch, quick, clock } = setUp();
    const next = batch(10);
    expect(direct.write(next.content, next.bytes)).toBeNull();
    for (let i = 1; i < IN_ROW; i++) direct.observe(1);
    expect(direct.write(next.content, next.bytes)).toBeNull();
    direct.observe(1);
    clock.syncMs = 50;
    expect(direct.write(next.content, next.bytes)).not.toBeNull();
    const after = batch(10);
    expect(direct.write(after.content, after.bytes)).toBeNull();
    quick();
    expect(direct.write(after.content, after.bytes)).not.toBeNull();
  });

  it('leave batches of more than 128 KiB to the thread', () => {
    const { direct, batch, quick } = setUp(undefined, 1 << 20);
    quick();
    const large = batch(128 * 1024);
    expect(direct.write(large.content, large.bytes)).toBeNull();
    const next = batch(127 * 1024);
    expect(direct.write(next.content, next.bytes)).not.toBeNull();
  });

  it('leave markers and full segments to the thread, and do nothing while it has the pen', () => {
    const { direct, batch, quick, pen } = setUp();
    quick();
    const next = batch(10);
    expect(direct.write({ ...next.content, marker: Buffer.alloc(20) }, next.bytes + 20)).toBeNull();
    const full = batch(SEGMENT_BYTES);
    expect(direct.write(full.content, full.bytes)).toBeNull();
    pen.take();
    expect(direct.write(next.content, next.bytes)).toBeNull();
    pen.give();
    expect(direct.write(next.content, next.bytes)).not.toBeNull();
    expect(pen.tryTake()).toBe(true);
  });

  it('case-69 leave to the thread what they have no descriptor for, and come back when there is one', () => {
    let full = true;
    const { direct, batch, quick, pen } = setUp((disk) => ({
      ...bound(disk),
      open: (path, mode) => {
        if (full) throw new DiskError({ code: 'EMFILE', operation: 'open', path });
        return disk.open(path, mode);
      },
    }));
    quick();
    const next = batch(10);
    expect(direct.write(next.content, next.bytes)).toBeNull();
    expect(pen.tryTake()).toBe(true);
    pen.give();
    full = false;
    expect(direct.write(next.content, next.bytes)).not.toBeNull();
  });

  it('hold no file of a released segment open', () => {
    const open = new Set<string>();
    const { direct, batch, quick, byThread, thread } = setUp((disk) => ({
      ...bound(disk),
      open: (path, mode) => {
        open.add(path);
        return { ...boundFile(disk.open(path, mode)), close: () => void open.delete(path) };
      },
    }));
    quick();
    const first = batch(10);
    expect(direct.write(first.content, first.bytes)?.segment).toBe(1);
    expect(open.size).toBe(1);
    while (thread.state.segments.length < 2) byThread(batch(900));
    direct.dropBelow(1);
    expect(open.size).toBe(1);
    direct.dropBelow(2);
    expect(open.size).toBe(0);
    const next = batch(10);
    expect(direct.write(next.content, next.bytes)?.segment).toBe(2);
  });

  it('case-16 keep the pen after a failed sync, so that nothing is written behind it', () => {
    const failing = (disk: Disk): Disk => ({
      ...bound(disk),
      open: (path, mode) => ({
        ...boundFile(disk.open(path, mode)),
        sync: () => {
          throw new DiskError({ code: 'EIO', operation: 'sync', path });
        },
      }),
    });
    const { direct, batch, quick, pen } = setUp(failing);
    quick();
    const next = batch(10);
    expect(() => direct.write(next.content, next.bytes)).toThrow('EIO');
    expect(pen.tryTake()).toBe(false);
    expect(direct.write(next.content, next.bytes)).toBeNull();
  });
});

function bound(disk: Disk): Disk {
  return {
    open: (path, mode) => disk.open(path, mode),
    makeDirectory: (path) => disk.makeDirectory(path),
    list: (path) => disk.list(path),
    exists: (path) => disk.exists(path),
    rename: (from, to) => disk.rename(from, to),
    remove: (path) => disk.remove(path),
    syncDirectory: (path) => disk.syncDirectory(path),
    lock: (path) => disk.lock(path),
  };
}

function boundFile(file: DiskFile): DiskFile {
  return {
    path: file.path,
    write: (data, offset) => file.write(data, offset),
    read: (offset, length) => file.read(offset, length),
    size: () => file.size(),
    truncate: (length) => file.truncate(length),
    preallocate: (length) => file.preallocate(length),
    sync: () => file.sync(),
    close: () => file.close(),
  };
}

/** What a host sees of an open log, the same with the writer on its own thread and on the caller's. */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Random, SimDisk } from '@quorate/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { entry, hardState } from '../test/images.ts';
import { snapshotAt } from '../test/log-model.ts';
import {
  nodeDisk,
  openWal,
  openWalInline,
  type Wal,
  type WalBatch,
  WalFailedError,
  type WalOptions,
} from './index.ts';

let folder: string;
let directory: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'quorate-wal-'));
  directory = join(folder, 'wal');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const metadata = Buffer.from('test');

function append(wal: Wal, batch: Partial<WalBatch>): Promise<void> {
  return new Promise((resolve, reject) => {
    wal.append({ entries: [], hardState: null, mustSync: true, ...batch }, (error) =>
      error === null ? resolve() : reject(error),
    );
  });
}

for (const [mode, extra] of [
  ['the writer thread', {}],
  ["the caller's thread", { disk: nodeDisk }],
] as const) {
  describe(`a log with its writer on ${mode}`, () => {
    const open = (options: Partial<WalOptions> = {}): ReturnType<typeof openWal> =>
      openWal({ directory, metadata, segmentBytes: 65536, ...extra, ...options });

    it('starts empty, and gives back what was appended after it was closed', async () => {
      const { wal, recovered } = await open();
      expect(recovered).toMatchObject({ created: true, hardState: null, snapshot: null, repaired: null });
      expect([wal.firstIndex(), wal.lastIndex(), wal.term(0)]).toEqual([1, 0, 0]);
      await append(wal, { entries: [entry(1, 1), entry(2, 1)], hardState: hardState(1, 0) });
      await append(wal, {
        entries: [entry(3, 2)],
        hardState: hardState(2, 2),
        snapshotMarker: snapshotAt(2, 1),
      });
      await wal.close();
      const again = await open();
      expect(again.recovered).toMatchObject({ created: false, hardState: hardState(2, 2), repaired: null });
      expect(again.recovered.snapshot).toEqual(snapshotAt(2, 1));
      const read = again.wal.entries(1, 4, 1e6);
      expect(read.map((one) => [one.index, one.term, Buffer.from(one.data).toString()])).toEqual([
        [1, 1, 'entry 1'],
        [2, 1, 'entry 2'],
        [3, 2, 'entry 3'],
      ]);
      await again.wal.close();
    });

    it('calls back in order, never inside append, and with everything durable that came before', async () => {
      const { wal } = await open();
      const order: number[] = [];
      await new Promise<void>((resolve) => {
        for (let i = 1; i <= 500; i++) {
          wal.append({ entries: [entry(i, 1)], hardState: null, mustSync: true }, (error) => {
            expect(error).toBeNull();
            expect(wal.lastIndex()).toBeGreaterThanOrEqual(i);
            order.push(i);
            if (i === 500) resolve();
          });
          expect(order).toEqual([]);
        }
        expect(wal.pendingBytes).toBeGreaterThan(0);
        expect(wal.writtenBytes).toBe(0);
      });
      expect(order).toEqual(Array.from({ length: 500 }, (_, i) => i + 1));
      expect(wal.pendingBytes).toBe(0);
      expect(wal.writtenBytes).toBeGreaterThan(0);
      await wal.close();
    });

    it('holds a hard state that needs no sync back, and writes it at close', async () => {
      const { wal } = await open();
      await append(wal, { entries: [entry(1, 1)], hardState: hardState(1, 0) });
      await append(wal, { hardState: hardState(1, 1), mustSync: false });
      expect(() =>
        wal.append({ entries: [], hardState: hardState(2, 1), mustSync: false }, () => {}),
      ).toThrow(RangeError);
      expect(() =>
        wal.append({ entries: [entry(2, 1)], hardState: null, mustSync: false }, () => {}),
      ).toThrow(RangeError);
      await wal.close();
      const again = await open();
      expect(again.recovered.hardState).toEqual(hardState(1, 1));
      await again.wal.close();
    });

    it('replaces a tail, and starts anew after a snapshot that is ahead', async () => {
      const { wal } = await open();
      await append(wal, { entries: [entry(1, 1), entry(2, 1), entry(3, 1)] });
      await append(wal, { entries: [entry(2, 2, Buffer.from('new'))] });
      expect([wal.lastIndex(), wal.term(2), wal.term(3)]).toEqual([2, 2, undefined]);
      expect(Buffer.from(wal.entries(2, 3, 10)[0]!.data).toString()).toBe('new');
      expect(wal.entries(1, 3, 1e6).map((one) => one.term)).toEqual([1, 2]);
      await append(wal, { snapshotMarker: snapshotAt(10, 3), entries: [entry(11, 3)] });
      expect([wal.firstIndex(), wal.lastIndex(), wal.term(10)]).toEqual([11, 11, 3]);
      expect(() => wal.entries(10, 12, 1e6)).toThrow(RangeError);
      await wal.close();
    });

    it('refuses what would break the log, and goes on', async () => {
      const { wal } = await open();
      await append(wal, { entries: [entry(1, 2)] });
      for (const entries of [[entry(3, 2)], [entry(2, 1)], [entry(2, 2), entry(4, 2)], [entry(0, 2)]]) {
        expect(() => wal.append({ entries, hardState: null, mustSync: true }, () => {})).toThrow(RangeError);
      }
      await append(wal, { entries: [entry(2, 2)] });
      expect(wal.lastIndex()).toBe(2);
      await wal.close();
    });

    it('refuses numbers that its format cannot hold, before anything is changed', async () => {
      const { wal } = await open();
      const marker = snapshotAt(5, 1);
      const refused: Partial<WalBatch>[] = [
        { entries: [entry(1, 0.5)] },
        { entries: [entry(1, -1)] },
        { entries: [entry(1, 2 ** 53)] },
        { entries: [{ ...entry(1, 1), type: 2 as 1 }] },
        { hardState: hardState(1, 2 ** 53) },
        { hardState: hardState(Number.NaN, 0) },
        { hardState: { ...hardState(1, 0), vote: -1n } },
        { hardState: { ...hardState(1, 0), vote: 2n ** 64n } },
        { snapshotMarker: { ...marker, index: -1 } },
        { snapshotMarker: { ...marker, term: 0.5 } },
        { snapshotMarker: { ...marker, conf: { ...marker.conf, voters: [2n ** 64n] } } },
      ];
      for (const batch of refused) {
        const whole: WalBatch = { entries: [], hardState: null, mustSync: true, ...batch };
        expect(() => wal.append(whole, () => {})).toThrow(RangeError);
        expect(wal.pendingBytes).toBe(0);
      }
      await append(wal, { entries: [entry(1, 1)], hardState: hardState(1, 0) });
      await wal.close();
      const again = await open();
      expect([again.wal.lastIndex(), again.recovered.snapshot]).toEqual([1, null]);
      await again.wal.close();
    });

    it('reads by bytes: at least one entry, else no more than asked for', async () => {
      const { wal } = await open();
      await append(wal, { entries: [1, 2, 3, 4].map((i) => entry(i, 1, Buffer.alloc(100, i))) });
      await append(wal, { entries: [5, 6].map((i) => entry(i, 1, Buffer.alloc(100, i))) });
      const count = (low: number, high: number, maxBytes: number): number =>
        wal.entries(low, high, maxBytes).length;
      expect([
        count(1, 7, 0),
        count(1, 7, 250),
        count(1, 7, 1e6),
        count(4, 6, 1e6),
        count(7, 7, 1e6),
      ]).toEqual([1, 2, 6, 2, 0]);
      await wal.close();
    });

    it('takes batches larger than a segment and than the memory shared with the thread', {
      timeout: 30_000,
    }, async () => {
      const { wal } = await open();
      const large = new Random('large', 'data').bytes(300_000);
      const writes: Promise<void>[] = [];
      for (let i = 1; i <= 30; i++) {
        const data = i % 10 === 0 ? Buffer.alloc(5 * 1024 * 1024, i) : large;
        writes.push(append(wal, { entries: [entry(i, 1, data)] }));
      }
      await Promise.all(writes);
      await wal.close();
      const again = await open();
      for (let i = 1; i <= 30; i++) {
        const expected = i % 10 === 0 ? Buffer.alloc(5 * 1024 * 1024, i) : Buffer.from(large);
        expect(expected.equals(again.wal.entries(i, i + 1, 1)[0]!.data), `entry ${i}`).toBe(true);
      }
      await again.wal.close();
    });

    it('releases whole segments, keeps the newest, and reuses their files', async () => {
      const { wal } = await open({ spareSegments: 1 });
      for (let i = 1; i <= 400; i++) await append(wal, { entries: [entry(i, 1, Buffer.alloc(600))] });
      const before = wal.segments();
      expect(before.length).toBeGreaterThan(3);
      const inOldest = before[1]!.maxIndex;
      wal.release(inOldest - 1);
      expect(wal.firstIndex()).toBe(before[0]!.maxIndex + 1);
      wal.release(inOldest);
      expect([wal.firstIndex(), wal.term(inOldest)]).toEqual([inOldest + 1, 1]);
      expect(() => wal.entries(inOldest, inOldest + 1, 1)).toThrow(RangeError);
      wal.release(400);
      expect(wal.segments().length).toBe(1);
      for (let i = 401; i <= 600; i++) await append(wal, { entries: [entry(i, 1, Buffer.alloc(600))] });
      const first = wal.firstIndex();
      await wal.close();
      const again = await open();
      expect(again.wal.firstIndex()).toBe(first);
      expect(again.wal.entries(first, 601, 1e9).length).toBe(601 - first);
      await again.wal.close();
    });

    it('close writes what waits, may be called twice, and refuses what comes after', async () => {
      const { wal } = await open();
      const late: unknown[] = [];
      wal.append({ entries: [entry(1, 1)], hardState: null, mustSync: true }, (error) => late.push(error));
      await Promise.all([wal.close(), wal.close()]);
      expect(late).toEqual([null]);
      await expect(append(wal, { entries: [entry(2, 1)] })).rejects.toThrow(WalFailedError);
    });

    it('case-26 is locked while it is open', async () => {
      const { wal } = await open();
      await expect(open()).rejects.toMatchObject({ name: 'DiskError', code: 'LOCKED' });
      await wal.close();
      await (await open()).wal.close();
    });

    it("case-15 is the owner's alone", async () => {
      const { wal } = await open();
      await append(wal, { entries: [entry(1, 1)] });
      expect(statSync(directory).mode & 0o777).toBe(0o700);
      expect(statSync(join(directory, '0000000000000001.wal')).mode & 0o777).toBe(0o600);
      await wal.close();
    });
  });
}

describe('group commit', () => {
  it('what was appended while the writer was busy goes out in one write and one sync', () => {
    const disk = new SimDisk(new Random(1, 'disk'));
    const calls = { write: 0, sync: 0 };
    const failpoint = (name: string): void => {
      if (name === 'walBeforeWrite') calls.write++;
      if (name === 'walAfterSync') calls.sync++;
    };
    const { wal } = openWalInline({
      directory: '/d/wal',
      metadata,
      disk,
      failpoint,
      segmentBytes: 65536,
      schedule: () => {},
    });
    const acks: number[] = [];
    for (let i = 1; i <= 50; i++) {
      wal.append({ entries: [entry(i, 1)], hardState: hardState(1, i - 1), mustSync: true }, () =>
        acks.push(i),
      );
    }
    wal.pump();
    expect(calls).toEqual({ write: 1, sync: 1 });
    expect(acks.length).toBe(50);
  });
});

describe('a failed write or sync is final', () => {
  for (const operation of ['write', 'sync'] as const) {
    it(`case-${operation === 'sync' ? 16 : 17} after one failed ${operation} every callback gets the error and nothing is tried again`, () => {
      const disk = new SimDisk(new Random(1, 'disk'));
      const fatal: WalFailedError[] = [];
      const options = {
        directory: '/d/wal',
        metadata,
        disk,
        schedule: () => {},
        onFatal: (error: WalFailedError) => fatal.push(error),
      };
      const { wal } = openWalInline({ ...options, segmentBytes: 65536 });
      const outcomes: (string | null)[] = [];
      const send = (i: number): void =>
        wal.append({ entries: [entry(i, 1)], hardState: null, mustSync: true }, (error) =>
          outcomes.push(error?.code ?? null),
        );
      send(1);
      wal.pump();
      disk.inject({ operation, pathEnd: '.wal' });
      send(2);
      send(3);
      wal.pump();
      send(4);
      wal.pump();
      expect(outcomes).toEqual([null, 'WAL_FAILED', 'WAL_FAILED']);
      expect(fatal).toHaveLength(1);
      expect(wal.failure).toBe(fatal[0]);
      expect(fatal[0]!.cause).toMatchObject({ name: 'DiskError', code: 'EIO' });
      expect(wal.lastIndex()).toBe(1);
    });
  }

  it('case-18 without room for the next segment the log fails, and opens again once there is room', () => {
    const random = new Random(1, 'disk');
    const small = new SimDisk(random, { capacityBytes: 20_000 });
    const { wal } = openWalInline({
      directory: '/d/wal',
      metadata,
      disk: small,
      segmentBytes: 8192,
      schedule: () => {},
    });
    let acknowledged = 0;
    for (let i = 1; wal.failure === null; i++) {
      wal.append({ entries: [entry(i, 1, Buffer.alloc(1000))], hardState: null, mustSync: true }, (error) => {
        if (error === null) acknowledged = i;
      });
      wal.pump();
    }
    expect(wal.failure.cause).toMatchObject({ code: 'ENOSPC' });
    expect(acknowledged).toBeGreaterThan(4);
    small.crash();
    const again = openWalInline({ directory: '/d/wal', metadata, disk: small, segmentBytes: 8192 });
    expect(again.wal.lastIndex()).toBeGreaterThanOrEqual(acknowledged);
  });
});

/** Logs as plain bytes: build one, take it apart, damage it, put it on a fresh disk. */
import type { Entry, HardState } from '@quorate/raft';
import { Random, SimDisk } from '@quorate/testing';
import { type OpenedWal, openWalInline, type Wal, type WalBatch } from '../src/index.ts';
import { snapshotAt, visibleState } from './log-model.ts';

export const DIRECTORY = '/d/wal';
export const METADATA = Buffer.from('cluster 1 member 2');
export const SEGMENT_BYTES = 8192;

export type Files = ReadonlyMap<string, Buffer>;

export function openOn(disk: SimDisk, metadata: Uint8Array = METADATA): OpenedWal {
  return openWalInline({ directory: DIRECTORY, metadata, segmentBytes: SEGMENT_BYTES, disk });
}

/** Appends and waits for durability. */
export function appendNow(wal: Wal, batch: Partial<WalBatch>): void {
  let outcome: unknown = 'not called';
  wal.append({ entries: [], hardState: null, mustSync: true, ...batch }, (error) => {
    outcome = error;
  });
  wal.pump();
  if (outcome !== null) throw outcome;
}

export function entry(index: number, term: number, data: Uint8Array = Buffer.from(`entry ${index}`)): Entry {
  return { index, term, type: 0, data };
}

export function hardState(term: number, commit: number): HardState {
  return { term, vote: 2n, commit };
}

/** The files of a log written by `build`, and what a reader saw at its end. */
export function buildLog(build: (wal: Wal) => void): { files: Files; state: object } {
  const disk = new SimDisk(new Random('build', 'disk'));
  const { wal } = openOn(disk);
  build(wal);
  void wal.close();
  const files = takeFiles(disk);
  const again = openOn(diskWith(files));
  return { files, state: visibleState(again.wal, again.recovered) };
}

/** A log of a few segments with every kind of frame, small and large, and blocks of zeros. */
export function sampleLog(wal: Wal): void {
  const random = new Random('sample', 'data');
  appendNow(wal, { hardState: hardState(1, 0) });
  for (let i = 1; i <= 12; i++) {
    appendNow(wal, {
      entries: [entry(i, 1, random.bytes(700)), entry(i + 1, 1)],
      hardState: hardState(1, i - 1),
    });
  }
  appendNow(wal, {
    entries: [entry(12, 2), entry(13, 2, new Uint8Array(1500))],
    hardState: hardState(2, 11),
  });
  appendNow(wal, { snapshotMarker: snapshotAt(10, 1) });
  appendNow(wal, { entries: [entry(14, 2, random.bytes(100)), entry(15, 2, random.bytes(2000))] });
  appendNow(wal, { hardState: hardState(3, 14) });
  appendNow(wal, { entries: [entry(16, 3, random.bytes(1800))], hardState: hardState(3, 15) });
}

export function takeFiles(disk: SimDisk): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  for (const name of disk.list(DIRECTORY)) {
    const file = disk.open(`${DIRECTORY}/${name}`, 'read');
    files.set(name, Buffer.from(file.read(0, file.size())));
  }
  return files;
}

export function diskWith(files: Files): SimDisk {
  const disk = new SimDisk(new Random('image', 'disk'));
  disk.makeDirectory(DIRECTORY);
  for (const [name, bytes] of files) {
    const file = disk.open(`${DIRECTORY}/${name}`, 'create');
    file.write(bytes, 0);
    file.sync();
    file.close();
  }
  disk.syncDirectory(DIRECTORY);
  return disk;
}

export function segmentFiles(files: Files): string[] {
  return [...files.keys()].filter((name) => name.endsWith('.wal')).sort();
}

/** `files` with one of them cut short. */
export function cut(files: Files, name: string, length: number): Map<string, Buffer> {
  return new Map(files).set(name, files.get(name)!.subarray(0, length));
}

/** `files` with a copy of one of them edited in place. */
export function edited(files: Files, name: string, edit: (bytes: Buffer) => void): Map<string, Buffer> {
  const bytes = Buffer.from(files.get(name)!);
  edit(bytes);
  return new Map(files).set(name, bytes);
}

export function flipped(files: Files, name: string, offset: number, bit: number): Map<string, Buffer> {
  return edited(files, name, (bytes) => {
    bytes[offset] = bytes[offset]! ^ (1 << bit);
  });
}

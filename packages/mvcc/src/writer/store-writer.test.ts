/** The writer after a defragmentation that failed: it goes on with the old file as if nothing had been tried. */
import { expect, test } from 'vitest';
import type { Backend } from '../backend/backend.ts';
import { memoryBackend } from '../backend/memory.ts';
import { BlockIndex } from '../blocks.ts';
import { MAX_HEAD_ENTRY_BYTES, writeHeadEntry } from '../head-entry.ts';
import { FrameWriter, type WriterJob } from './jobs.ts';
import { StoreWriter } from './store-writer.ts';

test('the count index is that of the old file after a copy that could not be brought up to date', () => {
  const inner = memoryBackend();
  let endCopy = (): void => {};
  const backend: Backend = {
    openReader: () => inner.openReader(),
    openWriter: () => inner.openWriter(),
    createFresh: (name) => inner.createFresh(name),
    adoptFresh: (name, visit) => inner.adoptFresh(name, visit),
    copyCompact: (done) =>
      inner.copyCompact((error, copy) => {
        endCopy = () => done(error, copy);
      }),
  };
  let commitsLeft = Number.POSITIVE_INFINITY;
  const writer = new StoreWriter({
    backend,
    blockKeys: 4,
    failpoint: (name) => {
      if (name === 'mvccBeforeHeadCommit' && --commitsLeft < 0) throw new Error('the disk is full');
    },
  });
  let keys = 0;
  const errors: string[] = [];
  const run = (job: WriterJob): void =>
    writer.run(job, (error, result) => {
      if (error !== null) errors.push(error.message);
      if (result?.kind === 'heads') keys = BlockIndex.unpack(result.blocks).totalKeys;
    });

  run(headOf('a', 2));
  run({ kind: 'defragment' });
  for (const [at, key] of ['b', 'c', 'd'].entries()) run(headOf(key, 3 + at));
  expect(keys).toBe(4);

  // Of the three flushes that the copy misses, one gets in.
  commitsLeft = 1;
  endCopy();
  expect(errors).toEqual(['the disk is full']);

  commitsLeft = Number.POSITIVE_INFINITY;
  run(headOf('e', 6));
  expect(keys).toBe(5);
  expect(BlockIndex.load(inner.openReader()).totalKeys).toBe(5);
});

/** A whole flush of heads: one new key. */
const headOf = (key: string, main: number): WriterJob => headsOf([key], main);

/** The same with several, in order. */
function headsOf(keys: readonly string[], main = 2): WriterJob {
  const entries = new FrameWriter(128);
  const encoded = new Uint8Array(MAX_HEAD_ENTRY_BYTES);
  const end = writeHeadEntry(encoded, 0, {
    main,
    sub: 0,
    createRevision: main,
    version: 1,
    lease: 0n,
    tombstone: false,
    past: false,
    depth: 0,
    jumpMain: 0,
    jumpSub: 0,
  });
  for (const key of keys) {
    const bytes = Buffer.from(key);
    entries.byte(0);
    entries.frame(bytes, 0, bytes.length);
    entries.frame(encoded, 0, end);
  }
  const progress = Buffer.from(`${keys.at(-1)}\0`);
  return { kind: 'heads', entries: entries.finish(), flushId: '1', progress, watermark: main, last: true };
}

test('the heads of one bucket of long keys are one write of it, however many they are', () => {
  const inner = memoryBackend();
  let writes = 0;
  const backend: Backend = {
    openReader: () => inner.openReader(),
    copyCompact: (done) => inner.copyCompact(done),
    createFresh: (name) => inner.createFresh(name),
    adoptFresh: (name, visit) => inner.adoptFresh(name, visit),
    openWriter: () => {
      const writer = inner.openWriter();
      return {
        close: () => writer.close(),
        write: (work) =>
          writer.write((tx) =>
            work({
              get: (table, key) => tx.get(table, key),
              scan: (table, range, visit) => tx.scan(table, range, visit),
              append: (table, key, value) => tx.append(table, key, value),
              remove: (table, key) => tx.remove(table, key),
              put: (table, key, value) => {
                if (table === 'head') writes++;
                tx.put(table, key, value);
              },
            }),
          ),
      };
    },
  };
  const writer = new StoreWriter({ backend, blockKeys: 4, failpoint: () => {} });
  const job = headsOf(Array.from({ length: 300 }, (_, i) => `${'k'.repeat(1_900)}${1_000 + i}`));
  let keys = 0;
  writer.run(job, (error, result) => {
    expect(error).toBeNull();
    if (result?.kind === 'heads') keys = BlockIndex.unpack(result.blocks).totalKeys;
  });
  expect([keys, writes]).toEqual([300, 1]);
});

test('case-18 a defragmentation that cannot even begin fails alone: the next one, and what waits for one, go on', () => {
  const inner = memoryBackend();
  let full = true;
  const backend: Backend = {
    openReader: () => inner.openReader(),
    openWriter: () => inner.openWriter(),
    createFresh: (name) => inner.createFresh(name),
    adoptFresh: (name, visit) => inner.adoptFresh(name, visit),
    copyCompact: (done) => {
      if (full) throw new Error('the disk is full');
      return inner.copyCompact(done);
    },
  };
  const writer = new StoreWriter({ backend, blockKeys: 4, failpoint: () => {} });
  const outcomes: string[] = [];
  const run = (job: WriterJob): void =>
    writer.run(job, (error, result) => outcomes.push(`${job.kind}: ${error?.message ?? result?.kind}`));

  run({ kind: 'defragment' });
  run(headOf('a', 2));
  full = false;
  run({ kind: 'defragment' });
  run({ kind: 'resume' });
  run({ kind: 'close' });
  expect(outcomes).toEqual([
    'defragment: the disk is full',
    'heads: heads',
    'defragment: moved',
    'resume: done',
    'close: done',
  ]);
});

/**
 * Another member's state takes the place of a store's own while everything else goes on: what reads, watches, compactions, defragmentations and pending flushes see.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { memoryBackend } from '../../src/backend/memory.ts';
import type { StoreOptions } from '../../src/options.ts';
import type { MvccStore } from '../../src/store.ts';
import type { ImageSource, StoreImage } from '../../src/transfer/types.ts';
import { type RangeResult, StoreBusyError } from '../../src/types.ts';
import {
  asked,
  carry,
  chunksOf,
  compact,
  dump,
  fill,
  open,
  put,
  remove,
  settled,
  TINY_LIMITS,
} from './stores.ts';

const directory = mkdtempSync(join(tmpdir(), 'mvcc-install-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
let stores = 0;

const KINDS: { kind: string; storage: () => StoreOptions['storage'] }[] = [
  { kind: 'memory', storage: () => ({ backend: memoryBackend() }) },
  { kind: 'LMDB with threads', storage: () => ({ directory: join(directory, `store${++stores}`) }) },
];

/** The same entries for both; `count` of them, as fast as the disk takes them. */
async function live(store: MvccStore, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const n = store.appliedIndex;
    try {
      if (n % 12 === 11) remove(store, `key ${String((n * 7) % 700).padStart(3, '0')}`);
      else put(store, { [`key ${String(n % 700).padStart(3, '0')}`]: `value ${n}` }, BigInt(n % 3));
    } catch (error) {
      if (!(error instanceof StoreBusyError)) throw error;
      i--;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

const ALL = { key: Buffer.from([0]), end: Buffer.from([0]), limit: 0, revision: 0 };

describe.each(KINDS)('$kind', ({ storage }) => {
  test('case-50 install with defragmentation, ranges, hashes, compaction and flushes under way', {
    timeout: 90_000,
  }, async () => {
    // Slices of nothing: every read takes many turns.
    const limits = { ...TINY_LIMITS, sliceMs: 0, removeSliceRecords: 5 };
    const from = open(storage());
    const to = open(storage(), { limits });
    await live(from, 500);
    await live(to, 350);
    await settled((done) => to.flushHeads(done));
    compact(from, from.revision - 30);
    compact(to, to.revision - 50);
    const sink = to.receiveImage();
    await fill(sink, await chunksOf(from));
    await live(to, 60);
    const before = { count: to.rangeSync(ALL).count, revision: to.revision };

    const ended: string[] = [];
    const outcome = (name: string) => (error: Error | null, result: unknown) => {
      if (error !== null) expect((error as { code?: string }).code).toBe('STORE_REPLACED');
      ended.push(`${name} ${error === null ? 'done' : 'replaced'}`);
      if (error === null && name === 'range') {
        const { records, count, revision } = result as RangeResult;
        expect([records.length, count, revision]).toEqual([before.count, before.count, before.revision]);
      }
    };
    const [hashBefore, hashAfter] = [
      await asked<{ hash: number } | null>((done) => to.hashKv(0, done)),
      await asked<{ hash: number } | null>((done) => from.hashKv(0, done)),
    ];
    const waits = Promise.all([
      settled((done) => to.defragment(done)),
      settled((done) => to.flush(done)),
      settled((done) => to.flushHeads(done)),
      settled((done) => to.whenCompacted(to.compactRevision, done)),
      settled((done) => to.defragment(done)),
    ]);
    to.range(ALL, outcome('range'));
    to.range({ ...ALL, revision: before.revision - 3, countOnly: true }, outcome('old range'));
    to.hashKv(0, (error, result) => {
      outcome('hash')(error, result);
      if (error === null) expect(result!.hash).toBe(hashBefore!.hash);
    });
    to.hash((error, result) => outcome('hash of tables')(error, result));
    to.openImage((error, image) => {
      outcome('image')(error, image);
      if (image !== null) expect(() => readAll(image)).not.toThrow();
    });
    const installed = settled((done) => to.install(sink, done));
    expect(() => to.begin(to.appliedIndex + 1, 1)).toThrow('about to take the place');
    await Promise.all([installed, waits]);
    while (ended.length < 5) await new Promise((resolve) => setImmediate(resolve));
    expect(ended.map((line) => line.replace(/ \w+$/, '')).sort()).toEqual([
      'hash',
      'hash of tables',
      'image',
      'old range',
      'range',
    ]);
    expect((await asked<{ hash: number } | null>((done) => to.hashKv(0, done)))!.hash).toBe(hashAfter!.hash);
    expect(await dump(to)).toEqual(await dump(from));
    // And on with the next entries, as if nothing had been.
    for (const store of [from, to]) {
      await live(store, 60);
      compact(store, store.revision - 5);
    }
    await settled((done) => to.whenCompacted(to.compactRevision, done));
    await settled((done) => to.defragment(done));
    expect(await dump(to)).toEqual(await dump(from));
    await Promise.all([from.close(), to.close()]);
  });

  test('case-49 two images in quick succession; one that is not newer, not whole, or given back twice is refused', async () => {
    const [from, to] = [open(storage()), open(storage())];
    await live(from, 50);
    const first = await chunksOf(from);
    await live(from, 50);
    const second = await chunksOf(from);
    for (const chunks of [first, second]) {
      const sink = to.receiveImage();
      await expect(settled((done) => to.install(sink, done))).rejects.toThrow('did not come whole');
      await fill(sink, chunks);
      await settled((done) => to.install(sink, done));
      await expect(settled((done) => to.install(sink, done))).rejects.toThrow('did not come whole');
    }
    const older = to.receiveImage();
    await fill(older, first);
    await expect(settled((done) => to.install(older, done))).rejects.toThrow('not newer');
    const given = to.receiveImage();
    await fill(given, first);
    to.receiveImage();
    await expect(settled((done) => to.install(given, done))).rejects.toThrow('another one was asked for');
    expect(await dump(to)).toEqual(await dump(from));
    await Promise.all([from.close(), to.close()]);
  });

  test('an open image keeps what it is the state of: entries and compactions go on, removal waits', async () => {
    const from = open(storage(), { limits: TINY_LIMITS });
    await live(from, 120);
    compact(from, from.revision - 40);
    await settled((done) => from.whenCompacted(from.compactRevision, done));
    const wanted = await dump(from);
    const opening = asked<ImageSource>((done) => from.openImageSource(done));
    const source = (await opening)!;
    expect(source.info.appliedIndex).toBe(from.appliedIndex);
    await live(from, 120);
    const transaction = from.begin(from.appliedIndex + 1, 3);
    transaction.putMeta('t', Buffer.from('late'), Buffer.from('x'));
    transaction.commit();
    compact(from, from.revision - 1);
    let removed = false;
    from.whenCompacted(from.compactRevision, () => {
      removed = true;
    });
    await settled((done) => from.flushHeads(done));
    await settled((done) => from.defragment(done));
    const chunks: Uint8Array[] = [];
    for (
      let chunk = await asked<Uint8Array>((done) => source.next(done));
      chunk !== null;
      chunk = await asked<Uint8Array>((done) => source.next(done))
    ) {
      chunks.push(chunk);
    }
    expect(removed).toBe(false);
    source.close();
    await settled((done) => from.whenCompacted(from.compactRevision, done));
    expect(removed).toBe(true);
    const to = open(storage());
    const sink = to.receiveImage();
    await fill(sink, chunks);
    await settled((done) => to.install(sink, done));
    expect(await dump(to)).toEqual(wanted);
    await Promise.all([from.close(), to.close()]);
  });

  test('an image of a store that is closed, or gets another state, ends with that word', async () => {
    const [from, to] = [open(storage()), open(storage())];
    await live(from, 60);
    await live(to, 20);
    const image = (await asked<StoreImage>((done) => to.openImage(done)))!;
    await carry(from, to);
    expect(() => image.readRecords(1)).toThrow('replaced');
    image.close();
    const source = (await asked<ImageSource>((done) => to.openImageSource(done)))!;
    await to.close();
    await expect(asked<Uint8Array>((done) => source.next(done))).rejects.toThrow('the store is closed');
    await expect(asked<StoreImage>((done) => to.openImage(done))).rejects.toThrow();
    await from.close();
  });
});

function readAll(image: { readRecords(maxBytes: number): readonly unknown[]; close(): void }): void {
  try {
    while (image.readRecords(1 << 20).length > 0);
  } catch (error) {
    expect((error as { code?: string }).code).toBe('STORE_REPLACED');
  }
  image.close();
}

test('case-49 what an unfinished or uninstalled image left is gone after a restart', async () => {
  const folder = join(directory, 'left');
  const from = open({ backend: memoryBackend() });
  await live(from, 50);
  const store = open({ directory: folder });
  const sink = store.receiveImage();
  await fill(sink, await chunksOf(from));
  expect(readdirSync(folder).filter((name) => name.startsWith('fresh'))).toEqual(['fresh-receive1.tmp']);
  // As after a crash: the files stay.
  const again = open({ directory: folder }, { inThread: true });
  expect(readdirSync(folder).filter((name) => name.startsWith('fresh'))).toEqual([]);
  await again.close();
  await store.close();
  await from.close();
});

test('case-04 a graceful close does not wait for a defragmentation: it is given up, and the old file stays', async () => {
  const folder = join(directory, 'given-up');
  const store = open({ directory: folder });
  await live(store, 500);
  await settled((done) => store.flush(done));
  let outcome = '';
  store.defragment((error) => {
    outcome = (error as { code?: string } | null)?.code ?? 'done';
  });
  await store.close();
  expect(outcome).toBe('STORE_CLOSED');
  expect(readdirSync(folder).filter((name) => !name.endsWith('lock'))).toEqual(['store-000001.mdb']);
  const again = open({ directory: folder });
  expect(again.appliedIndex).toBe(500);
  await settled((done) => again.defragment(done));
  expect(readdirSync(folder).filter((name) => !name.endsWith('lock'))).toEqual(['store-000002.mdb']);
  await again.close();
});

test('case-49 a close during an install leaves the files to it: it comes to its end, and the next start has it', async () => {
  const from = open({ backend: memoryBackend() });
  await live(from, 50);
  const folder = join(directory, 'closed-during');
  const store = open({ directory: folder }, { inThread: true });
  const sink = store.receiveImage();
  await fill(sink, await chunksOf(from));
  const installed = settled((done) => store.install(sink, done));
  const closed = store.close();
  await installed;
  await closed;
  const again = open({ directory: folder }, { inThread: true });
  expect(await dump(again)).toEqual(await dump(from));
  await Promise.all([from.close(), again.close()]);
});

test('case-49 an install that fails does not keep a close waiting', async () => {
  const from = open({ backend: memoryBackend() });
  await live(from, 50);
  const store = open(
    { directory: join(directory, 'failed') },
    {
      inThread: true,
      failpoint: (name) => {
        if (name === 'mvccBeforeInstallRename') throw new Error('the disk is gone');
      },
    },
  );
  const sink = store.receiveImage();
  await fill(sink, await chunksOf(from));
  const installed = settled((done) => store.install(sink, done)).then(
    () => 'installed',
    (error: Error) => error.message,
  );
  let ended = '';
  store.close().then(
    () => {
      ended = 'closed';
    },
    (error: Error) => {
      ended = error.message;
    },
  );
  expect(await installed).toContain('the disk is gone');
  for (let turns = 0; ended === '' && turns < 1_000; turns++) await new Promise((go) => setImmediate(go));
  expect(ended).toContain('the disk is gone');
  await from.close();
});

test('a chunk is lent: small Buffers share the memory of others, which another thread must not take away', async () => {
  const from = open({ backend: memoryBackend() });
  await live(from, 20);
  const store = open({ directory: join(directory, 'lent') });
  const chunks = (await chunksOf(from)).map((chunk) => {
    // From Node's pool, as small parts of what came over a socket are.
    const lent = Buffer.allocUnsafe(chunk.length);
    lent.set(chunk);
    return lent;
  });
  expect(chunks.some(({ buffer, length }) => buffer.byteLength > length)).toBe(true);
  const before = chunks.map((chunk) => Buffer.from(chunk).toString('hex'));
  const sink = store.receiveImage();
  await fill(sink, chunks);
  expect(chunks.map((chunk) => chunk.toString('hex'))).toEqual(before);
  await settled((done) => store.install(sink, done));
  expect(await dump(store)).toEqual(await dump(from));
  await Promise.all([from.close(), store.close()]);
});

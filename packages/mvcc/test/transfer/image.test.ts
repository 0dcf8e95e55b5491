/** A store's state carried to another store, over LMDB with its threads and over memory. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { memoryBackend } from '../../src/backend/memory.ts';
import type { StoreOptions } from '../../src/options.ts';
import { carry, compact, dump, open, put, remove, settled, TINY_LIMITS } from './stores.ts';

const directory = mkdtempSync(join(tmpdir(), 'mvcc-image-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
let stores = 0;
const folder = (): string => join(directory, `store${++stores}`);

const KINDS: { kind: string; storage: () => StoreOptions['storage']; inThread: boolean }[] = [
  { kind: 'memory', storage: () => ({ backend: memoryBackend() }), inThread: true },
  { kind: 'LMDB in this thread', storage: () => ({ directory: folder() }), inThread: true },
  { kind: 'LMDB with threads', storage: () => ({ directory: folder() }), inThread: false },
];

describe.each(KINDS)('$kind', ({ storage, inThread }) => {
  test('case-40 what was carried is what was there, and both go on alike', async () => {
    const from = open(storage(), { inThread, limits: TINY_LIMITS });
    const where = storage();
    const to = open(where, { inThread, limits: TINY_LIMITS });
    const long = 'k'.repeat(1950);
    for (let i = 0; i < 60; i++) {
      put(from, { [`key ${i % 13}`]: String(i), [`${long}${i % 4}`]: `long ${i}` }, BigInt(i % 3));
      if (i % 7 === 0) remove(from, `key ${(i * 5) % 13}`);
      if (i % 20 === 10) compact(from, from.revision - 4);
    }
    const transaction = from.begin(from.appliedIndex + 1, 3);
    for (let i = 0; i < 300; i++) transaction.putMeta('t', Buffer.from(`row ${i}`), Buffer.alloc(100, i));
    transaction.putMeta('u', Buffer.from('row'), Buffer.from('u'));
    transaction.commit();
    put(to, { 'gone with the old state': 'x' }, 1n);
    await carry(from, to);
    const wanted = await dump(from);
    expect(await dump(to)).toEqual(wanted);
    for (const store of [from, to]) {
      put(store, { 'key 1': 'after', more: 'x' }, 2n);
      remove(store, 'key 2');
      compact(store, store.revision - 2);
      await settled((done) => store.whenCompacted(store.compactRevision, done));
    }
    const after = await dump(from);
    expect(await dump(to)).toEqual(after);
    await Promise.all([from.close(), to.close()]);
    if ('directory' in where)
      expect(readdirSync(where.directory).filter((name) => /tmp/.test(name))).toEqual([]);
    const again = open('directory' in where ? where : { backend: where.backend }, { inThread });
    expect(await dump(again)).toEqual(after);
    await again.close();
  });
});

/** A disk that fills up. Needs the right to mount a small tmpfs; without it the suite says so and is skipped. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { afterAll, describe, expect, test } from 'vitest';
import { type MvccStore, openStore } from '../../src/store.ts';

const directory = mkdtempSync(join(tmpdir(), 'mvcc-full-'));
const mount = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', directory]);
const mounted = mount.status === 0;

describe.skipIf(!mounted)(`full disk${mounted ? '' : ': may not mount here'}`, () => {
  afterAll(() => {
    spawnSync('umount', ['-l', directory]);
    rmSync(directory, { recursive: true, force: true });
  });

  const open = (): MvccStore =>
    openStore({
      storage: { directory: join(directory, 'store') },
      monotonicMs: () => performance.now(),
      afterPoll: (callback) => setImmediate(callback),
      limits: { flushBytes: 100_000 },
    });

  test('case-18 ENOSPC stops the store with its code, without SIGBUS; with room it opens again with all that was durable', async () => {
    const store = open();
    const failure = new Promise<Error>((resolve) => store.onFatal(resolve));
    let failed = false;
    void failure.then(() => {
      failed = true;
    });
    while (!failed) {
      for (let i = 0; i < 20 && !failed && store.appliedIndex - store.durableIndex < 200; i++) {
        try {
          const transaction = store.begin(store.appliedIndex + 1, 1);
          transaction.put(Buffer.from(`key ${store.appliedIndex}`), new Uint8Array(2_000), 0n);
          transaction.commit();
        } catch (error) {
          if ((error as { code?: string }).code !== 'STORE_BUSY') break;
        }
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(((await failure) as Error & { code?: string }).code).toBe('ENOSPC');
    expect(() => store.begin(store.appliedIndex + 1, 1)).toThrow();
    const durable = store.durableIndex;
    expect(durable).toBeGreaterThan(500);
    await store.close().catch(() => {});

    expect(spawnSync('mount', ['-o', 'remount,size=60m', directory]).status).toBe(0);
    const again = open();
    expect(again.appliedIndex).toBe(durable);
    expect(
      again.rangeSync({ key: Buffer.from('k'), end: Buffer.from('l'), revision: 0, limit: 1 }).count,
    ).toBe(durable);
    const transaction = again.begin(durable + 1, 1);
    transaction.put(Buffer.from('more'), new Uint8Array(2_000), 0n);
    transaction.commit();
    await new Promise<void>((resolve, reject) =>
      again.flush((error) => (error === null ? resolve() : reject(error))),
    );
    await again.close();
  });

  test('case-18 a defragmentation without room for its copy fails alone, and leaves no file open', async () => {
    const folder = join(directory, 'defragmented');
    const store = openStore({
      storage: { directory: folder },
      monotonicMs: () => performance.now(),
      afterPoll: (callback) => setImmediate(callback),
    });
    const ask = (work: (done: (error: Error | null) => void) => void): Promise<string> =>
      new Promise((resolve) => work((error) => resolve(error?.message ?? 'done')));
    const write = (): Promise<string> => {
      const transaction = store.begin(store.appliedIndex + 1, 1);
      transaction.put(Buffer.from('key'), new Uint8Array(2_000), 0n);
      transaction.commit();
      return ask((done) => store.flush(done));
    };
    const opened = (): number =>
      readdirSync('/proc/self/fd').filter((fd) => {
        try {
          return readlinkSync(`/proc/self/fd/${fd}`).startsWith(join(folder, 'store-000001.mdb'));
        } catch {
          return false;
        }
      }).length;
    expect(await write()).toBe('done');
    expect(opened()).toBeGreaterThan(0);
    const junk = join(directory, 'junk');
    fillWith(junk);
    for (let times = 0; times < 3; times++)
      expect(await ask((done) => store.defragment(done))).toContain('space');
    rmSync(junk);
    expect(await write()).toBe('done');
    expect(await ask((done) => store.defragment(done))).toBe('done');
    expect(await write()).toBe('done');
    // Its threads share what is open of one file: it is closed when all that opened it have closed it.
    for (let turns = 0; opened() > 0 && turns < 1_000; turns++) await new Promise((go) => setImmediate(go));
    expect(opened()).toBe(0);
    await store.close();
  });
});

/** Takes all the room there is. */
function fillWith(path: string): void {
  try {
    for (;;) writeFileSync(path, new Uint8Array(1 << 20), { flag: 'a' });
  } catch (error) {
    if ((error as { code?: string }).code !== 'ENOSPC') throw error;
  }
}

if (!mounted) rmSync(directory, { recursive: true, force: true });

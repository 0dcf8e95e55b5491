/**
 * SIGKILL of a process that writes, at every failpoint and at random moments: the store opens again, holds exactly the entries up to its applied index, and
 * that is at least what it had called durable.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { MVCC_FAILPOINTS } from '../../src/failpoints.ts';
import { type MvccStore, openStore } from '../../src/store.ts';
import { describeModel, describeRecord } from '../model/harness.ts';
import { ModelStore } from '../model/model-store.ts';

const child = fileURLToPath(new URL('./child.ts', import.meta.url));

/** What the store must hold after entry `index`: the child's entries, done to the model. */
function modelAt(index: number): ModelStore {
  const model = new ModelStore();
  for (let i = 1; i <= index; i++) {
    const main = model.revision + 1;
    model.put(main, 0, `key ${i % 50}`, String(i), BigInt(i % 3));
    model.put(main, 1, `other ${i % 7}`, String(i), 0n);
    const dead = i % 10 === 0 && model.at('other 3', main) !== null;
    if (dead) model.remove(main, 2, 'other 3');
    model.revision = main;
    if (i % 40 === 0 && main - 5 > model.compactRevision) model.compactRevision = main - 5;
  }
  return model;
}

function open(directory: string): MvccStore {
  return openStore({
    storage: { directory },
    inThread: true,
    monotonicMs: () => 0,
    afterPoll: (callback) => setImmediate(callback),
  });
}

async function expectWhole(directory: string, output: string): Promise<void> {
  const durable = Math.max(0, ...[...output.matchAll(/durable (\d+)/g)].map(([, n]) => Number(n)));
  const store = open(directory);
  expect(store.appliedIndex).toBeGreaterThanOrEqual(durable);
  const model = modelAt(store.appliedIndex);
  expect([store.revision, store.compactRevision]).toEqual([model.revision, model.compactRevision]);
  const all = { key: Buffer.from([0]), end: Buffer.from([0]), limit: 0 };
  for (const revision of [store.revision, Math.max(1, store.compactRevision)]) {
    const result = store.rangeSync({ ...all, revision });
    const wanted = model.range('\0', '\0', revision);
    expect(result.records.map(describeRecord)).toEqual(wanted.map(describeModel));
    expect(result.count).toBe(wanted.length);
  }
  for (const lease of [1n, 2n]) {
    expect(store.leaseKeys(lease).map((key) => Buffer.from(key).toString())).toEqual(model.leaseKeys(lease));
  }
  const last = store.getMeta('m', Buffer.from('last'));
  expect(last === null ? 0 : Number(Buffer.from(last).toString())).toBe(store.appliedIndex);
  const hash = await new Promise((resolve, reject) =>
    store.hashKv(0, (error, result) => (error === null ? resolve(result!.hash) : reject(error))),
  );
  expect(hash).toBe(model.hash(model.revision));
  await new Promise<void>((resolve) => store.whenCompacted(store.compactRevision, () => resolve()));
  await store.close();
  expect(readdirSync(directory).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  const again = open(directory);
  expect(again.rangeSync({ ...all, revision: 0 }).count).toBe(model.range('\0', '\0', model.revision).length);
  await again.close();
}

async function killAt(failpoint: string, nth: number): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'mvcc-kill-'));
  try {
    // Twice on the same data: the second start begins with what the first crash left.
    for (let round = 0; round < 2; round++) {
      const args = ['--conditions=@quorate/source', child, directory, failpoint, String(nth)];
      const result = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 30_000 });
      expect([result.signal, result.stderr]).toEqual(['SIGKILL', '']);
      await expectWhole(directory, result.stdout);
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

describe('case-02 case-03 case-04 SIGKILL at every failpoint', () => {
  for (const failpoint of MVCC_FAILPOINTS) {
    test(failpoint, { timeout: 60_000 }, () => killAt(failpoint, failpoint === 'mvccAfterCommit' ? 777 : 1));
  }
  for (const failpoint of [
    'mvccBeforeHeadCommit',
    'mvccAfterHeadCommit',
    'mvccAfterLogCommit',
    'mvccAfterRemoveCommit',
  ] as const) {
    test(`${failpoint}, the ninth time`, { timeout: 60_000 }, () => killAt(failpoint, 9));
  }
});

/** What must be true of a store after any crash of `child.ts`. */
import { readdirSync } from 'node:fs';
import { expect } from 'vitest';
import { type MvccStore, openStore } from '../../src/store.ts';
import { describeModel, describeRecord } from '../model/harness.ts';
import { ModelStore } from '../model/model-store.ts';

/** The last entry that the output of `child.ts` calls durable. */
export function durableOf(output: string): number {
  return Math.max(0, ...[...output.matchAll(/durable (\d+)/g)].map(([, n]) => Number(n)));
}

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

/**
 * Opens the store in `directory` and looks at everything.
 * @param durable entry that the process had called durable
 */
export async function expectWhole(directory: string, durable: number): Promise<void> {
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

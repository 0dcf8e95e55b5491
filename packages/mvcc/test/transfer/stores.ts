/** Stores for tests of images: opened, filled, dumped, and carried from one to another. */
import { performance } from 'node:perf_hooks';
import type { StoreLimits, StoreOptions } from '../../src/options.ts';
import { type MvccStore, openStore } from '../../src/store.ts';
import type { ImageInfo, ImageSink, ImageSource } from '../../src/transfer/types.ts';
import { describeRecord } from '../model/harness.ts';
import { textOf } from '../model/model-store.ts';

export function open(storage: StoreOptions['storage'], more: Partial<StoreOptions> = {}): MvccStore {
  return openStore({
    storage,
    monotonicMs: () => performance.now(),
    afterPoll: (callback) => setImmediate(callback),
    ...more,
  });
}

export const asked = <T>(
  ask: (done: (error: Error | null, result: T | null) => void) => void,
): Promise<T | null> =>
  new Promise((resolve, reject) =>
    ask((error, result) => (error === null ? resolve(result) : reject(error))),
  );

export const settled = (ask: (done: (error: Error | null) => void) => void): Promise<void> =>
  new Promise((resolve, reject) => ask((error) => (error === null ? resolve() : reject(error))));

export async function sourceOf(store: MvccStore): Promise<ImageSource> {
  return (await asked<ImageSource>((done) => store.openImageSource(done)))!;
}

export async function chunksOf(store: MvccStore): Promise<Uint8Array[]> {
  const source = await sourceOf(store);
  const chunks: Uint8Array[] = [];
  for (;;) {
    const chunk = await asked<Uint8Array | null>((done) => source.next(done));
    if (chunk === null) break;
    chunks.push(chunk);
  }
  source.close();
  return chunks;
}

export async function fill(sink: ImageSink, chunks: readonly Uint8Array[]): Promise<ImageInfo> {
  for (const chunk of chunks) await settled((done) => sink.write(chunk, done));
  return (await asked<ImageInfo>((done) => sink.finish(done)))!;
}

/** Puts `from`'s state into `to`. */
export async function carry(from: MvccStore, to: MvccStore): Promise<void> {
  const sink = to.receiveImage();
  await fill(sink, await chunksOf(from));
  await settled((done) => to.install(sink, done));
}

export function put(store: MvccStore, entries: Record<string, string>, lease = 0n): void {
  const transaction = store.begin(store.appliedIndex + 1, 3);
  for (const [key, value] of Object.entries(entries)) {
    transaction.put(Buffer.from(key, 'latin1'), Buffer.from(value, 'latin1'), lease);
  }
  transaction.commit();
}

export function remove(store: MvccStore, key: string): void {
  const transaction = store.begin(store.appliedIndex + 1, 3);
  transaction.deleteRange({ key: Buffer.from(key, 'latin1'), end: null });
  transaction.commit();
}

export function compact(store: MvccStore, revision: number): void {
  const transaction = store.begin(store.appliedIndex + 1, 3);
  transaction.compact(revision);
  transaction.commit();
}

/** Everything that a user of the store can see, as text. */
export async function dump(store: MvccStore, leases: readonly bigint[] = [1n, 2n, -3n]): Promise<unknown> {
  const { revision, compactRevision, appliedIndex, appliedTerm } = store;
  const from = Math.max(1, compactRevision);
  const all = { key: Buffer.from([0]), end: Buffer.from([0]), limit: 0 };
  const states: unknown[] = [];
  for (let at = from; at <= revision; at++) {
    const { records, count } = store.rangeSync({ ...all, revision: at });
    const hash = await asked((done) => store.hashKv(at, done));
    states.push({ at, count, hash, records: records.map(describeRecord) });
  }
  const events: string[] = [];
  for (let next = from; next <= revision; ) {
    const read = store.readEvents(next, 1 << 20);
    for (const batch of read.batches) {
      for (const { type, record } of batch.events)
        events.push(`${type} ${record.sub} ${describeRecord(record)}`);
    }
    next = read.next;
  }
  const meta: string[] = [];
  for (const table of ['t', 'u', 'm']) {
    store.scanMeta(table, (key, value) => meta.push(`${table} ${textOf(key)}=${textOf(value)}`) > 0);
  }
  return {
    numbers: { revision, compactRevision, appliedIndex, appliedTerm },
    states,
    events,
    meta,
    leases: leases.map((lease) => store.leaseKeys(lease).map(textOf)),
  };
}

export const TINY_LIMITS: Partial<StoreLimits> = {
  flushBytes: 400,
  headEntries: 20,
  headLagRecords: 40,
  headPartEntries: 7,
  ringBytes: 300,
};

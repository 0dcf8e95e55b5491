/**
 * Random histories with compactions, carried as images: what arrives equals the plain model at the image's entry, in every answer there is, and goes on alike.
 *
 * `MVCC_SEED` and `MVCC_RUNS` repeat or extend a run.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readMain, readSub, readUint32 } from '../../src/revision.ts';
import type { MvccStore } from '../../src/store.ts';
import { CHUNK_RECORDS, openChunk } from '../../src/transfer/chunks.ts';
import { RECORD_FRAME_BYTES } from '../../src/transfer/image-source.ts';
import type { ImageSource } from '../../src/transfer/types.ts';
import { arbitraryCommands } from '../model/commands.ts';
import { describeModel, describeRecord, Harness, TINY } from '../model/harness.ts';
import { bytesOf, type ModelStore, textOf } from '../model/model-store.ts';

const seed = Number(process.env.MVCC_SEED ?? 20261121);
const numRuns = Number(process.env.MVCC_RUNS ?? 40);

/** One answer of the harness's store, with turns until it comes. */
function answer<T>(harness: Harness, ask: (done: (error: Error | null, result: T) => void) => void): T {
  let result: { value: T } | null = null;
  ask((error, value) => {
    expect(error).toBeNull();
    result = { value };
  });
  harness.settle(() => result !== null);
  return result!.value;
}

/** The source's chunks; the harness goes through `others` meanwhile. */
function chunksOf(harness: Harness, source: ImageSource): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (;;) {
    const chunk = answer<Uint8Array | null>(harness, (done) => source.next(done));
    if (chunk === null) return chunks;
    chunks.push(chunk);
  }
}

/** Revisions of the records that are on their way. */
function sent(chunks: readonly Uint8Array[]): string[] {
  const revisions: string[] = [];
  chunks.forEach((chunk, sequence) => {
    const { kind, payload } = openChunk(chunk, sequence);
    if (kind !== CHUNK_RECORDS) return;
    for (let at = 0; at < payload.length; at += RECORD_FRAME_BYTES + readUint32(payload, at + 13)) {
      revisions.push(`${readMain(payload, at + 1)}.${readSub(payload, at + 1)}`);
    }
  });
  return revisions;
}

/** What a compaction leaves: all from C on, and below it the newest of each key unless it is a tombstone. */
function left(model: ModelStore): string[] {
  const C = model.compactRevision;
  const kept = model.events(0).filter((record) => {
    if (record.main >= C) return true;
    const newest = model.keys
      .get(record.key)!
      .filter(({ main }) => main <= C)
      .at(-1)!;
    return !record.tombstone && newest.main === record.main && newest.sub === record.sub;
  });
  return kept.map(({ main, sub }) => `${main}.${sub}`);
}

/** Every answer of a store against the model. */
function expectModel(harness: Harness, store: MvccStore, model: ModelStore): void {
  expect([store.revision, store.compactRevision, store.appliedIndex]).toEqual([
    model.revision,
    model.compactRevision,
    model.index,
  ]);
  const first = Math.max(1, model.compactRevision);
  for (let revision = first; revision <= model.revision; revision++) {
    const wanted = model.range('\0', '\0', revision);
    const all = { key: bytesOf('\0'), end: bytesOf('\0'), limit: 0, revision };
    const result = store.rangeSync(all);
    expect(result.records.map(describeRecord)).toEqual(wanted.map(describeModel));
    expect(store.rangeSync({ ...all, key: bytesOf('b'), countOnly: true }).count).toBe(
      model.range('b', '\0', revision).length,
    );
    const hash = answer<{ hash: number } | null>(harness, (done) => store.hashKv(revision, done));
    expect(hash!.hash).toBe(model.hash(revision));
  }
  const events: string[] = [];
  for (let next = first; next <= model.revision; ) {
    const read = store.readEvents(next, 500);
    for (const batch of read.batches) {
      for (const { type, record } of batch.events)
        events.push(`${type} ${record.modRevision}.${record.sub} ${textOf(record.key)}`);
    }
    next = read.next;
  }
  expect(events).toEqual(
    model.events(first).map((e) => `${e.tombstone ? 'delete' : 'put'} ${e.main}.${e.sub} ${e.key}`),
  );
  for (const lease of [1n, 2n, -3n]) {
    expect(store.leaseKeys(lease).map(textOf)).toEqual(model.leaseKeys(lease));
  }
  const meta = new Map<string, string>();
  for (const table of ['t', 'u']) {
    store.scanMeta(table, (key, value) => meta.set(`${table} ${textOf(key)}`, textOf(value)) !== null);
  }
  expect(meta).toEqual(new Map([...model.meta].sort(([a], [b]) => (a < b ? -1 : 1))));
}

for (const longKeys of [false, true]) {
  const name = longKeys ? 'some keys over 1,900 bytes' : 'short keys';
  test(`an image of a random history is the model's state (${name}, seed ${seed}, ${numRuns} runs)`, {
    timeout: 120_000,
  }, () => {
    const commands = (crashes: boolean) =>
      fc.commands(arbitraryCommands(longKeys, crashes), { maxCommands: 60, size: '+1' });
    fc.assert(
      fc.property(
        commands(true),
        commands(false),
        commands(false),
        fc.boolean(),
        fc.boolean(),
        (before, then, during, openBetween, another) => {
          const harness = new Harness();
          fc.modelRun(() => ({ model: {}, real: harness }), before);
          // Another image that is open all the time holds up removal: then this one has something to leave out.
          if (another) harness.store.openImage(() => {});
          harness.imageOpen = another;
          fc.modelRun(() => ({ model: {}, real: harness }), then);
          let source: ImageSource | null = null;
          const store = harness.store;
          const model = harness.model;
          store.openImageSource((error, opened) => {
            expect(error).toBeNull();
            source = opened;
          });
          // With entries, flushes and compactions between asking for it and its opening it may be the state of a later entry.
          if (!openBetween) harness.settle(() => source !== null);
          const taken = openBetween ? null : model.clone();
          harness.imageOpen = true;
          fc.modelRun(() => ({ model: {}, real: harness }), during);
          // A crash among the commands ends the image with its store.
          if (harness.store !== store) return;
          harness.settle(() => source !== null);
          const chunks = chunksOf(harness, source!);
          source!.close();
          const { appliedIndex } = source!.info;
          expect(appliedIndex).toBeGreaterThanOrEqual(taken?.index ?? 0);
          const wanted = harness.past.get(appliedIndex)!;
          if (taken !== null) expect(wanted.index).toBe(taken.index);
          expect(sent(chunks)).toEqual(left(wanted));

          const receiver = new Harness({ ...TINY });
          // A state of its own that has to go; an image is only taken when it is newer.
          if (appliedIndex > 1) {
            const transaction = receiver.begin(1);
            if (wanted.revision > 1 && wanted.compactRevision < 2)
              transaction.put(bytesOf('old'), bytesOf('old'), 1n);
            transaction.commit();
          }
          const sink = receiver.store.receiveImage();
          for (const chunk of chunks)
            answer(receiver, (done) => sink.write(chunk, (error) => done(error, null)));
          expect(answer(receiver, (done) => sink.finish(done))).toEqual(source!.info);
          if (appliedIndex === 0) return;
          answer(receiver, (done) => receiver.store.install(sink, (error) => done(error, null)));
          receiver.model = wanted.clone();
          receiver.past = new Map([[wanted.index, wanted.clone()]]);
          expectModel(receiver, receiver.store, wanted);
          // And after a restart, with nothing left to walk.
          receiver.crash();
          expectModel(receiver, receiver.store, wanted);
          // It goes on like any store: the same commands once more, on top of it.
          fc.modelRun(() => ({ model: {}, real: receiver }), during);
          receiver.settle();
          expectModel(receiver, receiver.store, receiver.model);
        },
      ),
      { seed, numRuns, endOnFailure: false },
    );
  });
}

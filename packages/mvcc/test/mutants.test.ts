/**
 * Backends broken on purpose. If the comparison with the model does not notice one of these, it proves nothing.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Backend, BackendTransaction } from '../src/backend/backend.ts';
import { arbitraryCommands } from './model/commands.ts';
import { Harness, TINY } from './model/harness.ts';

/** The sealed memtable is dropped while the reader still stands on the snapshot from before the flush. */
function withoutRefresh(backend: Backend): Backend {
  return {
    openReader: () => {
      const reader = backend.openReader();
      return {
        get: (table, key) => reader.get(table, key),
        scan: (table, range, visit) => reader.scan(table, range, visit),
        scanLog: (range, visit) => reader.scanLog(range, visit),
        count: (table, range) => reader.count(table, range),
        stats: () => reader.stats(),
        close: () => reader.close(),
        refresh: () => {},
      };
    },
    openWriter: () => backend.openWriter(),
    copyCompact: (done) => backend.copyCompact(done),
    createFresh: (name) => backend.createFresh(name),
    adoptFresh: (name, visit) => backend.adoptFresh(name, visit),
  };
}

/** The applied index goes to disk in a transaction of its own, before the data it speaks of. */
function stateFirst(backend: Backend): Backend {
  return {
    openReader: () => backend.openReader(),
    openWriter: () => {
      const writer = backend.openWriter();
      return {
        write: (work) => {
          const state: [Uint8Array, Uint8Array][] = [];
          const dry = (real: BackendTransaction): BackendTransaction => ({
            get: (table, key) => real.get(table, key),
            scan: (table, range, visit) => real.scan(table, range, visit),
            append: () => {},
            remove: () => true,
            put: (table, key, value) => {
              if (table === 'state' && Buffer.from(key).toString() === 'applied') {
                state.push([key.slice(), value.slice()]);
              }
            },
          });
          writer.write((tx) => {
            work(dry(tx));
            for (const [key, value] of state) tx.put('state', key, value);
          });
          writer.write(work);
        },
        close: () => writer.close(),
      };
    },
    copyCompact: (done) => backend.copyCompact(done),
    createFresh: (name) => backend.createFresh(name),
    adoptFresh: (name, visit) => backend.adoptFresh(name, visit),
  };
}

const seed = Number(process.env.MVCC_SEED ?? 20261121);

function survives(mutate: (backend: Backend) => Backend): boolean {
  const result = fc.check(
    fc.property(fc.commands(arbitraryCommands(false), { maxCommands: 60, size: '+1' }), (commands) => {
      const harness = new Harness(TINY, mutate);
      fc.modelRun(() => ({ model: {}, real: harness }), commands);
    }),
    { seed, numRuns: 200, endOnFailure: true },
  );
  return !result.failed;
}

test(`the comparison notices a sealed memtable dropped before the read reset (seed ${seed})`, () => {
  expect(survives(withoutRefresh)).toBe(false);
});

test(`case-02 the comparison notices an applied index flushed without its data (seed ${seed})`, () => {
  expect(survives(stateFirst)).toBe(false);
});

test(`the same wrapping without a fault survives (seed ${seed})`, { timeout: 120_000 }, () => {
  expect(survives((backend) => backend)).toBe(true);
});

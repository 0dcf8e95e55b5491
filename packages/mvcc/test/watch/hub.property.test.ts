/**
 * Strategy: a few keys, so that ranges meet; random puts, deletes, transactions and compactions; watchers that start
 * anywhere, stall, drain a little, lose their connection and come back; now and then another member's newer state takes the store's place; the hub's turns run between at random, with
 * slices so small that everything is cut.
 *
 * Invariant: every watcher's recording keeps every promise in `@quorate/testing`'s watch checkers, and in the end, once
 * everyone reads, nothing is missing. A violation prints the script and its seed.
 */
import { WatchHub } from '@quorate/mvcc';
import { checkWatch, SimEnv, WatchHistory } from '@quorate/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Change, ModelStore, type WatchedStore } from './model-store.ts';
import { RealStore } from './real-store.ts';
import { observed, Watcher } from './watcher.ts';

/** `WATCH_EFFORT=10` runs ten times as many scripts. */
const EFFORT = Number(process.env.WATCH_EFFORT ?? 1);

const KEYS = ['a', 'b', 'ba', 'c', 'd'];
const key = fc.constantFrom(...KEYS);
const change: fc.Arbitrary<Change> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ put: key, value: fc.constantFrom('x', 'yy', 'zzz') }) },
  { weight: 1, arbitrary: fc.record({ delete: key }) },
);
const who = fc.nat(7);

const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('write' as const),
      changes: fc.array(change, { minLength: 1, maxLength: 3 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('burst' as const),
      count: fc.integer({ min: 5, max: 40 }),
      key,
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('compact' as const), back: fc.nat(12) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('leap' as const),
      revisions: fc.array(fc.array(change, { minLength: 1, maxLength: 3 }), { maxLength: 20 }),
      back: fc.integer({ min: -1, max: 25 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('turns' as const), count: fc.integer({ min: 1, max: 4 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('time' as const), ms: fc.integer({ min: 1, max: 400 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('watch' as const),
      key,
      end: fc.constantFrom<string | null>(null, '\0', 'e', 'z'),
      from: fc.oneof(fc.constant('now' as const), fc.integer({ min: -15, max: 6 })),
      filter: fc.constantFrom('none', 'none', 'puts', 'deletes'),
      withPrevious: fc.boolean(),
      progressNotify: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('stall' as const), who }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('drain' as const), who, count: fc.integer({ min: 1, max: 5 }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('progress' as const), who }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reconnect' as const), who }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cancel' as const), who }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const world = fc.record({
  seed: fc.integer(),
  sliceBytes: fc.constantFrom(1, 50, 400, 100_000),
  costPerLookMs: fc.constantFrom(0, 0.1, 1),
  steps: fc.array(step, { minLength: 10, maxLength: 120 }),
});

interface Script {
  readonly seed: number;
  readonly sliceBytes: number;
  readonly costPerLookMs: number;
  readonly steps: readonly Step[];
}

function play(script: Script, open: (env: SimEnv) => WatchedStore): Watcher[] {
  const env = new SimEnv(script.seed);
  env.costPerLookMs = script.costPerLookMs;
  const store = open(env);
  const hub = new WatchHub(store, env, {
    sliceBytes: script.sliceBytes,
    sliceMs: 2,
    progressIntervalMs: 300,
  });
  const watchers: Watcher[] = [];
  const write = (...changes: Change[]): void => {
    const batch = store.apply(...changes);
    if (batch !== null) hub.publish(batch);
  };
  for (const step of script.steps) {
    const watcher = 'who' in step ? watchers[step.who % Math.max(1, watchers.length)] : undefined;
    switch (step.kind) {
      case 'write':
        write(...step.changes);
        break;
      case 'burst':
        for (let i = 0; i < step.count; i++) write({ put: step.key, value: `burst ${i}` });
        break;
      case 'compact': {
        const revision = store.revision - step.back;
        if (revision > Math.max(1, store.compactRevision)) store.compact(revision);
        break;
      }
      case 'leap':
        store.leap(step.revisions, step.back);
        hub.storeAdvanced();
        break;
      case 'turns':
        for (let i = 0; i < step.count; i++) env.turn();
        break;
      case 'time':
        env.advance(step.ms);
        break;
      case 'watch': {
        if (watchers.length >= 8) break;
        const startRevision = step.from === 'now' ? 0 : Math.max(1, store.revision + step.from);
        const [withoutPuts, withoutDeletes] = [step.filter === 'puts', step.filter === 'deletes'];
        const { key, end, withPrevious, progressNotify } = step;
        watchers.push(
          new Watcher(
            hub,
            { key, end, startRevision, withoutPuts, withoutDeletes, withPrevious, progressNotify },
            store.revision,
          ),
        );
        break;
      }
      case 'stall':
        watcher?.stall();
        break;
      case 'drain':
        watcher?.drain(step.count);
        break;
      case 'progress':
        watcher?.requestProgress();
        break;
      case 'reconnect':
        watcher?.reconnect(store.revision);
        break;
      case 'cancel':
        watcher?.cancel();
        break;
    }
  }
  for (const watcher of watchers) watcher.drain(Number.POSITIVE_INFINITY);
  env.settle();
  for (const watcher of watchers) watcher.requestProgress();
  env.settle();

  const history = new WatchHistory(
    store.model.history.map(({ revision, events }) => ({
      revision,
      events: events.map((event) => ({ type: event.type, record: observed(event.record) })),
    })),
    store.compactRevision,
  );
  for (const watcher of watchers) expect(checkWatch(watcher.record(store.revision), history)).toEqual([]);
  expect(hub.stats().slowWatches).toBe(0);
  return watchers;
}

describe('any history, any watchers', () => {
  it('case-48 case-58 case-59 case-60 case-61 every watcher sees exactly its part of history', () => {
    fc.assert(
      fc.property(world, (script) => void play(script, () => new ModelStore())),
      { numRuns: 1_500 * EFFORT },
    );
  });

  it('case-48 case-58 case-59 case-60 case-61 the same on the real store, flushing, compacting and forgetting meanwhile', () => {
    fc.assert(
      fc.property(world, (script) => void play(script, (env) => new RealStore(env))),
      { numRuns: 400 * EFFORT },
    );
  });

  it('the scripts reach what they are for: ends by compaction, resumes, parking, progress', () => {
    const seen = { compacted: 0, resumed: 0, progress: 0, batches: 0 };
    const scripts = fc.sample(world, { numRuns: 300, seed: 20_26 });
    for (const script of scripts) {
      for (const { sessions } of play(script, () => new ModelStore())) {
        seen.resumed += sessions.length - 1;
        for (const { responses } of sessions) {
          for (const response of responses) {
            if (response.compactRevision > 0) seen.compacted += 1;
            if (new Set(response.events.map((event) => event.record.modRevision)).size > 1) seen.batches += 1;
            if (response.events.length === 0 && !response.created && !response.canceled) seen.progress += 1;
          }
        }
      }
    }
    for (const [name, count] of Object.entries(seen)) expect([name, count > 20]).toEqual([name, true]);
  });
});

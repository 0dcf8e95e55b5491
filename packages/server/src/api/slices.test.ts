import type { KeyRecord, RangeResult } from '@quorate/mvcc';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { shapeRange } from '../apply/range.ts';
import type { Env } from '../env.ts';
import type { RangeOperation } from '../operations.ts';
import { shapeRangeSliced } from './range-slices.ts';
import { runSliced, sortSliced } from './slices.ts';

/** Time that passes by itself, one millisecond for each look at the clock. */
function env(): { env: Env; turns: (() => void)[] } {
  let nowMs = 0;
  const turns: (() => void)[] = [];
  return {
    turns,
    env: {
      monotonicMs: () => nowMs++,
      wallMs: () => 0,
      setTimer: () => ({ cancel() {} }),
      afterPoll: (callback) => void turns.push(callback),
      randomInt: () => 0,
      randomBytes: (length) => new Uint8Array(length),
      log: { log() {} },
    },
  };
}

function* countTo(end: number): Generator<void, number> {
  let at = 0;
  while (at < end) {
    at++;
    yield;
  }
  return at;
}

const never = (): boolean => false;

describe('runSliced', () => {
  test('work that fits one slice ends in the same turn', () => {
    const world = env();
    let result: number | null = null;
    runSliced(world.env, countTo(1), never, (_error, value) => {
      result = value;
    });
    expect(result).toBe(1);
    expect(world.turns).toHaveLength(0);
  });

  test('longer work gives way between slices', () => {
    const world = env();
    let result: number | null = null;
    let turns = 0;
    runSliced(world.env, countTo(50), never, (_error, value) => {
      result = value;
    });
    for (let turn = world.turns.shift(); turn !== undefined; turn = world.turns.shift()) {
      turns++;
      turn();
    }
    expect(result).toBe(50);
    expect(turns).toBeGreaterThan(10);
  });

  test('is dropped when nobody waits any more', () => {
    const world = env();
    let called = false;
    runSliced(
      world.env,
      countTo(50),
      () => true,
      () => {
        called = true;
      },
    );
    expect(world.turns).toHaveLength(0);
    expect(called).toBe(false);
  });

  test('an error in a later slice reaches the caller', () => {
    const world = env();
    let caught: Error | null = null;
    function* failing(): Generator<void, never> {
      yield* countTo(20);
      throw new Error('broken');
    }
    runSliced(world.env, failing(), never, (error) => {
      caught = error;
    });
    for (let turn = world.turns.shift(); turn !== undefined; turn = world.turns.shift()) turn();
    expect(caught).toEqual(new Error('broken'));
  });
});

function all<T>(task: Generator<void, T>): T {
  let step = task.next();
  while (step.done !== true) step = task.next();
  return step.value;
}

describe('sortSliced', () => {
  test('sorts as the built-in one does, ties included', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 6_000, size: 'max' }), (numbers) => {
        const items = numbers.map((number, index) => ({ number, index }));
        const order = (a: { number: number }, b: { number: number }) => a.number - b.number;
        expect(all(sortSliced(items, order))).toEqual(items.toSorted(order));
      }),
      { numRuns: 30 },
    );
  });
});

describe('shapeRangeSliced equals shapeRange', () => {
  const small = fc.integer({ min: -1, max: 9 });
  const operation = fc.record({
    kind: fc.constant('range' as const),
    key: fc.constant(Uint8Array.of(1)),
    rangeEnd: fc.constant(Uint8Array.of(0)),
    limit: fc.integer({ min: -1, max: 30 }),
    revision: fc.constant(0),
    sortOrder: fc.integer({ min: 0, max: 2 }),
    sortTarget: fc.integer({ min: 0, max: 4 }),
    serializable: fc.boolean(),
    keysOnly: fc.boolean(),
    countOnly: fc.constant(false),
    minModRevision: small,
    maxModRevision: small,
    minCreateRevision: small,
    maxCreateRevision: small,
  });
  const record = fc
    .record({
      key: fc.uint8Array({ minLength: 1, maxLength: 3 }),
      createRevision: fc.integer({ min: 1, max: 8 }),
      modRevision: fc.integer({ min: 1, max: 8 }),
      version: fc.integer({ min: 1, max: 4 }),
      lease: fc.bigInt({ min: 0n, max: 2n }),
      value: fc.uint8Array({ maxLength: 2 }),
    })
    .map((fields): KeyRecord => ({ ...fields, sub: 0, tombstone: false, encoded: new Uint8Array(1) }));

  test('sem-024 sem-025 sem-027 sem-030 sem-031 for every sort, filter and limit', () => {
    fc.assert(
      fc.property(operation, fc.array(record, { maxLength: 40 }), (request, unsorted) => {
        const records = unsorted.toSorted((a, b) => Buffer.compare(a.key, b.key));
        const result: RangeResult = { records, count: records.length, revision: 9 };
        expect(all(shapeRangeSliced(request as RangeOperation, result))).toEqual(
          shapeRange(request as RangeOperation, result),
        );
      }),
    );
  });
});

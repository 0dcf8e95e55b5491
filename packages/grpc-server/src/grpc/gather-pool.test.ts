import { describe, expect, it } from 'vitest';
import { GatherPool } from './gather-pool.ts';

/** A pool whose turns end when the test says so. */
function setUp() {
  const waiting: (() => void)[] = [];
  const pool = new GatherPool((callback) => void waiting.push(callback));
  const endTurn = (): void => {
    for (const callback of waiting.splice(0)) callback();
  };
  return { pool, endTurn };
}

describe('memory for gathering', () => {
  it('is used again from the next turn on, and not in this one', () => {
    const { pool, endTurn } = setUp();
    const first = pool.take(66_000);
    expect(first.length).toBeGreaterThanOrEqual(66_000);
    pool.giveBack(first);
    const second = pool.take(66_000);
    expect(second.buffer).not.toBe(first.buffer);
    endTurn();
    expect(pool.take(70_000)).toBe(first);
    expect(pool.take(70_000)).not.toBe(first);
  });

  it('is exact where the pool has no size for it, and then not kept', () => {
    const { pool, endTurn } = setUp();
    for (const bytes of [0, 40, 5_000, 300_000]) {
      const buffer = pool.take(bytes);
      expect(buffer.length).toBe(bytes);
      pool.giveBack(buffer);
    }
    endTurn();
    expect(pool.keptBytes).toBe(0);
  });

  it('never wastes more than two thirds of what it gives', () => {
    const { pool } = setUp();
    for (let bytes = 16 * 1024; bytes < 1024 * 1024; bytes += 997) {
      const { length } = pool.take(bytes);
      expect(length).toBeGreaterThanOrEqual(bytes);
      expect(length).toBeLessThan(3 * bytes);
    }
  });

  it('is bounded, and goes when nobody has needed it from one trim to the next', () => {
    const { pool, endTurn } = setUp();
    for (let i = 0; i < 1_000; i++) pool.giveBack(Buffer.allocUnsafeSlow(264 * 1024));
    endTurn();
    expect(pool.keptBytes).toBeGreaterThan(15 * 1024 * 1024);
    expect(pool.keptBytes).toBeLessThanOrEqual(16 * 1024 * 1024);
    pool.trim();
    const used = [pool.take(200_000), pool.take(200_000)];
    for (const buffer of used) pool.giveBack(buffer);
    endTurn();
    pool.trim();
    expect(pool.keptBytes).toBe(2 * 264 * 1024);
    pool.trim();
    expect(pool.keptBytes).toBe(0);
  });
});

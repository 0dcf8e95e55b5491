/** What every `Env` must do; run against each of them. */
import { expect, test } from 'vitest';
import type { Env } from '../src/env.ts';

export interface EnvUnderTest {
  readonly env: Env;
  /** Lets `ms` pass: for real, or not. */
  readonly pass: (ms: number) => Promise<void>;
}

export function envContract(make: () => EnvUnderTest): void {
  test('the monotonic clock never goes back, and moves at least as far as time passed', async () => {
    const { env, pass } = make();
    const before = env.monotonicMs();
    await pass(20);
    expect(env.monotonicMs() - before).toBeGreaterThanOrEqual(19);
  });

  test('a timer fires once, never early, and not at all when cancelled', async () => {
    const { env, pass } = make();
    const due = env.monotonicMs() + 15;
    const fired: number[] = [];
    env.setTimer(15, () => fired.push(env.monotonicMs()));
    env.setTimer(5, () => fired.push(-1)).cancel();
    await pass(60);
    expect(fired).toHaveLength(1);
    // Node rounds to whole milliseconds.
    expect(fired[0]).toBeGreaterThanOrEqual(due - 1);
  });

  test('afterPoll runs later, in order, before a timer set at the same time for later', async () => {
    const { env, pass } = make();
    const seen: string[] = [];
    env.setTimer(10, () => seen.push('timer'));
    env.afterPoll(() => seen.push('first'));
    env.afterPoll(() => seen.push('second'));
    seen.push('now');
    await pass(40);
    expect(seen).toEqual(['now', 'first', 'second', 'timer']);
  });

  test('random numbers stay below their bound and differ', () => {
    const { env } = make();
    const drawn = Array.from({ length: 200 }, () => env.randomInt(10));
    expect(drawn.every((value) => Number.isInteger(value) && value >= 0 && value < 10)).toBe(true);
    expect(new Set(drawn).size).toBeGreaterThan(5);
    expect(env.randomInt(1)).toBe(0);
    expect(env.randomInt(2 ** 32)).toBeLessThan(2 ** 32);
    expect(env.randomBytes(16)).toHaveLength(16);
    expect(Buffer.from(env.randomBytes(16))).not.toEqual(Buffer.from(env.randomBytes(16)));
  });
}

import { describe, expect, it } from 'vitest';
import { SimEnv } from './env.ts';

describe('the simulated world', () => {
  it('fires timers in order of time, then of setting, and never early', () => {
    const env = new SimEnv(1, 0);
    const fired: string[] = [];
    env.setTimer(20, () => fired.push(`late@${env.monotonicMs()}`));
    env.setTimer(10, () => fired.push(`first@${env.monotonicMs()}`));
    env.setTimer(10, () => fired.push(`second@${env.monotonicMs()}`));
    env.setTimer(5, () => fired.push('never')).cancel();
    env.advance(9.5);
    expect(fired).toEqual([]);
    env.advance(30);
    expect(fired).toEqual(['first@10', 'second@10', 'late@20']);
    expect(env.monotonicMs()).toBe(39.5);
  });

  it('runs the end of the turn before time passes, and what that adds in the next turn', () => {
    const env = new SimEnv(1, 0);
    const order: string[] = [];
    env.setTimer(0, () => order.push('timer'));
    env.afterPoll(() => {
      order.push('one');
      env.afterPoll(() => order.push('two'));
    });
    expect(env.turn()).toBe(true);
    expect(order).toEqual(['one']);
    env.advance(0);
    expect(order).toEqual(['one', 'two', 'timer']);
  });

  it('draws the same from the same seed', () => {
    const draws = (seed: number): number[] => {
      const env = new SimEnv(seed);
      return [env.randomInt(1000), env.randomInt(1000), ...env.randomBytes(4)];
    };
    expect(draws(7)).toEqual(draws(7));
    expect(draws(7)).not.toEqual(draws(8));
  });

  it('refuses timers that Node would fire at once', () => {
    const env = new SimEnv();
    expect(() => env.setTimer(2 ** 31, () => {})).toThrow(RangeError);
    expect(() => env.setTimer(Number.NaN, () => {})).toThrow(RangeError);
  });

  it('keeps a thousand timers in order', () => {
    const env = new SimEnv(3, 0);
    const fired: number[] = [];
    for (let i = 0; i < 1000; i++) env.setTimer(env.randomInt(500), () => fired.push(env.monotonicMs()));
    env.advance(500);
    expect(fired).toHaveLength(1000);
    expect(fired).toEqual([...fired].sort((a, b) => a - b));
  });
});

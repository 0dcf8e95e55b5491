import { SimEnv } from '@quorate/testing';
import { describe, expect, test } from 'vitest';
import type { CompactionPolicy } from '../config/compaction.ts';
import { parseCompaction } from '../config/compaction.ts';
import { DomainError } from '../errors.ts';
import { type CompactionMember, startAutoCompaction } from './auto-compaction.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** A member that only compacts; its revision is one more than the minutes that have passed. */
function world(policy: CompactionPolicy | null) {
  const env = new SimEnv(1);
  const startMs = env.monotonicMs();
  const minute = () => Math.round((env.monotonicMs() - startMs) / MINUTE_MS);
  const compactions: string[] = [];
  const state = { leader: 1n, error: null as Error | null, revision: () => minute() + 1 };
  const member = {
    env,
    memberId: 1n,
    ended: false,
    get leader() {
      return state.leader;
    },
    store: {
      get revision() {
        return state.revision();
      },
    },
    propose(...[operation, , , done]: Parameters<CompactionMember['propose']>) {
      if (operation.kind !== 'compact') throw new Error('only compactions are expected');
      compactions.push(`${minute()}: ${operation.revision}`);
      done(state.error, state.error === null ? { kind: 'compact', revision: operation.revision } : null);
    },
  } as unknown as CompactionMember;
  const running = startAutoCompaction(member, policy);
  return { env, state, compactions, running, take: () => compactions.splice(0) };
}

const periodic = (periodMs: number) => world({ mode: 'periodic', periodMs });

describe('periodic', () => {
  test('sem-078 an hour: the first after an hour, then every hour, to the revision of an hour ago', () => {
    const { env, take } = periodic(HOUR_MS);
    env.advance(59 * MINUTE_MS);
    expect(take()).toEqual([]);
    env.advance(4 * HOUR_MS);
    expect(take()).toEqual(['60: 1', '120: 55', '180: 115', '240: 175']);
  });

  test('sem-078 less than an hour: as often as the period is long', () => {
    const { env, take } = periodic(10 * MINUTE_MS);
    env.advance(45 * MINUTE_MS);
    expect(take()).toEqual(['10: 1', '20: 10', '30: 20', '40: 30']);
  });

  test('sem-078 five hours: every hour, once five have passed', () => {
    const { env, take } = periodic(5 * HOUR_MS);
    env.advance(8 * HOUR_MS);
    expect(take()).toEqual(['300: 1', '360: 55', '420: 115', '480: 175']);
  });

  test('sem-080 only the leader compacts; a new one goes on with what it has noted', () => {
    const { env, state, take } = periodic(HOUR_MS);
    state.leader = 2n;
    env.advance(150 * MINUTE_MS);
    expect(take()).toEqual([]);
    state.leader = 1n;
    env.advance(10 * MINUTE_MS);
    expect(take()).toEqual(['156: 91']);
  });

  test('sem-080 what failed is tried again at the next note', () => {
    const { env, state, take } = periodic(HOUR_MS);
    state.error = new DomainError('REQUEST_TIMED_OUT');
    env.advance(132 * MINUTE_MS);
    expect(take().slice(-3)).toEqual(['120: 55', '126: 61', '132: 67']);
    state.error = null;
    env.advance(70 * MINUTE_MS);
    expect(take()).toEqual(['138: 73', '198: 133']);
  });

  test('compacted by somebody else is as good; nothing new is nothing to do', () => {
    const { env, state, take } = periodic(HOUR_MS);
    state.error = Object.assign(new Error('compacted'), { code: 'COMPACTED' });
    env.advance(2 * HOUR_MS);
    expect(take()).toEqual(['60: 1', '120: 55']);
    state.error = null;
    state.revision = () => 500;
    env.advance(5 * HOUR_MS);
    expect(take()).toEqual(['180: 115', '240: 500']);
  });

  test('the wall clock does not matter', () => {
    const { env, take } = periodic(HOUR_MS);
    env.wallOffsetMs += 1000 * HOUR_MS;
    env.advance(30 * MINUTE_MS);
    env.wallOffsetMs -= 5000 * HOUR_MS;
    env.advance(95 * MINUTE_MS);
    expect(take()).toEqual(['60: 1', '120: 55']);
  });

  test('stopped, it does nothing more', () => {
    const { env, running, take } = periodic(HOUR_MS);
    running.stop();
    env.advance(5 * HOUR_MS);
    expect(take()).toEqual([]);
  });
});

describe('revision', () => {
  test('sem-079 every five minutes, all but the newest; not twice the same, not on a follower', () => {
    const { env, state, take } = world({ mode: 'revision', retainedRevisions: 7 });
    env.advance(16 * MINUTE_MS);
    expect(take()).toEqual(['10: 4', '15: 9']);
    state.leader = 2n;
    env.advance(10 * MINUTE_MS);
    expect(take()).toEqual([]);
    state.leader = 1n;
    state.revision = () => 100;
    env.advance(10 * MINUTE_MS);
    expect(take()).toEqual(['30: 93']);
    state.revision = () => 101;
    state.error = new DomainError('REQUEST_TIMED_OUT');
    env.advance(10 * MINUTE_MS);
    expect(take()).toEqual(['40: 94', '45: 94']);
  });
});

test('off: nothing at all', () => {
  const { env, take } = world(null);
  env.advance(100 * HOUR_MS);
  expect(take()).toEqual([]);
});

describe('what the flags say', () => {
  test.each([
    ['periodic', '0', null],
    ['periodic', '', null],
    ['periodic', '0s', null],
    ['periodic', '1', { mode: 'periodic', periodMs: HOUR_MS }],
    ['periodic', '+2', { mode: 'periodic', periodMs: 2 * HOUR_MS }],
    ['periodic', '10m', { mode: 'periodic', periodMs: 10 * MINUTE_MS }],
    ['periodic', '5h', { mode: 'periodic', periodMs: 5 * HOUR_MS }],
    ['periodic', '1h30m', { mode: 'periodic', periodMs: 90 * MINUTE_MS }],
    ['revision', '0', null],
    ['revision', '1000', { mode: 'revision', retainedRevisions: 1000 }],
  ])('%s %j', (mode, retention, policy) => {
    expect(parseCompaction(mode, retention)).toEqual(policy);
  });

  test.each([
    ['periodic', '-1'],
    ['periodic', '-10m'],
    ['periodic', 'NaN'],
    ['periodic', 'Infinity'],
    ['periodic', '1e3'],
    ['periodic', '1.5'],
    ['periodic', '1ns'],
    ['periodic', '99999999999999999999'],
    ['revision', '-1'],
    ['revision', '10m'],
    ['revision', 'NaN'],
    ['revision', '9007199254740993'],
    ['', '1'],
    ['daily', '1'],
  ])('%j %j is refused', (mode, retention) => {
    expect(() => parseCompaction(mode, retention)).toThrow(/CompactionRetention|auto-compaction-mode/);
  });
});

import { describe, expect, test } from 'vitest';
import {
  FailpointError,
  failpointsFrom,
  listFailpoints,
  NO_FAILPOINTS,
  parseFailpoints,
} from './failpoints.ts';

function actions() {
  const done: string[] = [];
  return { done, kill: () => done.push('kill'), sleep: (ms: number) => done.push(`sleep ${ms}`) };
}

describe('failpoints', () => {
  test('without FP every place is the same empty function', () => {
    expect(failpointsFrom({ NODE_ENV: 'test' }, actions())).toBe(NO_FAILPOINTS);
    expect(failpointsFrom({ FP: '', NODE_ENV: 'production' }, actions())).toBe(NO_FAILPOINTS);
  });

  test('outside tests FP is refused, also when it is well formed', () => {
    for (const NODE_ENV of [undefined, '', 'production', 'Test']) {
      expect(() => failpointsFrom({ FP: 'raftBeforeSave:kill', NODE_ENV }, actions())).toThrow(
        FailpointError,
      );
    }
  });

  test('an action comes at its visit, once, and only at its place', () => {
    const world = actions();
    const visit = failpointsFrom(
      { FP: 'raftBeforeSave:kill:3,raftAfterSave:sleep=20,raftBeforeSave:throw:4', NODE_ENV: 'test' },
      world,
    );
    visit('raftBeforeSave');
    visit('raftBeforeSave');
    expect(world.done).toEqual([]);
    visit('raftBeforeSave');
    visit('raftAfterSave');
    visit('raftAfterSave');
    expect(world.done).toEqual(['kill', 'sleep 20']);
    expect(() => visit('raftBeforeSave')).toThrow('failpoint raftBeforeSave');
    visit('raftBeforeSave');
    expect(world.done).toEqual(['kill', 'sleep 20']);
  });

  test('what cannot be understood is refused by name', () => {
    for (const text of [
      'nowhere:kill',
      'raftBeforeSave',
      'raftBeforeSave:explode',
      'raftBeforeSave:kill:0',
      'raftBeforeSave:kill:1:2',
      'raftBeforeSave:sleep=',
    ]) {
      expect(() => parseFailpoints(text), text).toThrow(FailpointError);
    }
  });

  test('the list has every place once, at least 40 of them', () => {
    const names = listFailpoints();
    expect(new Set(names).size).toBe(names.length);
    expect(names.length).toBeGreaterThanOrEqual(40);
    expect(names).toContain('walAfterSync');
    expect(names).toContain('mvccBeforeLogCommit');
  });
});

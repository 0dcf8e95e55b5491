import { SimEnv } from '@quorate/testing';
import { expect, test } from 'vitest';
import { Gate } from './gate.ts';

test('a crowd of ranges that end at once: each has its turn, whatever their number', () => {
  const gate = new Gate(new SimEnv(1));
  // These wait for a quorum, say.
  for (let index = 0; index < 8; index++) gate.enter(() => {});
  let started = 0;
  const crowd = 20_000;
  for (let index = 0; index < crowd; index++) {
    gate.enter(() => {
      started++;
      gate.leave();
    });
  }
  expect(started).toBe(0);
  gate.leave();
  expect(started).toBe(crowd);
});

test('no more than eight run, those that wait in order', () => {
  const gate = new Gate(new SimEnv(1));
  const started: number[] = [];
  for (let index = 0; index < 12; index++) gate.enter(() => started.push(index));
  expect(started).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  gate.leave();
  gate.leave();
  expect(started).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

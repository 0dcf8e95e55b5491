import { SimEnv } from '@quorate/testing';
import { expect, test } from 'vitest';
import { TurnEnd } from './turn-end.ts';

function world() {
  const env = new SimEnv(1);
  const order: string[] = [];
  return { env, turnEnd: new TurnEnd(env), order, note: (text: string) => () => void order.push(text) };
}

test('what is put off comes after the poll', () => {
  const { env, turnEnd, order, note } = world();
  turnEnd.afterPoll(note('put off'));
  expect(order).toEqual([]);
  env.settle();
  expect(order).toEqual(['put off']);
});

test('a turn that closes runs what it put off, in order, and only once', () => {
  const { env, turnEnd, order, note } = world();
  turnEnd.closeWith(() => {
    turnEnd.afterPoll(note('first'));
    turnEnd.afterPoll(note('second'));
    order.push('turn');
  });
  expect(order).toEqual(['turn', 'first', 'second']);
  env.settle();
  expect(order).toHaveLength(3);
});

test('what the end of a turn puts off waits for the poll: nobody stays in a turn for ever', () => {
  const { env, turnEnd, order, note } = world();
  turnEnd.closeWith(() => turnEnd.afterPoll(() => turnEnd.afterPoll(note('again'))));
  expect(order).toEqual([]);
  env.settle();
  expect(order).toEqual(['again']);
});

test('a turn that fails loses nothing that it put off', () => {
  const { env, turnEnd, order, note } = world();
  const failing = (): void => {
    turnEnd.afterPoll(note('put off'));
    throw new Error('broken');
  };
  expect(() => turnEnd.closeWith(failing)).toThrow('broken');
  expect(order).toEqual([]);
  env.settle();
  expect(order).toEqual(['put off']);
  turnEnd.afterPoll(note('later'));
  expect(order).toHaveLength(1);
});

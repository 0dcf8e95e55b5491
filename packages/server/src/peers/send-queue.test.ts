import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { MessageKind } from '../network.ts';
import { FRAME_HEADER_BYTES } from './frames.ts';
import { SendQueue } from './send-queue.ts';

const message = (label: number, length = 5) => Buffer.alloc(length, label);
const labels = (queue: SendQueue) => queue.take(Number.POSITIVE_INFINITY).map(({ bytes }) => bytes[0]);
/** Room for that many messages of five bytes. */
const roomFor = (count: number) => count * (5 + FRAME_HEADER_BYTES);

test('messages come out in order, in batches of about a size and of at least one', () => {
  const queue = new SendQueue(roomFor(10));
  for (let label = 1; label <= 5; label++) expect(queue.push('append', message(label))).toBe(0);
  expect(queue.take(roomFor(2)).map(({ bytes }) => bytes[0])).toEqual([1, 2]);
  expect(queue.take(1).map(({ bytes }) => bytes[0])).toEqual([3]);
  expect(labels(queue)).toEqual([4, 5]);
  expect(queue.isEmpty).toBe(true);
  expect(queue.bytes).toBe(0);
});

test('what does not fit is dropped and counted', () => {
  const queue = new SendQueue(roomFor(2));
  expect([1, 2, 3].map((label) => queue.push('append', message(label)))).toEqual([0, 0, 1]);
  expect(labels(queue)).toEqual([1, 2]);
});

test('old heartbeats make room for votes and for newer ones; votes make room for nobody', () => {
  const queue = new SendQueue(roomFor(3));
  queue.push('heartbeat', message(1));
  queue.push('vote', message(2));
  queue.push('heartbeat', message(3));
  expect(queue.push('vote', message(4))).toBe(1);
  expect(queue.push('heartbeat', message(5))).toBe(1);
  expect(queue.push('vote', message(6))).toBe(1);
  expect(queue.push('vote', message(7))).toBe(1);
  expect(labels(queue)).toEqual([2, 4, 6]);
});

test('never holds more than its bound, and keeps the order of each kind', () => {
  const step = fc.record({
    kind: fc.constantFrom<MessageKind>('vote', 'heartbeat', 'append'),
    length: fc.integer({ min: 1, max: 60 }),
    take: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const queue = new SendQueue(200);
      const out: number[] = [];
      let dropped = 0;
      const take = () => out.push(...queue.take(50).map(({ bytes }) => Buffer.from(bytes).readUInt8()));
      for (const [number, { kind, length, take: takes }] of steps.entries()) {
        dropped += queue.push(kind, message(number, length));
        expect(queue.bytes).toBeLessThanOrEqual(200);
        if (takes) take();
      }
      while (!queue.isEmpty) take();
      expect(out).toEqual(out.toSorted((a, b) => a - b));
      expect(out.length + dropped).toBe(steps.length);
      expect(queue.bytes).toBe(0);
    }),
  );
});

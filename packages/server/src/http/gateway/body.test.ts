import { PassThrough } from 'node:stream';
import { SimEnv } from '@quorate/testing';
import { expect, test } from 'vitest';
import { BodyBytes, BodyRoom, ObjectSplitter, readBody } from './body.ts';

const OBJECTS = [
  '{"a":"}\\"\\\\{","b":[1,{"x":"\\\\"}]}',
  '{}',
  '{"é":"€😀]"}',
  `{"k":"${'y'.repeat(300)}"}`,
];

test.each([1, 2, 3, 7, 64, 100_000])('objects in parts of %i bytes', (partBytes) => {
  const bytes = Buffer.from(` \n${OBJECTS.join(' \n')}${OBJECTS.join('')} `);
  const splitter = new ObjectSplitter(1_000);
  const found: string[] = [];
  for (let at = 0; at < bytes.length; at += partBytes) {
    splitter.feed(bytes.subarray(at, at + partBytes));
    for (let value = splitter.next(); value !== null; value = splitter.next()) found.push(value);
  }
  expect(found).toEqual([...OBJECTS, ...OBJECTS]);
  expect(splitter.isIncomplete).toBe(false);
});

test('a large object that goes on byte by byte: each byte is looked at once', () => {
  const splitter = new ObjectSplitter(4_000_000);
  splitter.feed(Buffer.from(`{"a":"${'x'.repeat(2_000_000)}`));
  expect(splitter.next()).toBeNull();
  const byte = Buffer.from('y');
  // Looked at from its beginning for every byte, this would take longer than a test may.
  for (let count = 0; count < 200_000; count++) {
    splitter.feed(byte);
    if (splitter.next() !== null) expect.fail('it has not ended');
  }
  expect(splitter.isIncomplete).toBe(true);
  splitter.feed(Buffer.from('"}'));
  expect(splitter.next()).toHaveLength(2_200_008);
});

test('an object that is too long is refused while it comes', () => {
  const splitter = new ObjectSplitter(10);
  splitter.feed(Buffer.from('{"a":"12'));
  expect(splitter.next()).toBeNull();
  splitter.feed(Buffer.from('345'));
  expect(() => splitter.next()).toThrow('request body is too large');
});

test('case-66 a body in chunks of one byte takes the room of its bytes, not of its chunks', () => {
  const body = new BodyBytes();
  const text = '{"é":"€😀"}'.repeat(10_000);
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at++) {
    body.add(bytes.subarray(at, at + 1));
    if (body.capacityBytes > 2 * body.length) expect.fail('more than twice its length is held');
  }
  body.add(Buffer.alloc(0));
  expect(body.text()).toBe(text);
});

test('unfinished bodies share a room; one that finds none is refused and gives back what it had', async () => {
  const room = new BodyRoom();
  const env = new SimEnv(1, 0);
  const bodyBytes = 3_000_000;
  const outcomes: (string | null)[] = [];
  const bodies = Array.from({ length: 30 }, () => {
    const body = Object.assign(new PassThrough({ highWaterMark: 2 * bodyBytes }), { headers: {} });
    readBody(body as never, bodyBytes, room, env as never, (problem) => outcomes.push(problem));
    return body;
  });
  for (const body of bodies) body.write(Buffer.alloc(bodyBytes, 32));
  await expect.poll(() => outcomes.length).toBe(30 - Math.floor((64 * 1024 * 1024) / bodyBytes));
  expect(new Set(outcomes)).toEqual(new Set(['crowded']));
  for (const body of bodies) body.end();
  await expect.poll(() => outcomes.length).toBe(30);
  expect(room.take(64 * 1024 * 1024)).toBe(true);
});

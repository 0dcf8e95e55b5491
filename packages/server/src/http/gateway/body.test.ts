import { expect, test } from 'vitest';
import { ObjectSplitter } from './body.ts';

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

/** Response metadata: what is encoded, and what a handler may not say. */
import { expect, test } from 'vitest';
import { decodeBinary, encodeFields } from './metadata.ts';

test('text stays, bytes become base64', () => {
  expect(
    encodeFields([
      ['x-a', 'text ~'],
      ['x-b-bin', Uint8Array.of(251, 255)],
    ]),
  ).toEqual([
    ['x-a', 'text ~'],
    ['x-b-bin', '+/8'],
  ]);
  expect(decodeBinary('+/8')).toEqual(Uint8Array.of(251, 255));
});

test.each<[string, string | Uint8Array]>([
  ['X-Upper', 'a'],
  [':status', '500'],
  ['grpc-status', '0'],
  ['grpc-message', 'x'],
  ['content-type', 'text/html'],
  ['te', 'trailers'],
  ['x y', 'a'],
  ['', 'a'],
  ['x-a', 'line\r\nx-b: 1'],
  ['x-a', 'ä'],
  ['x-a', ' blank'],
  ['x-a-bin', 'text'],
  ['x-a', Uint8Array.of(1)],
])('%j: %j cannot be response metadata', (name, value) => {
  expect(() => encodeFields([[name, value]])).toThrow(TypeError);
});

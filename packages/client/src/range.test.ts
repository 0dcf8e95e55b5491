import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { toBytes } from './bytes.ts';
import { parseEndpoint } from './endpoint.ts';
import { fromKey, oneKey, prefix, prefixEnd } from './range.ts';

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

describe('ranges', () => {
  test('sem-022 the end of a prefix', () => {
    expect(prefixEnd(toBytes('ab'))).toEqual(toBytes('ac'));
    expect(prefixEnd(bytes(0x61, 0xff, 0xff))).toEqual(bytes(0x62));
    expect(prefixEnd(bytes(0xff, 0xff))).toEqual(bytes(0));
    const key = Buffer.from('ab');
    prefixEnd(key);
    expect(key.toString()).toBe('ab');
  });

  test('sem-022 [start, prefixEnd) holds exactly the keys that start with it', () => {
    const key = fc.uint8Array({ minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(key, key, (start, other) => {
        const end = prefixEnd(start);
        const openEnded = end.length === 1 && end[0] === 0;
        const inRange = Buffer.compare(start, other) <= 0 && (openEnded || Buffer.compare(other, end) < 0);
        const startsWith = Buffer.from(other).subarray(0, start.length).equals(Buffer.from(start));
        expect(inRange).toBe(startsWith || (openEnded && Buffer.compare(start, other) <= 0));
      }),
    );
  });

  test('empty selectors mean every key', () => {
    expect(prefix('')).toEqual({ key: bytes(0), end: bytes(0) });
    expect(fromKey('')).toEqual({ key: bytes(0), end: bytes(0) });
    expect(oneKey('k').end).toHaveLength(0);
  });
});

describe('endpoints', () => {
  test('schemes decide about TLS, and without one the options do', () => {
    expect(parseEndpoint('127.0.0.1:2379', false)).toEqual({ target: 'dns:127.0.0.1:2379', secure: false });
    expect(parseEndpoint('host:2379', true).secure).toBe(true);
    expect(parseEndpoint('http://host:2379/', true)).toEqual({ target: 'dns:host:2379', secure: false });
    expect(parseEndpoint('https://[::1]:2379', false)).toEqual({ target: 'dns:[::1]:2379', secure: true });
    expect(parseEndpoint('unix:///run/q.sock', false)).toEqual({ target: 'unix:/run/q.sock', secure: false });
    expect(parseEndpoint('unixs:q.sock', false)).toEqual({ target: 'unix:q.sock', secure: true });
    expect(() => parseEndpoint('', false)).toThrow(TypeError);
  });
});

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compareBytes } from '../../bytes.ts';
import { keyValueBytes, writeKeyValue } from '../../key-value.ts';
import { PageBytes } from './page-bytes.ts';
import { RunImage } from './run-image.ts';

const seed = Number(process.env.MVCC_SEED ?? 20261121);

function imageOf(keys: readonly Uint8Array[]): { image: RunImage; records: Buffer[] } {
  const page = new PageBytes();
  const starts: number[] = [];
  for (const key of keys) {
    const value = new Uint8Array(key.length * 7);
    const record = new Uint8Array(keyValueBytes(key.length, 2, 3, 1, value.length, 0n));
    writeKeyValue(record, 0, key, 2, 3, 1, value, 0n);
    starts.push(page.bytes);
    page.record(record, 0, record.length);
  }
  starts.push(page.bytes);
  const bytes = Buffer.concat(page.finish());
  const records = keys.map((_, i) => bytes.subarray(starts[i]!, starts[i + 1]!));
  return { image: new RunImage(bytes, Uint32Array.from(starts)), records };
}

test(`a search in an image finds what a look at each key would (seed ${seed})`, () => {
  const prefix = fc.constantFrom('', 'a', 'a\0', '/registry/pods/');
  const rest = fc.uint8Array({ minLength: 1, maxLength: 6 }).map((bytes) => bytes.map((b) => b % 3));
  const key = fc.tuple(prefix, rest).map(([p, r]) => Buffer.concat([Buffer.from(p), r]));
  const keys = fc.uniqueArray(key, { maxLength: 20, selector: (k) => k.toString('hex') });
  const wanted = fc.oneof(key, prefix.map(Buffer.from), fc.uint8Array({ maxLength: 8 }));
  fc.assert(
    fc.property(keys, fc.array(wanted, { minLength: 1, maxLength: 10 }), (unordered, asked) => {
      const ordered = unordered.toSorted(compareBytes);
      const { image, records } = imageOf(ordered);
      expect(image.count).toBe(ordered.length);
      ordered.forEach((k, i) => {
        expect(compareBytes(image.key(i), k)).toBe(0);
        expect(image.lowerBound(k)).toBe(i);
      });
      for (const k of asked) {
        const at = ordered.filter((other) => compareBytes(other, k) < 0).length;
        expect(image.lowerBound(k)).toBe(at);
        expect(Buffer.concat(records.slice(at)).equals(image.slice(at, image.count))).toBe(true);
      }
    }),
    { seed, numRuns: 400 },
  );
});

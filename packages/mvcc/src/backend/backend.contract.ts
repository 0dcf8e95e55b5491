/** What every backend must do. Each implementation's test runs this on a database that nobody else uses. */
import { describe, expect, test } from 'vitest';
import type { Backend, BackendCopy } from './backend.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const text = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : Buffer.from(value).toString('latin1');

/** @param create makes an empty backend; `reopen` opens its data again as a new process would */
export function backendContract(
  name: string,
  create: () => { backend: Backend; reopen: () => Backend; destroy: () => void },
): void {
  const using = (work: (backend: Backend, reopen: () => Backend) => void | Promise<void>) => async () => {
    const { backend, reopen, destroy } = create();
    try {
      await work(backend, reopen);
    } finally {
      destroy();
    }
  };
  const fill = (backend: Backend, keys: readonly string[]): void => {
    const writer = backend.openWriter();
    writer.write((tx) => {
      for (const key of keys) tx.put('head', bytes(key), bytes(`=${key}`));
    });
    writer.close();
  };
  const all = (backend: Backend, low = '', high: string | null = null, reverse = false): string[] => {
    const reader = backend.openReader();
    const seen: string[] = [];
    const range = { low: bytes(low), high: high === null ? null : bytes(high), reverse };
    reader.scan('head', range, (key, value) => {
      expect(text(value)).toBe(`=${text(key)}`);
      seen.push(text(key)!);
      return true;
    });
    reader.close();
    return seen;
  };

  describe(`backend contract: ${name}`, () => {
    test(
      'keys are ordered as unsigned bytes, in both directions',
      using((backend) => {
        fill(backend, ['b', '\xff', 'a\0', 'a', '\0', 'ab', '\x7f', '\x80']);
        const sorted = ['\0', 'a', 'a\0', 'ab', 'b', '\x7f', '\x80', '\xff'];
        expect(all(backend)).toEqual(sorted);
        expect(all(backend, '', null, true)).toEqual(sorted.slice().reverse());
      }),
    );

    test(
      'ranges are half-open; an empty one is empty; reverse goes from high to low',
      using((backend) => {
        fill(backend, ['a', 'b', 'c', 'd']);
        expect(all(backend, 'b', 'd')).toEqual(['b', 'c']);
        expect(all(backend, 'b', 'd', true)).toEqual(['c', 'b']);
        expect(all(backend, 'bb', 'cc', true)).toEqual(['c']);
        expect(all(backend, 'c', 'c')).toEqual([]);
        expect(all(backend, 'd', 'a')).toEqual([]);
        const reader = backend.openReader();
        expect(reader.count('head', { low: bytes('b'), high: bytes('d') })).toBe(2);
        expect(reader.count('head', { low: bytes('d'), high: bytes('b') })).toBe(0);
        expect(reader.count('head', { low: bytes(''), high: null })).toBe(4);
        expect(reader.count('log', { low: bytes(''), high: null })).toBe(0);
        reader.close();
      }),
    );

    test(
      'whatever snapshot a reader is at, everything it is asked in one turn is as of that one',
      using(async (backend) => {
        const reader = backend.openReader();
        const writer = backend.openWriter();
        const range = { low: bytes(''), high: null };
        for (let round = 1; round < 30; round++) {
          writer.write((tx) => {
            tx.put('head', bytes(`key ${round}`), bytes('x'));
            tx.put('state', bytes('keys'), Uint8Array.of(round));
          });
          // A reader may move by itself between turns.
          await new Promise((resolve) => setTimeout(resolve, round % 4));
          const noted = (): number => reader.get('state', bytes('keys'))?.[0] ?? 0;
          const scanned = (): number => {
            let count = 0;
            reader.scan('head', range, () => ++count > 0);
            return count;
          };
          const counted = (): number => reader.count('head', range);
          // Whatever is asked first.
          const inOrder = [noted, scanned, counted].map((_, at, all) => all[(at + round) % all.length]!);
          const found = inOrder.map((read) => read());
          expect(new Set(found).size).toBe(1);
          expect(reader.get('head', bytes(`key ${found[0]! + 1}`))).toBeUndefined();
        }
        writer.close();
        reader.close();
      }),
    );

    test(
      'a scan of the log in place gives what the general scan gives',
      using((backend) => {
        const writer = backend.openWriter();
        const key = (at: number): Uint8Array => Buffer.from([at >> 8, at, 7]);
        writer.write((tx) => {
          // Sizes go up and down, past what is read without a buffer of its own.
          for (let at = 0; at < 600; at++) {
            const size = [3, 300, 0, 40_000, 17, 70_000, 2_000_000, 1][at % 8]!;
            tx.append('log', key(at), new Uint8Array(at % 8 === 6 && at > 20 ? 9 : size).fill(at));
          }
        });
        writer.close();
        const reader = backend.openReader();
        const seen: string[] = [];
        const range = { low: key(3), high: key(500) };
        reader.scan('log', range, (name, value) => {
          seen.push(`${name.join()} ${value.length} ${value[0]} ${value.at(-1)}`);
          return true;
        });
        expect(seen.length).toBe(497);
        const inPlace: string[] = [];
        const visit: Parameters<typeof reader.scanLog>[1] = (keys, start, values, size) => {
          const name = keys.subarray(start, start + 3);
          inPlace.push(
            `${name.join()} ${size} ${size === 0 ? undefined : values[0]} ${values.subarray(0, size).at(-1)}`,
          );
          return inPlace.length !== 100;
        };
        reader.scanLog(range, visit);
        expect(inPlace.length).toBe(100);
        reader.scanLog({ low: key(103), high: key(500) }, visit);
        expect(inPlace).toEqual(seen);
        reader.scanLog({ low: key(4), high: key(4) }, visit);
        reader.scanLog({ low: key(5), high: key(4) }, visit);
        expect(inPlace.length).toBe(497);
        reader.scanLog({ low: key(598), high: null }, visit);
        expect(inPlace.length).toBe(499);
        reader.close();
      }),
    );

    test(
      'a scan ends where its visitor wants',
      using((backend) => {
        fill(backend, ['a', 'b', 'c']);
        const reader = backend.openReader();
        const seen: string[] = [];
        reader.scan('head', { low: bytes(''), high: null }, (key) => seen.push(text(key)!) < 2);
        expect(seen).toEqual(['a', 'b']);
        reader.close();
      }),
    );

    test(
      'a transaction sees its own changes, and leaves nothing when it throws',
      using((backend) => {
        fill(backend, ['a']);
        const writer = backend.openWriter();
        expect(() =>
          writer.write((tx) => {
            tx.put('head', bytes('x'), bytes('=x'));
            expect(text(tx.get('head', bytes('x')))).toBe('=x');
            expect(tx.remove('head', bytes('a'))).toBe(true);
            expect(tx.remove('head', bytes('a'))).toBe(false);
            throw new Error('no');
          }),
        ).toThrow('no');
        expect(all(backend)).toEqual(['a']);
        writer.close();
      }),
    );

    test(
      'append wants a greater key',
      using((backend) => {
        const writer = backend.openWriter();
        writer.write((tx) => {
          tx.append('log', bytes('a'), bytes('1'));
          tx.append('log', bytes('b'), bytes('2'));
        });
        expect(() => writer.write((tx) => tx.append('log', bytes('b'), bytes('3')))).toThrow();
        const reader = backend.openReader();
        expect(text(reader.get('log', bytes('b')))).toBe('2');
        reader.close();
        writer.close();
      }),
    );

    test(
      'a reader sees what was committed before its refresh, and values of any size',
      using((backend) => {
        const reader = backend.openReader();
        expect(reader.get('head', bytes('a'))).toBeUndefined();
        const large = 'v'.repeat(300_000);
        const writer = backend.openWriter();
        writer.write((tx) => {
          tx.put('head', bytes('a'), bytes(large));
          tx.put('head', bytes('empty'), bytes(''));
        });
        reader.refresh();
        expect(text(reader.get('head', bytes('a')))).toBe(large);
        expect(text(reader.get('head', bytes('empty')))).toBe('');
        const sizes: number[] = [];
        reader.scan('head', { low: bytes(''), high: null }, (_key, value) => sizes.push(value.length) > 0);
        expect(sizes).toEqual([300_000, 0]);
        reader.close();
        writer.close();
      }),
    );

    test(
      'keys of 1,978 bytes fit, the empty key and longer ones do not',
      using((backend) => {
        const writer = backend.openWriter();
        writer.write((tx) => tx.put('head', new Uint8Array(1978).fill(7), bytes('x')));
        expect(() => writer.write((tx) => tx.put('head', new Uint8Array(0), bytes('x')))).toThrow();
        expect(() => writer.write((tx) => tx.put('head', new Uint8Array(1979), bytes('x')))).toThrow();
        const reader = backend.openReader();
        expect(text(reader.get('head', new Uint8Array(1978).fill(7)))).toBe('x');
        reader.close();
        writer.close();
      }),
    );

    test(
      'what was written is there after a restart',
      using((backend, reopen) => {
        fill(backend, ['a', 'b']);
        expect(all(reopen())).toEqual(['a', 'b']);
      }),
    );

    test(
      'a copy is brought up to date, adopted, and then is the database; the old reader goes on until closed',
      using(async (backend, reopen) => {
        fill(backend, ['a', 'b']);
        const old = backend.openReader();
        expect(text(old.get('head', bytes('a')))).toBe('=a');
        const copy = await new Promise<BackendCopy>((resolve, reject) =>
          backend.copyCompact((error, made) => (error === null ? resolve(made!) : reject(error))),
        );
        const writer = copy.openWriter();
        writer.write((tx) => {
          tx.remove('head', bytes('a'));
          tx.put('head', bytes('c'), bytes('=c'));
        });
        writer.close();
        const places: string[] = [];
        const next = copy.adopt((place) => places.push(place));
        expect(places).toEqual(['beforeRename', 'beforeDirectorySync', 'afterDirectorySync']);
        expect(text(old.get('head', bytes('a')))).toBe('=a');
        old.close();
        expect(all(next)).toEqual(['b', 'c']);
        expect(all(reopen())).toEqual(['b', 'c']);
      }),
    );
  });
}

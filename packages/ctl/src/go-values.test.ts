import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  formatBytes,
  formatDuration,
  hex,
  parseBool,
  parseDurationMs,
  parseFlagInt64,
  parseInt64,
  quote,
  unquote,
} from './go-values.ts';

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

describe("values in Go's notation", () => {
  test('flags take numbers of other bases, as numbers in a Go program', () => {
    const cases: [string, bigint][] = [
      ['10', 10n],
      ['+3', 3n],
      ['0', 0n],
      ['0x10', 16n],
      ['-0X1f', -31n],
      ['017', 15n],
      ['0o17', 15n],
      ['0b11', 3n],
      ['1_000', 1000n],
      ['0x_ff', 255n],
      ['-0x8000000000000000', -(2n ** 63n)],
    ];
    for (const [text, value] of cases) expect([text, parseFlagInt64(text)]).toEqual([text, value]);
    for (const text of ['', 'x', '0x', '0b2', '08', '_1', '1_', '1__0', '1.5', '1e3', ' 1', '0x1g'])
      expect(() => parseFlagInt64(text), text).toThrow(
        `strconv.ParseInt: parsing ${quote(text)}: invalid syntax`,
      );
    expect(() => parseFlagInt64('0x8000000000000000')).toThrow('value out of range');
  });

  test('bytes that are no text stay what they are inside quotes', () => {
    const raw = `a${String.fromCharCode(0xdc00 + 0xff)}`;
    expect(unquote(raw)).toEqual(bytes(0x61, 0xff));
    expect(quote(raw)).toBe('"a\\xff"');
    expect(unquote('\\ud800')).toBeNull();
  });

  test('durations are read', () => {
    const cases: [string, number][] = [
      ['5s', 5000],
      ['1m30s', 90_000],
      ['100ms', 100],
      ['1.5h', 5_400_000],
      ['2us', 0.002],
      ['0', 0],
      ['-1s', -1000],
      ['.5s', 500],
    ];
    for (const [text, ms] of cases) expect(parseDurationMs(text)).toBeCloseTo(ms, 9);
    expect(() => parseDurationMs('xx')).toThrow('time: invalid duration "xx"');
    expect(() => parseDurationMs('')).toThrow('time: invalid duration ""');
    expect(() => parseDurationMs('5')).toThrow('time: missing unit in duration "5"');
    for (const unit of ['d', 'constructor'])
      expect(() => parseDurationMs(`5${unit}`)).toThrow(
        `time: unknown unit "${unit}" in duration "5${unit}"`,
      );
  });

  test('durations are written', () => {
    const cases: [number, string][] = [
      [0, '0s'],
      [0.000015, '15ns'],
      [0.0015, '1.5µs'],
      [1.571308, '1.571308ms'],
      [700, '700ms'],
      [2500, '2.5s'],
      [60_000, '1m0s'],
      [3_661_500, '1h1m1.5s'],
    ];
    for (const [ms, text] of cases) expect(formatDuration(ms)).toBe(text);
  });

  test('what is written is read back', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10 ** 13 }), (ns) => {
        expect(parseDurationMs(formatDuration(ns / 1e6))).toBeCloseTo(ns / 1e6, 5);
      }),
    );
  });

  test('integers have 64 bits and complain like strconv', () => {
    expect(parseInt64('-9223372036854775808')).toBe(-(2n ** 63n));
    expect(parseInt64('2040a1fc4329b285', 16)).toBe(0x2040a1fc4329b285n);
    expect(() => parseInt64('9223372036854775808')).toThrow(
      'strconv.ParseInt: parsing "9223372036854775808": value out of range',
    );
    expect(() => parseInt64('zz', 16)).toThrow('strconv.ParseInt: parsing "zz": invalid syntax');
    expect(() => parseInt64('1_000')).toThrow('invalid syntax');
    expect(parseBool('T') && !parseBool('0')).toBe(true);
    expect(() => parseBool('yes')).toThrow('strconv.ParseBool: parsing "yes": invalid syntax');
  });

  test('text is quoted as %q quotes it', () => {
    const cases: [string | Uint8Array, string][] = [
      ['plain', '"plain"'],
      ['a\nb\t"\\', '"a\\nb\\t\\"\\\\"'],
      [bytes(1, 0xff, 0x7f), '"\\x01\\xff\\x7f"'],
      ['é日本 🚀', '"é日本 🚀"'],
      ['\u00a0\u200b', '"\\u00a0\\u200b"'],
      [bytes(0xe2, 0x82), '"\\xe2\\x82"'],
      [bytes(0xed, 0xa0, 0x80), '"\\xed\\xa0\\x80"'],
      [bytes(0xc0, 0x80), '"\\xc0\\x80"'],
    ];
    for (const [value, text] of cases) expect(quote(value)).toBe(text);
  });

  test('what is quoted is unquoted again, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (value) => {
        expect(unquote(quote(value).slice(1, -1))).toEqual(value);
      }),
    );
    expect(unquote('\\101\\x41\\u00e9')).toEqual(Uint8Array.from([0x41, 0x41, 0xc3, 0xa9]));
    for (const bad of ['\\q', '\\x4', '\\', "\\'", '\\U00110000']) expect(unquote(bad)).toBeNull();
  });

  test('ids and sizes', () => {
    expect(hex(0x12n, 16)).toBe('0000000000000012');
    expect(hex(-0x12n, 16)).toBe('-000000000000012');
    const sizes: [bigint, string][] = [
      [0n, '0 B'],
      [9n, '9 B'],
      [999n, '999 B'],
      [24_576n, '25 kB'],
      [1_500n, '1.5 kB'],
      [2_147_483_648n, '2.1 GB'],
      [82_854_982n, '83 MB'],
    ];
    expect(formatBytes(20_480n)).toBe('20 kB');
    expect(formatBytes(21_500n)).toBe('22 kB');
    for (const [value, text] of sizes) expect(formatBytes(value)).toBe(text);
  });
});

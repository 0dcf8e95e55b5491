/**
 * Values in Go's notation, which is what etcdctl reads and prints: durations, integers with strconv's complaints,
 * quoted strings, sizes.
 */
import { encodeRaw } from './raw-text.ts';

const UNIT_NS: ReadonlyMap<string, number> = new Map([
  ['ns', 1],
  ['us', 1e3],
  ['µs', 1e3],
  ['μs', 1e3],
  ['ms', 1e6],
  ['s', 1e9],
  ['m', 60e9],
  ['h', 3600e9],
]);

/** `1m30s` in milliseconds. @throws Error with Go's text */
export function parseDurationMs(text: string): number {
  const invalid = new Error(`time: invalid duration ${quote(text)}`);
  const sign = text.startsWith('-') ? -1 : 1;
  const body = text.replace(/^[+-]/, '');
  if (body === '0') return 0;
  if (body === '') throw invalid;
  let totalNs = 0;
  let rest = body;
  while (rest !== '') {
    const match = /^(\d+\.?\d*|\.\d+)([a-zµμ]*)/.exec(rest);
    if (!match) throw invalid;
    const [whole, digits = '', unit = ''] = match;
    if (unit === '') throw new Error(`time: missing unit in duration ${quote(text)}`);
    const factor = UNIT_NS.get(unit);
    if (factor === undefined) throw new Error(`time: unknown unit ${quote(unit)} in duration ${quote(text)}`);
    totalNs += Number(digits) * factor;
    rest = rest.slice(whole.length);
  }
  return (sign * totalNs) / 1e6;
}

/** Milliseconds as Go's `Duration.String`: `1.571308ms`, `2.5s`, `1m0s`. */
export function formatDuration(ms: number): string {
  const ns = Math.round(ms * 1e6);
  const trim = (value: number, digits: number): string => value.toFixed(digits).replace(/\.?0+$/, '');
  if (ns === 0) return '0s';
  if (ns < 1e3) return `${ns}ns`;
  if (ns < 1e6) return `${trim(ns / 1e3, 3)}µs`;
  if (ns < 1e9) return `${trim(ns / 1e6, 6)}ms`;
  const minutes = Math.floor(ns / 60e9);
  const seconds = `${trim((ns - minutes * 60e9) / 1e9, 9)}s`;
  if (minutes === 0) return seconds;
  const hours = Math.floor(minutes / 60);
  return hours === 0 ? `${minutes}m${seconds}` : `${hours}h${minutes % 60}m${seconds}`;
}

/** A signed 64-bit integer. @throws Error with strconv's text */
export function parseInt64(text: string, base: 10 | 16 = 10): bigint {
  const digits = base === 10 ? /^[+-]?[0-9]+$/ : /^[+-]?[0-9a-fA-F]+$/;
  if (!digits.test(text)) throw new Error(`strconv.ParseInt: parsing ${quote(text)}: invalid syntax`);
  const body = text.replace(/^[+-]/, '');
  const magnitude = BigInt(base === 16 ? `0x${body}` : body);
  const value = text.startsWith('-') ? -magnitude : magnitude;
  if (BigInt.asIntN(64, value) !== value)
    throw new Error(`strconv.ParseInt: parsing ${quote(text)}: value out of range`);
  return value;
}

const OTHER_BASE = /^[+-]?0\w+$/;
/** Underscores stand between digits, or behind the prefix of a base. */
const MISPLACED_UNDERSCORE = /^_|__|_$|^[+-]_/;

/**
 * A flag's value, which Go reads as it reads numbers in programs: `0x10`, `0b11`, `0o17` and `017`, `1_000`.
 * @throws Error with strconv's text
 */
export function parseFlagInt64(text: string): bigint {
  const plain = text.replaceAll('_', '');
  const special = /^[+-]?\w+$/.test(text) && (plain !== text || OTHER_BASE.test(text));
  if (!special || MISPLACED_UNDERSCORE.test(text)) return parseInt64(text);
  const magnitude = plain.replace(/^[+-]/, '').replace(/^0(?=\d)/, '0o');
  let value: bigint;
  try {
    value = BigInt(magnitude);
  } catch {
    throw new Error(`strconv.ParseInt: parsing ${quote(text)}: invalid syntax`);
  }
  if (text.startsWith('-')) value = -value;
  if (BigInt.asIntN(64, value) !== value)
    throw new Error(`strconv.ParseInt: parsing ${quote(text)}: value out of range`);
  return value;
}

/** An unsigned 64-bit integer in hexadecimal. @throws Error with strconv's text */
export function parseUint64(text: string): bigint {
  if (!/^[0-9a-fA-F]+$/.test(text))
    throw new Error(`strconv.ParseUint: parsing ${quote(text)}: invalid syntax`);
  const value = BigInt(`0x${text}`);
  if (BigInt.asUintN(64, value) !== value)
    throw new Error(`strconv.ParseUint: parsing ${quote(text)}: value out of range`);
  return value;
}

/** @throws Error with strconv's text */
export function parseBool(text: string): boolean {
  if (/^(?:1|t|T|TRUE|true|True)$/.test(text)) return true;
  if (/^(?:0|f|F|FALSE|false|False)$/.test(text)) return false;
  throw new Error(`strconv.ParseBool: parsing ${quote(text)}: invalid syntax`);
}

const SHORT_ESCAPES: Record<string, string> = {
  '\u0007': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '"': '\\"',
  '\\': '\\\\',
};
const PRINTABLE = /[\p{L}\p{M}\p{N}\p{P}\p{S} ]/u;

/** Go's `%q`: printable text as it is, the rest escaped, bytes that are no UTF-8 as `\xff`. */
export function quote(value: string | Uint8Array): string {
  const bytes = Buffer.from(typeof value === 'string' ? encodeRaw(value) : value);
  let out = '"';
  for (let i = 0; i < bytes.length; ) {
    const length = utf8Length(bytes, i);
    if (length === 0) {
      out += `\\x${bytes[i]!.toString(16).padStart(2, '0')}`;
      i++;
      continue;
    }
    const char = bytes.toString('utf8', i, i + length);
    const code = char.codePointAt(0)!;
    if (SHORT_ESCAPES[char] !== undefined) out += SHORT_ESCAPES[char];
    else if (PRINTABLE.test(char)) out += char;
    else if (code < 0x80) out += `\\x${code.toString(16).padStart(2, '0')}`;
    else if (code <= 0xffff) out += `\\u${code.toString(16).padStart(4, '0')}`;
    else out += `\\U${code.toString(16).padStart(8, '0')}`;
    i += length;
  }
  return `${out}"`;
}

/** Length of the well-formed UTF-8 sequence at `at`, or 0. */
function utf8Length(bytes: Uint8Array, at: number): number {
  const first = bytes[at]!;
  if (first < 0x80) return 1;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
  if (length === 0 || at + length > bytes.length) return 0;
  try {
    new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(at, at + length));
    return length;
  } catch {
    // Overlong, a surrogate, or cut off: each byte is then shown by itself.
    return 0;
  }
}

/**
 * Reads the inside of a Go string literal in double quotes: `\n`, `\x41`, `\101`, `\u00e9`. Also accepts what is plain.
 * @returns null when an escape is none
 */
export function unquote(text: string): Uint8Array | null {
  const simple: Record<string, number> = {
    a: 7,
    b: 8,
    f: 12,
    n: 10,
    r: 13,
    t: 9,
    v: 11,
    '\\': 92,
    '"': 34,
  };
  const out: number[] = [];
  for (let i = 0; i < text.length; ) {
    const char = String.fromCodePoint(text.codePointAt(i)!);
    if (char !== '\\') {
      out.push(...encodeRaw(char));
      i += char.length;
      continue;
    }
    const rest = text.slice(i + 1);
    const hex = /^(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/.exec(rest);
    const octal = /^[0-3][0-7]{2}/.exec(rest);
    if (hex) {
      const code = Number.parseInt(hex[1] ?? hex[2] ?? hex[3] ?? '', 16);
      if (hex[1] !== undefined) out.push(code);
      else if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return null;
      else out.push(...Buffer.from(String.fromCodePoint(code), 'utf8'));
      i += 1 + hex[0].length;
    } else if (octal) {
      out.push(Number.parseInt(octal[0], 8));
      i += 4;
    } else if (simple[rest[0] ?? ''] !== undefined) {
      out.push(simple[rest[0]!]!);
      i += 2;
    } else return null;
  }
  return Uint8Array.from(out);
}

/** `%x` of a 64-bit id: negative ones keep their sign, as Go prints int64. */
export function hex(value: bigint, width = 0): string {
  const digits = (value < 0n ? -value : value).toString(16);
  return value < 0n ? `-${digits.padStart(Math.max(0, width - 1), '0')}` : digits.padStart(width, '0');
}

/** Sizes as people read them: `25 kB`, `1.5 MB` (powers of ten, one decimal below ten). */
export function formatBytes(value: bigint): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB'];
  let size = Number(value);
  if (size < 10) return `${size} B`;
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit++;
  }
  const rounded = Math.floor(size * 10 + 0.5) / 10;
  return `${rounded < 10 ? rounded.toFixed(1) : halfToEven(rounded)} ${units[unit]}`;
}

/** As Go rounds when it prints: 20.5 is 20, 21.5 is 22. */
function halfToEven(value: number): number {
  const below = Math.floor(value);
  return value - below === 0.5 ? below + (below % 2) : Math.round(value);
}

/** What Go takes for white space: JavaScript leaves out U+0085 and has U+FEFF besides. */
export const SPACE = '[\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]';
const OUTER_SPACE = new RegExp(`^${SPACE}+|${SPACE}+$`, 'g');

export function trimSpace(text: string): string {
  return text.replace(OUTER_SPACE, '');
}

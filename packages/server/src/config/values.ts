/**
 * Texts of flags, variables and configuration files as values.
 *
 * The grammars are Go's, which etcd's users have in their scripts: numbers may be hexadecimal, octal or grouped with
 * underscores, durations are `1h2m3.5s`. The texts of errors are Go's too where a user may know them.
 */

/** The text is no value of its kind; the message says what is wrong with it. */
export class ValueError extends Error {
  override readonly name = 'ValueError';
}

const TRUE = new Set(['1', 't', 'T', 'TRUE', 'true', 'True']);
const FALSE = new Set(['0', 'f', 'F', 'FALSE', 'false', 'False']);

export function parseBool(text: string): boolean {
  if (TRUE.has(text)) return true;
  if (FALSE.has(text)) return false;
  throw new ValueError('parse error');
}

const INTEGER = /^([+-]?)(0[xX](?:_?[0-9a-fA-F])+|0[bB](?:_?[01])+|0[oO]?(?:_?[0-7])+|0|[1-9](?:_?\d)*)$/;

/**
 * A whole number with Go's prefixes.
 * @param lowest inclusive
 * @param highest inclusive
 * @returns saturated to the safe integers, which no use of a flag can tell from more
 */
export function parseInteger(text: string, lowest: bigint, highest: bigint): number {
  const match = INTEGER.exec(text);
  if (match === null || (lowest >= 0n && match[1] !== '')) throw new ValueError('parse error');
  const digits = match[2]!.replaceAll('_', '');
  // JavaScript has no bare leading zero for octal.
  const magnitude = BigInt(/^0[0-7]+$/.test(digits) ? `0o${digits.slice(1)}` : digits);
  const value = match[1] === '-' ? -magnitude : magnitude;
  if (value < lowest || value > highest) throw new ValueError('value out of range');
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) return Number.MAX_SAFE_INTEGER;
  if (value < BigInt(Number.MIN_SAFE_INTEGER)) return Number.MIN_SAFE_INTEGER;
  return Number(value);
}

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};
const DURATION = /^[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/;
const DURATION_PART = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g;
/** 2^63 nanoseconds: the longest duration Go can hold, 292 years. */
const MAX_DURATION_MS = 2 ** 63 / 1e6;

/** @returns milliseconds, with fractions */
export function parseDuration(text: string): number {
  if (/^[+-]?0$/.test(text)) return 0;
  if (!DURATION.test(text)) throw new ValueError('parse error');
  let totalMs = 0;
  for (const [, amount, unit] of text.matchAll(DURATION_PART)) totalMs += Number(amount) * UNIT_MS[unit!]!;
  if (totalMs > MAX_DURATION_MS) throw new ValueError('value out of range');
  return text.startsWith('-') ? -totalMs : totalMs;
}

export function parseStrings(text: string): string[] {
  return text === '' ? [] : text.split(',');
}

/**
 * `--auto-compaction-mode` and `--auto-compaction-retention` as a policy.
 *
 *   periodic   "1" is an hour, "10m" and "1h30m" are durations
 *   revision   "1000" revisions
 *
 * "0" is off in both. etcd reads "10m" in revision mode as a number of nanoseconds and negative durations as a reason to
 * compact everything at once (GHSA-pm3m-32r3-7mfh); here both are refused with a sentence.
 */
import { ConfigError } from './errors.ts';
import { parseDuration, ValueError } from './values.ts';

export type CompactionPolicy =
  | { readonly mode: 'periodic'; readonly periodMs: number }
  | { readonly mode: 'revision'; readonly retainedRevisions: number };

const HOUR_MS = 3_600_000;
/** A duration as Go holds it. */
const MAX_PERIOD_MS = 2 ** 63 / 1e6;
/** Sampling ten times in a period, shorter ones would do nothing else. */
const MIN_PERIOD_MS = 100;

/** @returns null when it is off. @throws ConfigError */
export function parseCompaction(mode: string, retention: string): CompactionPolicy | null {
  if (mode !== 'periodic' && mode !== 'revision') {
    throw new ConfigError(`unknown auto-compaction-mode "${mode}"`);
  }
  const text = retention === '' ? '0' : retention;
  const amount = /^[+]?\d+$/.test(text) ? Number(text) : null;
  if (mode === 'revision') {
    if (amount === null || !Number.isSafeInteger(amount)) {
      throw refusal(retention, 'the mode "revision" takes a whole number of revisions');
    }
    return amount === 0 ? null : { mode, retainedRevisions: amount };
  }
  const periodMs = amount === null ? duration(text) : amount * HOUR_MS;
  if (periodMs === 0) return null;
  if (periodMs < 0) throw refusal(retention, 'it must not be negative');
  if (periodMs < MIN_PERIOD_MS) throw refusal(retention, `it is shorter than ${MIN_PERIOD_MS}ms`);
  if (!(periodMs <= MAX_PERIOD_MS)) throw refusal(retention, 'it is too long');
  return { mode, periodMs };
}

function duration(text: string): number {
  try {
    return parseDuration(text);
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    throw refusal(text, 'the mode "periodic" takes hours or a duration such as 10m');
  }
}

function refusal(text: string, why: string): ConfigError {
  return new ConfigError(`error parsing CompactionRetention "${text}": ${why}`);
}

/**
 * Which keys a request is about.
 *
 * On the wire a range is `[key, rangeEnd)` with two special ends: empty means the one key, a single zero byte
 * means every key from `key` on. The functions here spell the usual ones.
 */
import { EMPTY_BYTES } from '@quorate/proto';
import { type Bytes, toBytes } from './bytes.ts';

export interface KeyRange {
  readonly key: Uint8Array;
  /** Empty: one key. One zero byte: from `key` on. Otherwise exclusive. */
  readonly end: Uint8Array;
}

/** One key by its name, or a range made by `prefix`, `fromKey`, `between` or `allKeys`. */
export type KeySelector = Bytes | KeyRange;

const FROM_KEY = Uint8Array.of(0);

/** The one key. */
export function oneKey(key: Bytes): KeyRange {
  return { key: toBytes(key), end: EMPTY_BYTES };
}

/** Every key that starts with `start`; an empty one selects all keys. */
export function prefix(start: Bytes): KeyRange {
  const key = toBytes(start);
  return key.length === 0 ? allKeys() : { key, end: prefixEnd(key) };
}

/** Every key that is `key` or sorts after it. */
export function fromKey(key: Bytes): KeyRange {
  const start = toBytes(key);
  return start.length === 0 ? allKeys() : { key: start, end: FROM_KEY };
}

/** Keys in `[start, end)`, by unsigned byte order. */
export function between(start: Bytes, end: Bytes): KeyRange {
  return { key: toBytes(start), end: toBytes(end) };
}

export function allKeys(): KeyRange {
  return { key: FROM_KEY, end: FROM_KEY };
}

/**
 * The first key after every key that starts with `start`: its last byte below 0xff raised by one, the rest cut.
 * `"ab"` gives `"ac"`, `61 ff` gives `62`; of 0xff alone nothing sorts after, which is "from key on".
 */
export function prefixEnd(start: Uint8Array): Uint8Array {
  for (let i = start.length - 1; i >= 0; i--) {
    const byte = start[i]!;
    if (byte === 0xff) continue;
    // Not `slice`: a Buffer's shares memory, and the key would change with its end.
    const end = Uint8Array.from(start.subarray(0, i + 1));
    end[i] = byte + 1;
    return end;
  }
  return FROM_KEY;
}

export function toRange(selector: KeySelector): KeyRange {
  return typeof selector === 'string' || selector instanceof Uint8Array ? oneKey(selector) : selector;
}

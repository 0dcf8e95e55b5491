/** Scans of `log`: a start walks millions of its rows, so that a view of each would cost more than the walk. */
import type { Database } from 'lmdb';
import { EMPTY } from '../../bytes.ts';
import type { BackendReader } from '../backend.ts';
import { bounds, type Snapshot, writeBytes } from './access.ts';

/** Where the key and the value lie that a scan of `log` is at: one after the other, so one place for all. */
let keys: Uint8Array = EMPTY;
let valueSource: Uint8Array = EMPTY;
let values: Uint8Array = EMPTY;
let valueBytes = 0;
export const KEY_IN_PLACE = {
  writeKey: writeBytes,
  readKey(target: Uint8Array, start: number): number {
    keys = target;
    return start;
  },
};
export const VALUE_IN_PLACE = {
  encode: (value: Uint8Array): Uint8Array => value,
  decode(bytes: Uint8Array & { maxLength?: number }, size: number): null {
    // The buffer that is used again and again has a `length` of its own making, and so gets a view that lasts.
    if (bytes !== valueSource || values.length < size) {
      valueSource = bytes;
      values = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.maxLength ?? size);
    }
    valueBytes = size;
    return null;
  },
};

export function scanLog(
  log: Database<null, number>,
  range: Parameters<BackendReader['scanLog']>[0],
  visit: Parameters<BackendReader['scanLog']>[1],
  snapshot: Snapshot | undefined,
): void {
  if (range.high !== null && Buffer.compare(range.low, range.high) >= 0) return;
  for (const { key } of log.getRange({ ...bounds(range), ...snapshot } as object)) {
    if (!visit(keys, key, values, valueBytes)) return;
  }
}

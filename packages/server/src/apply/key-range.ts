/** etcd's `key`/`range_end` pairs as the store's ranges (sem-020, sem-021). */
import type { KeyRange } from '@quorate/mvcc';

/** An empty `rangeEnd` means the one key; one zero byte means "from key on", which the store reads the same way. */
export function keyRange(key: Uint8Array, rangeEnd: Uint8Array): KeyRange {
  return { key, end: rangeEnd.length === 0 ? null : rangeEnd };
}

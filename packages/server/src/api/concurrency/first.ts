/** The head of a queue: the key under a prefix that was created first. */
import { type KeyRecord, type Store, StoreReplacedError } from '@quorate/mvcc';
import { lineEnd } from './operations.ts';

/** @param done with null when nobody is there; `revision` is that of the store when it was read */
export function firstOf(
  store: Store,
  prefix: Uint8Array,
  done: (error: Error | null, first: KeyRecord | null, revision: number) => void,
): void {
  store.range({ key: prefix, end: lineEnd(prefix), revision: 0, limit: 0 }, (error, result) => {
    // Another state took the store's place, one that is newer: what it holds is as good an answer.
    if (error instanceof StoreReplacedError) {
      firstOf(store, prefix, done);
      return;
    }
    if (error !== null) {
      done(error, null, 0);
      return;
    }
    let first: KeyRecord | null = null;
    for (const record of result!.records) {
      if (first === null || record.createRevision < first.createRevision) first = record;
    }
    done(null, first, result!.revision);
  });
}

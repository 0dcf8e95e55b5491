/**
 * One range read, in slices at a pinned revision.
 *
 * The first slice runs at once and most reads end in it. Between slices writes, flushes and compactions go on: the read goes on from
 * its next key, at its own revision, and ends with CompactedError when a compaction passed it.
 *
 * The count never depends on the limit. Now, it comes from the count index. In the past it needs a look at every key, unless the page before told: pages
 * of a list at a fixed revision leave what remains in `PageCounts`.
 */
import { compareBytes, successor } from '../bytes.ts';
import { recordFromHead, recordWithoutValue, type StoredRecord } from '../stored-record.ts';
import { CompactedError, type RangeOptions, type RangeResult } from '../types.ts';
import { countNow } from './count.ts';
import type { HeadItem } from './heads.ts';
import type { PageCounts } from './page-counts.ts';
import type { ReadView } from './view.ts';

const ZERO_END = (end: Uint8Array): boolean => end.length === 1 && end[0] === 0;
/** Keys looked at between two looks at the clock. */
const BATCH_KEYS = 128;
/** The same for values, which may be large. */
const BATCH_BYTES = 1 << 20;

/** `[low, high)` of a range request; null high: to the end of all keys. */
export function boundsOf(range: { key: Uint8Array; end: Uint8Array | null }): {
  low: Uint8Array;
  high: Uint8Array | null;
} {
  const { key, end } = range;
  if (end === null) return { low: key, high: successor(key) };
  return { low: key, high: ZERO_END(end) ? null : end };
}

export class RangeRead {
  readonly #view: ReadView;
  readonly #options: RangeOptions;
  readonly #pages: PageCounts | null;
  /** Store revision when the read began. */
  readonly #now: number;
  readonly #revision: number;
  readonly #low: Uint8Array;
  readonly #high: Uint8Array | null;
  readonly #limit: number;
  readonly #records: StoredRecord[] = [];
  /** Keys in the range: known, or -1 and counted while walking. */
  #known = -1;
  #counted = 0;
  #lastKey: Uint8Array | null = null;
  /** The one before the last. */
  #keyBefore: Uint8Array | null = null;
  #at: Uint8Array | null;

  /**
   * @param pages null for a read within a transaction: the state that it sees may change again, or never have been
   * @throws CompactedError, FutureRevisionError
   */
  constructor(view: ReadView, options: RangeOptions, pages: PageCounts | null) {
    this.#view = view;
    this.#options = options;
    this.#pages = pages;
    this.#now = view.revision;
    this.#revision = options.revision <= 0 ? view.revision : options.revision;
    view.checkReadable(this.#revision);
    const { low, high } = boundsOf(options);
    this.#low = this.#at = low;
    this.#high = high;
    if (high !== null && compareBytes(low, high) >= 0) this.#at = null;
    this.#limit =
      options.countOnly === true ? 0 : options.limit > 0 ? options.limit : Number.MAX_SAFE_INTEGER;
  }

  /**
   * Goes on until the clock passes `deadlineMs`.
   * @returns null when there is more to do @throws CompactedError
   */
  step(clockMs: () => number, deadlineMs: number): RangeResult | null {
    if (this.#revision < this.#view.compactRevision) throw new CompactedError('a compaction passed the read');
    if (this.#options.end === null) return this.#oneKey();
    if (this.#at !== null && this.#known === -1) this.#findCount();
    while (this.#at !== null) {
      if (this.#known !== -1 && this.#records.length >= Math.min(this.#limit, this.#known)) break;
      this.#batch();
      if (this.#at !== null && clockMs() >= deadlineMs) return null;
    }
    return this.#result();
  }

  #oneKey(): RangeResult {
    const head = this.#view.heads.lookup(this.#low);
    const record = head === null ? null : this.#view.versionAt(head, this.#revision);
    if (record === null) return { records: [], count: 0, revision: this.#now };
    if (this.#options.countOnly === true) return { records: [], count: 1, revision: this.#now };
    const shown = this.#options.keysOnly === true ? withoutValue(this.#low, record) : record;
    return { records: [shown], count: 1, revision: this.#now };
  }

  #findCount(): void {
    if (this.#revision === this.#view.revision) this.#known = countNow(this.#view, this.#low, this.#high);
    else this.#known = this.#pages?.find(this.#revision, this.#low, this.#high) ?? -1;
  }

  #batch(): void {
    const past = this.#revision !== this.#view.revision;
    const wanted = this.#known === -1 ? BATCH_KEYS : this.#limit - this.#records.length;
    const { items, next } = this.#view.heads.scan(
      this.#at!,
      this.#high,
      past,
      Math.min(BATCH_KEYS, Math.max(wanted, 1)),
    );
    this.#at = next;
    let batchBytes = 0;
    for (const item of items) {
      if (batchBytes >= BATCH_BYTES) {
        this.#at = item.key;
        return;
      }
      const full = this.#records.length >= this.#limit;
      if (full && this.#known !== -1) return;
      const record = past ? this.#view.versionAt(item.head, this.#revision) : this.#current(item);
      if (record === null) continue;
      this.#counted++;
      if (full) continue;
      this.#keyBefore = this.#lastKey;
      this.#lastKey = item.key;
      const shown = this.#shown(item.key, record);
      batchBytes += shown.encoded.length;
      this.#records.push(shown);
    }
  }

  #current(item: HeadItem): StoredRecord {
    return recordFromHead(item.head, this.#view.records);
  }

  /** A record that is handed out must not fetch its bytes later: the turn may be another one by then. */
  #shown(key: Uint8Array, record: StoredRecord): StoredRecord {
    if (this.#options.keysOnly === true) return withoutValue(key, record);
    void record.encoded;
    return record;
  }

  #result(): RangeResult {
    const count = this.#known === -1 ? this.#counted : this.#known;
    const left = count - this.#records.length;
    if (left > 0 && this.#lastKey !== null && this.#records.length === this.#limit) {
      this.#pages?.remember(this.#revision, this.#lastKey, this.#high, left);
      // A caller that reads one key more than it shows, to know whether there are more, begins the next page there.
      if (this.#keyBefore !== null)
        this.#pages?.remember(this.#revision, this.#keyBefore, this.#high, left + 1);
    }
    return { records: this.#records, count, revision: this.#now };
  }
}

function withoutValue(key: Uint8Array, record: StoredRecord): StoredRecord {
  return recordWithoutValue(key, {
    main: record.modRevision,
    sub: record.sub,
    createRevision: record.createRevision,
    version: record.version,
    lease: record.lease,
  });
}

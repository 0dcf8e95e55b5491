/**
 * One range read as the bytes of its answer: what `range-read.ts` gives as records, here without an object for any of them.
 *
 *   wanted      [---------------------------------)
 *   runs     |........|........|........|........|.......
 *            image    image    none     image
 *   page       [part]  [whole]  copied   [part]
 *
 * Run by run: a run with an image (`run-images.ts`) gives a view of it, any other is read key by key, and gets an image when that happens again and again.
 * In slices at a pinned revision, as every read: a run that was changed since is read at the revision of the page.
 */
import { compareBytes, EMPTY } from '../../bytes.ts';
import { CompactedError, type PageOptions, type RangePage } from '../../types.ts';
import { countNow } from '../count.ts';
import type { PageCounts } from '../page-counts.ts';
import { boundsOf } from '../range-read.ts';
import type { ReadView } from '../view.ts';
import { makeImage } from './make-image.ts';
import { PageBytes } from './page-bytes.ts';
import type { RunImage } from './run-image.ts';

/** Keys looked at between two looks at the clock. */
const BATCH_KEYS = 128;
/** The same for values, which may be large. */
const BATCH_BYTES = 1 << 20;

export class PageRead {
  readonly #view: ReadView;
  readonly #pages: PageCounts;
  /** Store revision when the read began. */
  readonly #now: number;
  readonly #revision: number;
  readonly #low: Uint8Array;
  readonly #high: Uint8Array | null;
  readonly #limit: number;
  readonly #page = new PageBytes();
  /** Records in the page. */
  #taken = 0;
  /** Keys in the range: known, or -1 and counted while walking. */
  #known = -1;
  #counted = 0;
  #lastKey: Uint8Array | null = null;
  #at: Uint8Array | null;
  #batchBytes = 0;

  /** @throws CompactedError, FutureRevisionError */
  constructor(view: ReadView, options: PageOptions, pages: PageCounts) {
    this.#view = view;
    this.#pages = pages;
    this.#now = view.revision;
    this.#revision = options.revision <= 0 ? view.revision : options.revision;
    view.checkReadable(this.#revision);
    const { low, high } = boundsOf(options);
    this.#low = this.#at = low;
    this.#high = high;
    if (high !== null && compareBytes(low, high) >= 0) this.#at = null;
    this.#limit = options.limit > 0 ? options.limit : Number.MAX_SAFE_INTEGER;
    // Without a limit every key is walked over, and counted.
    if (options.limit > 0 && this.#at !== null) this.#findCount(options.revision);
  }

  /** @param asked the revision of the request */
  #findCount(asked: number): void {
    const { images } = this.#view;
    if (asked > 0) this.#known = this.#pages.find(this.#revision, this.#low, this.#high);
    if (this.#known !== -1) return;
    if (this.#revision === this.#now || images.sameSince(this.#revision, this.#low, this.#high)) {
      this.#known = countNow(this.#view, this.#low, this.#high);
    }
  }

  /**
   * Goes on until the clock passes `deadlineMs`.
   * @returns null when there is more to do @throws CompactedError
   */
  step(clockMs: () => number, deadlineMs: number): RangePage | null {
    if (this.#revision < this.#view.compactRevision) throw new CompactedError('a compaction passed the read');
    while (this.#at !== null) {
      if (this.#known !== -1 && this.#taken >= Math.min(this.#limit, this.#known)) break;
      this.#next(this.#at);
      if (this.#at !== null && clockMs() >= deadlineMs) return null;
    }
    return this.#result();
  }

  /** Reads on from `at`: to the end of its run, or a batch of it. */
  #next(at: Uint8Array): void {
    const { images } = this.#view;
    let index = images.find(at);
    // The run may be read as it is now, if it is now what it was at the page's revision.
    if (images.run(index).changedAt <= this.#revision || this.#revision === this.#view.revision) {
      if (!images.run(index).cut) index = this.#cutOut(index, at);
      const run = images.run(index);
      if (images.noteRead(run)) {
        const made = makeImage(this.#view, images.from(index), images.to(index), images.maxKeys);
        images.keep(index, made.image, made.end);
        // Cut, the run may end below `at` now.
        if (made.end !== null && compareBytes(made.end, at) <= 0) return;
        this.#fromImage(made.image, at, images.to(index));
        return;
      }
      if (run.image !== null) {
        this.#fromImage(run.image, at, images.to(index));
        return;
      }
    }
    this.#copy(at, this.#least(images.to(index)));
  }

  #cutOut(index: number, at: Uint8Array): number {
    const { images } = this.#view;
    const { low, high } = this.#view.around(at);
    images.cutOut(index, low ?? EMPTY, high);
    return images.find(at);
  }

  #least(to: Uint8Array | null): Uint8Array | null {
    if (to === null) return this.#high;
    return this.#high === null || compareBytes(to, this.#high) < 0 ? to : this.#high;
  }

  #fromImage(image: RunImage, at: Uint8Array, to: Uint8Array | null): void {
    const goesOn = to !== null && (this.#high === null || compareBytes(to, this.#high) < 0);
    const first = image.lowerBound(at);
    const end = goesOn || this.#high === null ? image.count : image.lowerBound(this.#high);
    const taken = Math.min(end - first, this.#limit - this.#taken);
    if (taken > 0) {
      this.#page.share(image.slice(first, first + taken));
      this.#taken += taken;
      this.#lastKey = image.key(first + taken - 1);
    }
    this.#counted += end - first;
    this.#at = goesOn ? to : null;
  }

  /** A batch of `[at, high)` key by key. */
  #copy(at: Uint8Array, high: Uint8Array | null): void {
    const past = this.#revision !== this.#view.revision;
    const wanted = this.#known === -1 ? BATCH_KEYS : this.#limit - this.#taken;
    const most = Math.min(BATCH_KEYS, Math.max(wanted, 1));
    const { items, next } = this.#view.heads.scan(at, high, past, most);
    this.#batchBytes = 0;
    for (const { key, head } of items) {
      if (this.#batchBytes >= BATCH_BYTES) {
        this.#at = key;
        return;
      }
      const full = this.#taken >= this.#limit;
      if (full && this.#known !== -1) return;
      if (!this.#view.peekVersion(head, this.#revision, full ? this.#ignore : this.#take)) continue;
      this.#counted++;
      if (full) continue;
      this.#taken++;
      this.#lastKey = key;
    }
    // At the end of a run the next one begins, at the end of the range nothing.
    this.#at = next ?? (high === this.#high ? null : high);
  }

  readonly #ignore = (): void => {};

  readonly #take = (bytes: Uint8Array, start: number, end: number): void => {
    this.#batchBytes += this.#page.record(bytes, start, end);
  };

  #result(): RangePage {
    const count = this.#known === -1 ? this.#counted : this.#known;
    const left = count - this.#taken;
    if (left > 0 && this.#lastKey !== null) {
      this.#pages.remember(this.#revision, this.#lastKey, this.#high, left);
    }
    const { bytes } = this.#page;
    return {
      chunks: this.#page.finish(),
      bytes,
      records: this.#taken,
      count,
      lastKey: this.#lastKey,
      revision: this.#now,
    };
  }
}

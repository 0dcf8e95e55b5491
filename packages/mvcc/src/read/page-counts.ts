/**
 * What remains after a page of a list: the next page at the same revision need not count again.
 *
 * A list of 50,000 keys in pages of 500 is one count by the index (or by a walk, when it begins in the past), and 99 finds here. The next page begins right after the last key of the page before,
 * or at that key's successor in the wire's sense (the key and a zero byte), which is the same. An entry is true for ever: the past does
 * not change. So only committed revisions may have one.
 */
import { copyBytes, equalBytes, successor } from '../bytes.ts';

const MAX_PAGES = 512;
/** Of longer bounds nothing is remembered: they come from callers, and stay until others take their place. */
const MAX_BOUND_BYTES = 4 << 10;

interface Page {
  readonly revision: number;
  readonly low: Uint8Array;
  readonly high: Uint8Array | null;
  readonly left: number;
}

export class PageCounts {
  readonly #pages: Page[] = [];

  /** @returns keys in `[low, high)` at `revision`, -1 when not known */
  find(revision: number, low: Uint8Array, high: Uint8Array | null): number {
    for (let i = this.#pages.length - 1; i >= 0; i--) {
      const page = this.#pages[i]!;
      if (page.revision !== revision || !equalBytes(page.low, low)) continue;
      if (high === null ? page.high === null : page.high !== null && equalBytes(page.high, high))
        return page.left;
    }
    return -1;
  }

  remember(revision: number, lastKey: Uint8Array, high: Uint8Array | null, left: number): void {
    if (lastKey.length > MAX_BOUND_BYTES || (high !== null && high.length > MAX_BOUND_BYTES)) return;
    if (this.#pages.length === MAX_PAGES) this.#pages.shift();
    this.#pages.push({
      revision,
      low: successor(lastKey),
      high: high === null ? null : copyBytes(high),
      left,
    });
  }
}

/** Makes the image of a run, or of the beginning of one that is too large. */
import type { ReadView } from '../view.ts';
import { PageBytes } from './page-bytes.ts';
import { RunImage } from './run-image.ts';

/** An image ends with the record that goes beyond so many bytes. */
const MAX_BYTES = 256 << 10;
/** ... or after so many scans: a run may hold any number of deleted keys. */
const MAX_SCANS = 32;

/**
 * @param maxKeys where it ends at the latest
 * @returns the image of `[from, to)` as it is now; and where it ends, when that is before `to`
 */
export function makeImage(
  view: ReadView,
  from: Uint8Array,
  to: Uint8Array | null,
  maxKeys: number,
): { image: RunImage; end: Uint8Array | null } {
  const page = new PageBytes();
  const starts: number[] = [];
  const take = (bytes: Uint8Array, start: number, end: number): void => {
    starts.push(page.bytes);
    page.record(bytes, start, end);
  };
  let at: Uint8Array | null = from;
  for (let scans = 0; at !== null && starts.length < maxKeys && page.bytes < MAX_BYTES; scans++) {
    if (scans === MAX_SCANS) break;
    const { items, next }: ReturnType<ReadView['heads']['scan']> = view.heads.scan(
      at,
      to,
      false,
      maxKeys - starts.length,
    );
    at = next;
    for (const { key, head } of items) {
      if (page.bytes >= MAX_BYTES) {
        at = key;
        break;
      }
      view.peekVersion(head, view.revision, take);
    }
  }
  starts.push(page.bytes);
  // In one piece of exactly its size: it stays longer than what it was made of.
  const bytes = Buffer.allocUnsafeSlow(page.bytes);
  let used = 0;
  for (const chunk of page.finish()) {
    bytes.set(chunk, used);
    used += chunk.length;
  }
  return { image: new RunImage(bytes, Uint32Array.from(starts)), end: at };
}

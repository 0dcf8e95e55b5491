/**
 * One bucket's tree, written from its sorted elements in one pass.
 *
 * Leaves fill up and are written as elements come; each finished page becomes an element of the level above, which fills up
 * the same way. What is in memory is one page a level.
 *
 *     elements  a b c | d e f | g            pages of three
 *     leaves    [a b c] [d e f] [g]          written as pages 3, 4, 5
 *     branch    [a→3 d→4 g→5]                page 6: the root
 */
import { ELEMENT_BYTES, MAX_COUNT, PAGE_HEADER_BYTES, PageFlag, view, writeUint64 } from './format.ts';

/** Writes finished pages one behind the other. */
export interface PageOutput {
  readonly pageBytes: number;
  /** Id that the next page will have. */
  readonly nextId: number;
  /** @param page a whole number of pages; its bytes may be used again afterwards */
  append(page: Uint8Array): void;
}

interface Element {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  /** Of a leaf element; of a branch element the child's page id. */
  readonly tag: number;
}

interface Level {
  elements: Element[];
  /** What the elements take, without the page header. */
  bytes: number;
}

const NOTHING = new Uint8Array(0);

export class TreeWriter {
  readonly #output: PageOutput;
  readonly #levels: Level[] = [{ elements: [], bytes: 0 }];

  constructor(output: PageOutput) {
    this.#output = output;
  }

  /** @param flags `BUCKET_ELEMENT` or 0. Key and value must not change until their page is written. */
  add(key: Uint8Array, value: Uint8Array, flags: number): void {
    this.#add(0, { key, value, tag: flags });
  }

  /** The whole tree as an inline page, when it is one leaf of at most `maxBytes` without buckets in it; else null. */
  inlinePage(maxBytes: number): Uint8Array | null {
    const [leaf] = this.#levels as [Level];
    const bytes = PAGE_HEADER_BYTES + leaf.bytes;
    const plain = this.#levels.length === 1 && leaf.elements.every(({ tag }) => tag === 0);
    return plain && bytes <= maxBytes ? encodePage(0, leaf, PageFlag.leaf, bytes, 1) : null;
  }

  /** Writes what is left. @returns the root's page id */
  finish(): number {
    for (let height = 0; ; height++) {
      const level = this.#levels[height]!;
      const isTop = height === this.#levels.length - 1;
      // A single child needs no branch above it.
      if (isTop && height > 0 && level.elements.length === 1) return level.elements[0]!.tag;
      // A copy: what a key is a view of may be large, and branches are kept for long.
      const key = new Uint8Array(level.elements[0]?.key ?? NOTHING);
      const id = this.#write(height);
      if (isTop) return id;
      this.#add(height + 1, { key, value: NOTHING, tag: id });
    }
  }

  #add(height: number, element: Element): void {
    if (height === this.#levels.length) this.#levels.push({ elements: [], bytes: 0 });
    const level = this.#levels[height]!;
    const bytes = ELEMENT_BYTES + element.key.length + element.value.length;
    const { length } = level.elements;
    // A branch has two children at least, however long their keys: or the tree would not get narrower towards its root.
    const least = height === 0 ? 1 : 2;
    const full = PAGE_HEADER_BYTES + level.bytes + bytes > this.#output.pageBytes;
    if (length >= least && (full || length === MAX_COUNT)) {
      const key = new Uint8Array(level.elements[0]!.key);
      const id = this.#write(height);
      this.#add(height + 1, { key, value: NOTHING, tag: id });
    }
    level.elements.push(element);
    level.bytes += bytes;
  }

  /** Writes the page of one level and empties it. @returns its id */
  #write(height: number): number {
    const level = this.#levels[height]!;
    const { pageBytes, nextId } = this.#output;
    const pages = Math.ceil((PAGE_HEADER_BYTES + level.bytes) / pageBytes);
    const flags = height === 0 ? PageFlag.leaf : PageFlag.branch;
    this.#output.append(encodePage(nextId, level, flags, pages * pageBytes, pages));
    level.elements = [];
    level.bytes = 0;
    return nextId;
  }
}

function encodePage(id: number, level: Level, flags: number, bytes: number, pages: number): Uint8Array {
  const { elements } = level;
  const page = new Uint8Array(bytes);
  const into = view(page);
  writeUint64(into, 0, id);
  into.setUint16(8, flags, true);
  into.setUint16(10, elements.length, true);
  into.setUint32(12, pages - 1, true);
  let data = PAGE_HEADER_BYTES + elements.length * ELEMENT_BYTES;
  let at = PAGE_HEADER_BYTES;
  for (const { key, value, tag } of elements) {
    if (flags === PageFlag.branch) {
      into.setUint32(at, data - at, true);
      into.setUint32(at + 4, key.length, true);
      writeUint64(into, at + 8, tag);
    } else {
      into.setUint32(at, tag, true);
      into.setUint32(at + 4, data - at, true);
      into.setUint32(at + 8, key.length, true);
      into.setUint32(at + 12, value.length, true);
    }
    page.set(key, data);
    page.set(value, data + key.length);
    data += key.length + value.length;
    at += ELEMENT_BYTES;
  }
  return page;
}

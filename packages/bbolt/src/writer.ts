/**
 * A new bbolt file, written in one pass from buckets in order and keys in order.
 *
 *     const writer = new BoltWriter(createFile('out.db'));
 *     writer.beginBucket(Buffer.from('fruits'));
 *     writer.put(Buffer.from('apple'), Buffer.from('red'));
 *     writer.endBucket();
 *     const bytes = writer.finish();
 *
 * Pages 0 and 1 are the metas and page 2 an empty list of free pages, as bbolt makes them; trees follow, each bucket's behind
 * the buckets inside it. The metas are written last: a file that was not finished is none. Pages are full, which suits data that is appended to
 * or only read.
 */
import {
  BUCKET_ELEMENT,
  BUCKET_HEADER_BYTES,
  compareKeys,
  DEFAULT_PAGE_BYTES,
  MAX_KEY_BYTES,
  MAX_NESTING,
  MAX_PAGE_BYTES,
  MAX_VALUE_BYTES,
  MIN_PAGE_BYTES,
  PageFlag,
  view,
  writeUint64,
} from './format.ts';
import { encodeMetaPage } from './meta.ts';
import { type PageOutput, TreeWriter } from './tree-writer.ts';

/** Where the file goes. */
export interface BoltSink {
  /** Writes all of `bytes`, which may be used again afterwards. */
  write(bytes: Uint8Array, offset: number): void;
  /** Cuts or extends the file to `size` bytes. */
  truncate(size: number): void;
}

export interface BoltWriterOptions {
  /** A power of two. Default 4096; bbolt itself takes the system's page size. */
  readonly pageBytes?: number;
}

const FREELIST_PAGE = 2;
const FIRST_TREE_PAGE = 3;
/** Of the meta on page 0; the one on page 1 is the transaction before. */
const TRANSACTION = 2;
const NO_KEY = new Uint8Array(0);

interface OpenBucket {
  readonly name: Uint8Array;
  readonly sequence: number;
  readonly tree: TreeWriter;
  lastKey: Uint8Array | null;
}

export class BoltWriter {
  readonly #sink: BoltSink;
  readonly #output: BufferedPages;
  readonly #open: OpenBucket[] = [];
  #finished = false;

  constructor(sink: BoltSink, options: BoltWriterOptions = {}) {
    const pageBytes = options.pageBytes ?? DEFAULT_PAGE_BYTES;
    if (pageBytes < MIN_PAGE_BYTES || pageBytes > MAX_PAGE_BYTES || (pageBytes & (pageBytes - 1)) !== 0)
      throw new RangeError(`a page cannot have ${pageBytes} bytes`);
    this.#sink = sink;
    this.#output = new BufferedPages(sink, pageBytes);
    this.#open.push({ name: NO_KEY, sequence: 0, tree: new TreeWriter(this.#output), lastKey: null });
  }

  /** Bytes written so far. */
  get size(): number {
    return this.#output.nextId * this.#output.pageBytes;
  }

  /** @throws RangeError when `name` does not come after what its bucket already holds */
  beginBucket(name: Uint8Array, sequence = 0): void {
    if (this.#open.length > MAX_NESTING)
      throw new RangeError(`buckets are nested more than ${MAX_NESTING} deep`);
    this.#step(name);
    this.#open.push({ name, sequence, tree: new TreeWriter(this.#output), lastKey: null });
  }

  /** Key and value must not change until `finish`. @throws RangeError when `key` does not come after the one before, or is too long */
  put(key: Uint8Array, value: Uint8Array): void {
    if (this.#open.length === 1) throw new RangeError('a value belongs into a bucket');
    if (value.length > MAX_VALUE_BYTES) throw new RangeError(`a value of ${value.length} bytes is too long`);
    this.#step(key).tree.add(key, value, 0);
  }

  endBucket(): void {
    const bucket = this.#open.pop()!;
    const parent = this.#open.at(-1);
    if (parent === undefined) throw new RangeError('no bucket is open');
    // Small buckets live in their parent, as bbolt keeps them.
    const inline = bucket.tree.inlinePage(this.#output.pageBytes / 4 - BUCKET_HEADER_BYTES);
    const header = new Uint8Array(BUCKET_HEADER_BYTES + (inline?.length ?? 0));
    const into = view(header);
    if (inline === null) writeUint64(into, 0, bucket.tree.finish());
    else header.set(inline, BUCKET_HEADER_BYTES);
    writeUint64(into, 8, bucket.sequence);
    parent.tree.add(bucket.name, header, BUCKET_ELEMENT);
  }

  /** Ends the file. @returns its size in bytes */
  finish(): number {
    if (this.#open.length !== 1 || this.#finished) throw new RangeError('a bucket is still open');
    this.#finished = true;
    const rootPageId = this.#open[0]!.tree.finish();
    const highWater = this.#output.nextId;
    const { pageBytes } = this.#output;
    this.#output.flush();
    this.#sink.truncate(highWater * pageBytes);
    this.#sink.write(freelistPage(pageBytes), FREELIST_PAGE * pageBytes);
    for (const transactionId of [TRANSACTION, TRANSACTION - 1]) {
      const meta = { pageBytes, rootPageId, rootSequence: 0, freelistPageId: FREELIST_PAGE, highWater };
      this.#sink.write(encodeMetaPage({ ...meta, transactionId }), (transactionId % 2) * pageBytes);
    }
    return highWater * pageBytes;
  }

  #step(key: Uint8Array): OpenBucket {
    const bucket = this.#open.at(-1)!;
    if (key.length === 0 || key.length > MAX_KEY_BYTES)
      throw new RangeError(`a key has 1 to ${MAX_KEY_BYTES} bytes, not ${key.length}`);
    if (bucket.lastKey !== null && compareKeys(bucket.lastKey, key) >= 0)
      throw new RangeError('keys must ascend within a bucket');
    bucket.lastKey = key;
    return bucket;
  }
}

function freelistPage(pageBytes: number): Uint8Array {
  const page = new Uint8Array(pageBytes);
  const into = view(page);
  writeUint64(into, 0, FREELIST_PAGE);
  into.setUint16(8, PageFlag.freelist, true);
  return page;
}

const BUFFER_BYTES = 1024 * 1024;

/** Joins pages to writes of about a megabyte. */
class BufferedPages implements PageOutput {
  readonly pageBytes: number;
  readonly #sink: BoltSink;
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  #used = 0;
  #nextId = FIRST_TREE_PAGE;

  constructor(sink: BoltSink, pageBytes: number) {
    this.#sink = sink;
    this.pageBytes = pageBytes;
  }

  get nextId(): number {
    return this.#nextId;
  }

  append(page: Uint8Array): void {
    if (this.#used + page.length > BUFFER_BYTES) this.flush();
    if (page.length > BUFFER_BYTES) {
      this.#sink.write(page, this.#nextId * this.pageBytes);
    } else {
      this.#buffer.set(page, this.#used);
      this.#used += page.length;
    }
    this.#nextId += page.length / this.pageBytes;
  }

  flush(): void {
    if (this.#used === 0) return;
    this.#sink.write(this.#buffer.subarray(0, this.#used), this.#nextId * this.pageBytes - this.#used);
    this.#used = 0;
  }
}

/** Files in memory, and what is in them as plain values. */
import {
  type BoltBucket,
  BoltFile,
  type BoltSink,
  BoltWriter,
  bytesSource,
  checkFile,
} from '../src/index.ts';

/** A bucket as data: keys and values as latin-1 text, nested buckets as objects. */
export interface Tree {
  readonly [key: string]: string | Tree;
}

export class MemorySink implements BoltSink {
  #bytes = Buffer.alloc(0);

  get bytes(): Buffer {
    return this.#bytes;
  }

  write(bytes: Uint8Array, offset: number): void {
    if (offset + bytes.length > this.#bytes.length) this.truncate(offset + bytes.length);
    this.#bytes.set(bytes, offset);
  }

  truncate(size: number): void {
    const next = Buffer.alloc(size);
    this.#bytes.copy(next);
    this.#bytes = next;
  }
}

const bytesOf = (text: string): Buffer => Buffer.from(text, 'latin1');
const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

export function writeTree(tree: Tree, pageBytes = 4096): Buffer {
  const sink = new MemorySink();
  const writer = new BoltWriter(sink, { pageBytes });
  const write = (level: Tree): void => {
    for (const key of Object.keys(level).sort((a, b) => Buffer.compare(bytesOf(a), bytesOf(b)))) {
      const value = level[key]!;
      if (typeof value === 'string') {
        writer.put(bytesOf(key), bytesOf(value));
        continue;
      }
      writer.beginBucket(bytesOf(key));
      write(value);
      writer.endBucket();
    }
  };
  write(tree);
  const size = writer.finish();
  if (size !== sink.bytes.length) throw new Error('the size told is not the size written');
  return sink.bytes;
}

export function readTree(bytes: Uint8Array): Tree {
  const read = (bucket: BoltBucket): Tree => {
    const tree: Record<string, string | Tree> = {};
    const cursor = bucket.cursor();
    for (let more = cursor.first(); more; more = cursor.next())
      tree[textOf(cursor.key)] = cursor.isBucket ? read(bucket.open(cursor)) : textOf(cursor.value);
    return tree;
  };
  return read(new BoltFile(bytesSource(bytes)).root);
}

/** Reads all there is, in every way there is. */
export function readEverything(bytes: Uint8Array): void {
  const file = new BoltFile(bytesSource(bytes), { cacheBytes: 64 * 1024 });
  const walk = (bucket: BoltBucket): void => {
    for (const { key, value } of bucket.entries()) void (key.length + value.length);
    for (const probe of ['', 'm', '\xff\xff']) bucket.cursor().seek(bytesOf(probe));
  };
  walk(file.root);
  for (const name of file.bucketNames()) walk(file.bucket(name)!);
  checkFile(file);
}

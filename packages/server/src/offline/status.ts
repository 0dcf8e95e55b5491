/** What is in a snapshot file, in a few numbers: those of `etcdutl snapshot status`. */
import { crc32c } from '@node-rs/crc32';
import { checkFile } from '@quorate/bbolt';
import { recordOfRow } from '../etcd-image/records.ts';
import { Bucket, decodeRevisionKey, MetaKey } from '../etcd-image/schema.ts';
import { OfflineError } from './errors.ts';
import { withImage } from './etcd-image.ts';

export interface SnapshotStatus {
  /** CRC-32C over the names of the buckets and all keys and values, in order. */
  readonly hash: number;
  readonly revision: number;
  /** Keys that are not deleted. */
  readonly totalKey: number;
  readonly totalSize: number;
  /** Storage version; empty before 3.6. */
  readonly version: string;
}

const BUFFER_BYTES = 64 * 1024;

/** Looks at every page. @throws OfflineError naming the first that is damaged */
export function snapshotStatus(path: string): Promise<SnapshotStatus> {
  return withImage(path, (image) => {
    const { file } = image;
    checkFile(file);
    const hash = new RunningHash();
    const alive = new Set<string>();
    let revision = 0;
    for (const name of file.bucketNames()) {
      hash.add(name);
      const isKeys = Buffer.from(name).toString() === Bucket.key;
      for (const row of file.bucket(name)!.entries()) {
        hash.add(row.key);
        hash.add(row.value);
        if (!isKeys) continue;
        const found = decodeRevisionKey(row.key);
        if (found === null) throw new OfflineError('bad-source', `${path} is damaged: a key is no revision`);
        revision = found.main;
        const { record } = recordOfRow(row);
        const key = record === null ? '' : keyOf(record.encoded);
        if (found.tombstone) alive.delete(key);
        else alive.add(key);
      }
    }
    return {
      hash: hash.value(),
      revision,
      totalKey: alive.size,
      totalSize: file.usedBytes,
      version: Buffer.from(image.meta(MetaKey.storageVersion) ?? []).toString(),
    };
  });
}

/** The key in `KeyValue` bytes, as text of one character per byte. */
function keyOf(encoded: Uint8Array): string {
  let length = 0;
  let at = 1;
  for (let scale = 1; ; scale *= 128) {
    const byte = encoded[at++];
    if (byte === undefined) throw new RangeError('the key of a record is cut short');
    length += (byte & 0x7f) * scale;
    if (byte < 0x80) break;
  }
  return Buffer.from(encoded.buffer, encoded.byteOffset + at, length).toString('latin1');
}

/** CRC-32C of many small pieces: calls to the native code are what costs, so pieces are joined. */
class RunningHash {
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  #used = 0;
  #crc = 0;

  add(bytes: Uint8Array): void {
    if (this.#used + bytes.length > BUFFER_BYTES) this.#flush();
    if (bytes.length > BUFFER_BYTES) {
      this.#crc = crc32c(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), this.#crc);
      return;
    }
    this.#buffer.set(bytes, this.#used);
    this.#used += bytes.length;
  }

  value(): number {
    this.#flush();
    return this.#crc >>> 0;
  }

  #flush(): void {
    if (this.#used > 0) this.#crc = crc32c(this.#buffer.subarray(0, this.#used), this.#crc);
    this.#used = 0;
  }
}

/**
 * Reads a bbolt file that an etcd server (3.4 or later) or `Maintenance.Snapshot` made: the state after one log entry.
 *
 * A saved snapshot has the SHA-256 of everything before it as its last 32 bytes; pages come in multiples of 512, so the size tells whether it is
 * there (sem-192). A file copied out of a data folder has none.
 */
import { createHash } from 'node:crypto';
import { BoltError, BoltFile, type BoltFileHandle, openFile } from '@quorate/bbolt';
import type { StoreBuilder } from '@quorate/mvcc';
import { DecodeError } from '@quorate/proto';
import { recordOfRow } from '../etcd-image/records.ts';
import {
  ALARMS_TABLE,
  alarmFromRow,
  Bucket,
  decodeCounter,
  decodeRevisionKey,
  LEASES_TABLE,
  leaseFromRow,
  MetaKey,
  type Row,
  VERBATIM_TABLES,
} from '../etcd-image/schema.ts';
import { OfflineError } from './errors.ts';
import { existing } from './existing.ts';

const TRAILER_BYTES = 32;
const SECTOR_BYTES = 512;
const READ_BYTES = 1024 * 1024;
const RECORDS_AT_ONCE = 1_000;
const RECORD_BYTES_AT_ONCE = 4 * 1024 * 1024;

export class EtcdImage {
  readonly path: string;
  readonly file: BoltFile;
  readonly #source: BoltFileHandle;

  /** @throws OfflineError */
  static open(path: string): EtcdImage {
    const size = sizeOf(path);
    const source = openFile(path, size - (hasTrailer(size) ? TRAILER_BYTES : 0));
    try {
      return new EtcdImage(path, source);
    } catch (error) {
      source.close();
      throw asOffline(path, error);
    }
  }

  private constructor(path: string, source: BoltFileHandle) {
    this.path = path;
    this.#source = source;
    this.file = new BoltFile(source);
    if (this.file.bucket(Bucket.key) === null)
      throw new OfflineError('bad-source', `${path} is no snapshot: it has no bucket "key"`);
  }

  close(): void {
    this.#source.close();
  }

  /** One value of the `meta` bucket. */
  meta(name: string): Uint8Array | null {
    return this.file.bucket(Bucket.meta)?.get(Buffer.from(name)) ?? null;
  }

  /** Last log entry in it, and its term (0 before 3.5). */
  get appliedIndex(): number {
    return this.#counter(MetaKey.consistentIndex);
  }

  get appliedTerm(): number {
    return this.#counter(MetaKey.term);
  }

  #counter(name: string): number {
    const bytes = this.meta(name);
    if (bytes === null) return 0;
    const counter = decodeCounter(bytes);
    if (counter === null)
      throw new OfflineError('bad-source', `${this.path} is damaged: its ${name} is no number`);
    return counter;
  }

  /** Revision up to which it is compacted, -1 for never: also when the removal was only planned. */
  get compactRevision(): number {
    let compacted = -1;
    for (const name of [MetaKey.finishedCompact, MetaKey.scheduledCompact]) {
      const bytes = this.meta(name);
      if (bytes === null) continue;
      const revision = decodeRevisionKey(bytes);
      if (revision === null)
        throw new OfflineError('bad-source', `${this.path} is damaged: its ${name} is no revision`);
      if (revision.main > 0) compacted = Math.max(compacted, revision.main);
    }
    return compacted;
  }

  get authEnabled(): boolean {
    return this.file.bucket(Bucket.auth)?.get(Buffer.from('authEnabled'))?.[0] === 1;
  }

  /** Members that vote, by the `members` bucket. */
  get voterCount(): number {
    let count = 0;
    for (const { value } of this.file.bucket(Bucket.members)?.entries() ?? [])
      if (!Buffer.from(value).includes('"isLearner":true')) count++;
    return count;
  }

  /**
   * Hands everything to `builder` but who the members are.
   * @returns the newest revision in it
   * @throws OfflineError, and the builder's errors
   */
  copyTo(builder: StoreBuilder): number {
    const table = (bucket: string, name: string, translate: (row: Row) => Row | null): void => {
      for (const row of this.file.bucket(bucket)?.entries() ?? []) {
        const translated = translate(row);
        if (translated === null)
          throw new OfflineError(
            'bad-source',
            `${this.path} is damaged: a row of "${bucket}" cannot be read`,
          );
        builder.putMeta(name, translated.key, translated.value);
      }
    };
    table(Bucket.lease, LEASES_TABLE, leaseFromRow);
    table(Bucket.alarm, ALARMS_TABLE, alarmFromRow);
    for (const name of VERBATIM_TABLES) table(name, name, (row) => row);
    let newest = 1;
    let records = [];
    let bytes = 0;
    for (const row of this.file.bucket(Bucket.key)!.entries()) {
      const { main, record } = recordOfRow(row);
      newest = Math.max(newest, main);
      if (record !== null) records.push(record);
      bytes += row.value.length;
      if (records.length < RECORDS_AT_ONCE && bytes < RECORD_BYTES_AT_ONCE) continue;
      builder.addRecords(records);
      records = [];
      bytes = 0;
    }
    builder.addRecords(records);
    return Math.max(newest, this.compactRevision);
  }
}

/** @throws OfflineError when the trailer is missing or wrong (texts as etcdutl's) */
export function checkTrailer(path: string): void {
  sizeOf(path);
  const source = openFile(path);
  try {
    const { size } = source;
    if (!hasTrailer(size))
      throw new OfflineError('bad-source', 'snapshot missing hash but --skip-hash-check=false');
    const hash = createHash('sha256');
    const end = size - TRAILER_BYTES;
    for (let at = 0; at < end; at += READ_BYTES) hash.update(source.read(at, Math.min(READ_BYTES, end - at)));
    const found = hash.digest();
    const expected = source.read(end, TRAILER_BYTES);
    if (!found.equals(expected)) {
      throw new OfflineError(
        'bad-source',
        `expected sha256 [${expected.join(' ')}], got [${[...found].join(' ')}]`,
      );
    }
  } finally {
    source.close();
  }
}

/** Runs `work` on the image in `path`; damage comes out as one kind of error. */
export async function withImage<T>(path: string, work: (image: EtcdImage) => T | Promise<T>): Promise<T> {
  const image = EtcdImage.open(path);
  try {
    return await work(image);
  } catch (error) {
    throw asOffline(path, error);
  } finally {
    image.close();
  }
}

function asOffline(path: string, error: unknown): unknown {
  const name = error instanceof Error ? error.name : '';
  const damage = [BoltError, RangeError, DecodeError].some((kind) => error instanceof kind);
  if (damage || name === 'RefusedRecordError')
    return new OfflineError('bad-source', `${path} is damaged: ${(error as Error).message}`, {
      cause: error,
    });
  return error;
}

function hasTrailer(size: number): boolean {
  return size % SECTOR_BYTES === TRAILER_BYTES;
}

function sizeOf(path: string): number {
  const found = existing(path);
  if (found === null) throw new OfflineError('not-found', `there is no file ${path}`);
  if (!found.isFile()) throw new OfflineError('bad-source', `${path} is no file`);
  return found.size;
}

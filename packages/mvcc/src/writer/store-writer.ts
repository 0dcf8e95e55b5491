/**
 * The writer: every change of the database happens here, in one thread, one transaction per job.
 *
 * The applied index lies in the same transaction as the data it speaks of (`log`). Heads are derived data: a flush of them
 * comes in parts, in key order, and a restart after some of its parts derives the rest again from `log`, so each part looks at what
 * is really there instead of trusting what the main thread thought was there.
 */
import {
  type Backend,
  type BackendCopy,
  BackendError,
  type BackendTransaction,
  type BackendWriter,
} from '../backend/backend.ts';
import { BlockChanges, BlockIndex } from '../blocks.ts';
import { EMPTY } from '../bytes.ts';
import type { MvccFailpoint } from '../failpoints.ts';
import { readHeadEntry } from '../head-entry.ts';
import { BucketTransaction, isLongKey } from '../key-codec.ts';
import { RemovalPass } from '../removal.ts';
import { REVISION_KEY_BYTES } from '../revision.ts';
import {
  clearProgress,
  readHeads,
  readRemoval,
  readSequence,
  writeApplied,
  writeHeads,
  writeProgress,
  writeRemoval,
  writeSequence,
} from '../state.ts';
import { GRAVES, HEAD, LOG, leaseKeysTable, metaTable } from '../tables.ts';
import { FrameReader, type WriterJob, type WriterResult } from './jobs.ts';

export interface StoreWriterOptions {
  readonly backend: Backend;
  readonly blockKeys: number;
  readonly failpoint: (name: MvccFailpoint) => void;
}

/** Entry flags in a batch of heads. */
export const HEAD_TOMBSTONE = 1;
export const HEAD_HAS_PREVIOUS = 2;

/** Code of a failed defragmentation after which the writer has no file to go on with. */
export const MOVE_FAILED = 'MOVE_FAILED';

type Done = (error: Error | null, result: WriterResult | null) => void;
type WriteJob = Extract<WriterJob, { kind: 'log' | 'heads' | 'remove' }>;

export class StoreWriter {
  readonly #options: StoreWriterOptions;
  #backend: Backend;
  #writer: BackendWriter;
  #blocks: BlockIndex | null = null;
  /** Jobs done while a copy is made: the copy is as old as its beginning and gets them afterwards. Null: no copy. */
  #journal: { sequence: number; job: WriteJob }[] | null = null;
  #journalBytes = 0;
  /** Gives up the copy that is being made. */
  #cancelCopy = (): void => {};
  /** What removal has noted, of the file that `writer` writes. */
  #pass: { readonly writer: BackendWriter; readonly removal: RemovalPass } | null = null;
  /** Number of the last job done, kept in the database. */
  #sequence = 0;
  /** Between a move and `resume`. Opening the file takes LMDB's write lock, which a transaction here would hold. */
  #moved = false;
  #waiting: { job: WriterJob; done: Done }[] = [];

  constructor(options: StoreWriterOptions) {
    this.#options = options;
    this.#backend = options.backend;
    this.#writer = options.backend.openWriter();
    const reader = options.backend.openReader();
    this.#sequence = readSequence(reader);
    reader.close();
  }

  /** Does `job`; `done` is called in this turn, except for a defragmentation and for what has to wait for it. */
  run(job: WriterJob, done: Done): void {
    if (job.kind === 'resume') {
      this.#moved = false;
      done(null, { kind: 'done' });
      this.#runWaiting();
      return;
    }
    if (this.#moved || this.#waiting.length > 0 || (this.#journal !== null && !this.#canRunDuringCopy(job))) {
      this.#waiting.push({ job, done });
      // Nobody who leaves the file, or gets another one, waits for a better copy of it.
      if (job.kind === 'close' || job.kind === 'install') this.#cancelCopy();
      return;
    }
    try {
      if (job.kind === 'defragment') this.#defragment(done);
      else if (job.kind === 'install') done(null, this.#install(job.name));
      else if (job.kind === 'close') {
        this.#writer.close();
        done(null, { kind: 'done' });
      } else {
        const result = this.#write(this.#writer, job, this.#sequence + 1);
        this.#sequence++;
        if (this.#journal !== null) this.#remember(job);
        done(null, result);
      }
    } catch (error) {
      done(error as Error, null);
    }
  }

  /** Whether the bytes of a job that is done are still needed: for the copy that is being made. */
  keeps(job: WriterJob): boolean {
    return this.#journal?.some((kept) => kept.job === job) ?? false;
  }

  #canRunDuringCopy(job: WriterJob): boolean {
    const writes = job.kind === 'log' || job.kind === 'heads' || job.kind === 'remove';
    return writes && this.#journalBytes < MAX_JOURNAL_BYTES;
  }

  #remember(job: WriteJob): void {
    this.#journal!.push({ sequence: this.#sequence, job });
    if (job.kind === 'log') this.#journalBytes += job.records.length;
    else if (job.kind === 'heads') this.#journalBytes += job.entries.length;
  }

  #write(writer: BackendWriter, job: WriteJob, sequence: number): WriterResult {
    const numbered: BackendWriter['write'] = (work) =>
      writer.write((transaction) => {
        writeSequence(transaction, sequence);
        work(transaction);
      });
    switch (job.kind) {
      case 'log':
        return this.#writeLog(numbered, job);
      case 'heads':
        return this.#writeHeads(numbered, job);
      case 'remove':
        return this.#removeSlice(writer, numbered, job);
    }
  }

  #writeLog(write: BackendWriter['write'], job: Extract<WriterJob, { kind: 'log' }>): WriterResult {
    write((transaction) => {
      appendRecords(transaction, job.records);
      for (const [table, key, value] of job.meta) {
        if (value === null) metaTable(table).remove(transaction, key);
        else metaTable(table).put(transaction, key, value);
      }
      writeApplied(transaction, job.state);
      this.#options.failpoint('mvccBeforeLogCommit');
    });
    this.#options.failpoint('mvccAfterLogCommit');
    return { kind: 'done' };
  }

  #writeHeads(write: BackendWriter['write'], job: Extract<WriterJob, { kind: 'heads' }>): WriterResult {
    let longKeys = false;
    let blocks: BlockIndex | null = null;
    write((transaction) => {
      blocks = this.#blocks ??= BlockIndex.load(transaction);
      const before = readHeads(transaction);
      longKeys = before.longKeys;
      const changes = new BlockChanges(blocks, this.#options.blockKeys);
      const entries = new FrameReader(job.entries);
      const buckets = new BucketTransaction(transaction);
      while (!entries.ended) {
        const flags = entries.byte();
        const key = entries.frame();
        const change = putHead(buckets, flags, key, entries.frame());
        if (change !== 0) changes.change(key, change);
        if (isLongKey(key)) longKeys = true;
      }
      buckets.settle();
      changes.settle(transaction);
      if (job.last) {
        clearProgress(transaction);
        writeHeads(transaction, { watermark: job.watermark, longKeys });
      } else {
        const { flushId, watermark, progress: below } = job;
        writeProgress(transaction, { flushId, watermark, below });
        if (longKeys !== before.longKeys) writeHeads(transaction, { ...before, longKeys });
      }
      this.#options.failpoint('mvccBeforeHeadCommit');
    });
    this.#options.failpoint('mvccAfterHeadCommit');
    return job.last ? { kind: 'heads', blocks: blocks!.pack(), longKeys } : { kind: 'done' };
  }

  #removeSlice(
    writer: BackendWriter,
    write: BackendWriter['write'],
    job: Extract<WriterJob, { kind: 'remove' }>,
  ): WriterResult {
    const removal = this.#passOf(writer, job);
    // A transaction that changes nothing is not synced.
    if (!removal.known) writer.write((transaction) => removal.look(transaction, job.maxRecords));
    if (!removal.known) return { kind: 'removed', finished: false };
    let finished = false;
    write((transaction) => {
      const state = removal.remove(transaction, job.maxRecords);
      writeRemoval(transaction, state);
      finished = state.target === 0;
      this.#options.failpoint(finished ? 'mvccBeforeRemoveFinish' : 'mvccBeforeRemoveCommit');
    });
    if (removal.ended) this.#pass = null;
    this.#options.failpoint(finished ? 'mvccAfterRemoveFinish' : 'mvccAfterRemoveCommit');
    return { kind: 'removed', finished };
  }

  /** The pass under way, or a new one: notes of another file, or of another compaction, mean nothing. */
  #passOf(
    writer: BackendWriter,
    { target, passRecords }: Extract<WriterJob, { kind: 'remove' }>,
  ): RemovalPass {
    if (this.#pass?.writer === writer && this.#pass.removal.target === target) return this.#pass.removal;
    let removal: RemovalPass | null = null;
    writer.write((transaction) => {
      removal = new RemovalPass(readRemoval(transaction), target, passRecords);
    });
    this.#pass = { writer, removal: removal! };
    return removal!;
  }

  #defragment(done: Done): void {
    this.#options.failpoint('mvccBeforeCopy');
    this.#journal = [];
    this.#journalBytes = 0;
    const copied = (error: Error | null, copy: BackendCopy | null): void => {
      try {
        if (error !== null) throw error;
        this.#options.failpoint('mvccAfterCopy');
        this.#moveTo(copy!);
        this.#endCopy();
        this.#moved = true;
        done(null, { kind: 'moved' });
      } catch (failure) {
        // Perhaps that of the copy, or of a job cut short: the old file's is read again.
        this.#blocks = null;
        this.#endCopy();
        copy?.discard();
        done(failure as Error, null);
      }
      this.#runWaiting();
    };
    try {
      this.#cancelCopy = this.#backend.copyCompact(copied);
    } catch (error) {
      // Not even begun, as on a full disk: jobs must not wait for it.
      this.#endCopy();
      throw error;
    }
  }

  /** After it the writer holds still until `resume`, as after a defragmentation. */
  #install(name: string): WriterResult {
    this.#options.failpoint('mvccBeforeInstall');
    const backend = this.#backend.adoptFresh(name, (place) => {
      if (place === 'beforeRename') this.#options.failpoint('mvccBeforeInstallRename');
      else if (place === 'beforeDirectorySync') this.#options.failpoint('mvccBeforeInstallSync');
      else this.#options.failpoint('mvccAfterInstallSync');
    });
    this.#writer.close();
    this.#backend = backend;
    this.#writer = backend.openWriter();
    this.#blocks = null;
    const reader = backend.openReader();
    this.#sequence = readSequence(reader);
    reader.close();
    this.#moved = true;
    return { kind: 'moved' };
  }

  #runWaiting(): void {
    if (this.#moved) return;
    for (const { job, done } of this.#waiting.splice(0)) this.run(job, done);
  }

  #endCopy(): void {
    this.#journal = null;
    this.#journalBytes = 0;
  }

  /**
   * Brings the copy up to date and goes on with it. The copy was taken somewhere after the journal began, so it may hold the first
   * jobs of it; the job number, written with each job, tells which.
   */
  #moveTo(copy: BackendCopy): void {
    const writer = copy.openWriter();
    let copied = 0;
    writer.write((transaction) => {
      copied = readSequence(transaction);
    });
    this.#blocks = null;
    for (const { sequence, job } of this.#journal!) if (sequence > copied) this.#write(writer, job, sequence);
    writer.close();
    const backend = copy.adopt((place) => {
      if (place === 'beforeRename') this.#options.failpoint('mvccBeforeRename');
      else if (place === 'beforeDirectorySync') this.#options.failpoint('mvccBeforeDirectorySync');
      else this.#options.failpoint('mvccAfterDirectorySync');
    });
    try {
      this.#writer.close();
      this.#backend = backend;
      this.#writer = backend.openWriter();
      this.#blocks = null;
    } catch (error) {
      throw new BackendError(MOVE_FAILED, 'the defragmented file cannot be opened', { cause: error });
    }
  }
}

/** While a copy is made, so much of its missing jobs is kept in memory; then jobs wait for the copy. */
const MAX_JOURNAL_BYTES = 64 << 20;

/** Records as `RecordSegment.pack` frames them, all above what `log` holds. */
export function appendRecords(transaction: BackendTransaction, packed: Uint8Array): void {
  const records = new FrameReader(packed);
  while (!records.ended) {
    const key = records.take(REVISION_KEY_BYTES);
    transaction.append(LOG, key, records.frame());
  }
}

/** Brings one key's newest record to `head` or `graves`. @returns by how much the number of live keys changed */
export function putHead(
  transaction: BucketTransaction,
  flags: number,
  key: Uint8Array,
  entry: Uint8Array,
): number {
  const tombstone = (flags & HEAD_TOMBSTONE) !== 0;
  const old = HEAD.get(transaction, key);
  const wasLive = old !== undefined;
  const oldLease = wasLive ? readHeadEntry(old, false).lease : 0n;
  const lease = tombstone ? 0n : readHeadEntry(entry, false).lease;
  if (tombstone) {
    if (wasLive) HEAD.remove(transaction, key);
    GRAVES.put(transaction, key, entry);
  } else {
    if (!wasLive && flags & HEAD_HAS_PREVIOUS) GRAVES.remove(transaction, key);
    HEAD.put(transaction, key, entry);
  }
  if (oldLease !== lease) {
    if (oldLease !== 0n) leaseKeysTable(oldLease).remove(transaction, key);
    if (lease !== 0n) leaseKeysTable(lease).put(transaction, key, EMPTY);
  }
  return (tombstone ? 0 : 1) - (wasLive ? 1 : 0);
}

/**
 * Writes an open image of the store as a bbolt file such as etcd keeps.
 *
 *     image ──readRecords, 2 ms──> rows, packed ──thread──> pages ──> file
 *
 * Between two slices other work of the member goes on, and no more than a few slices wait for the thread, so that memory and pauses do not
 * depend on the size of the store. While others write, each slice is followed by a rest: slice after slice would make every put wait.
 */
import { Worker } from 'node:worker_threads';
import type { StoreImage } from '@quorate/mvcc';
import type { Env } from '../env.ts';
import type { FromImageWorker, ToImageWorker } from './image-worker.ts';
import { packRows } from './packed-rows.ts';
import { rowOfRecord } from './records.ts';
import { Bucket, type Row } from './schema.ts';
import { smallBuckets } from './small-buckets.ts';

const SLICE_BYTES = 256 * 1024;
/** Slices that may wait for the thread. */
const MAX_WAITING = 4;
/** Twice what a slice takes: a million keys of 256 bytes then take five seconds longer (docs/performance.md, "Snapshots beside puts"). */
const REST_MS = 4;

export type ImageEnv = Pick<Env, 'afterPoll' | 'setTimer'>;

export interface ImageFileOptions {
  /** Closed by its owner, not here. */
  readonly image: StoreImage;
  /** A name that is not taken. */
  readonly path: string;
  /** Of the store now, as opposed to the image's: when it moves, others write. */
  readonly appliedIndex: () => number;
  readonly env: ImageEnv;
}

export class ImageFile {
  readonly #options: ImageFileOptions;
  readonly #worker: Worker;
  readonly #done: (error: Error | null, sizeBytes: number) => void;
  #waiting = 0;
  #ended = false;
  /** What follows once there is room for another slice; null while one is on its way. */
  #goOn: (() => void) | null = null;

  /** @param done exactly once, unless cancelled before; an error leaves a file that the caller removes */
  constructor(options: ImageFileOptions, done: (error: Error | null, sizeBytes: number) => void) {
    this.#options = options;
    this.#done = done;
    // Built, this module lies in a chunk beside the entries.
    const worker = import.meta.url.endsWith('.ts') ? './image-worker.ts' : './image-worker.js';
    this.#worker = new Worker(new URL(worker, import.meta.url), { workerData: { path: options.path } });
    this.#worker.on('message', (message: FromImageWorker) => this.#onMessage(message));
    this.#worker.on('error', (error) => this.#end(error as Error, 0));
    this.#worker.on('exit', () => this.#end(new Error('the thread that writes the image has ended'), 0));
    this.#start();
  }

  /** `done` is not called any more. Resolves when nothing writes to the file. */
  async cancel(): Promise<void> {
    this.#ended = true;
    await this.#worker.terminate();
  }

  #start(): void {
    const { image } = this.#options;
    try {
      const buckets = smallBuckets(image);
      const before = buckets.filter(({ name }) => name < Bucket.key);
      const after = buckets.filter(({ name }) => name > Bucket.key);
      for (const { name, rows } of before) this.#bucket(name, rows);
      this.#send({ kind: 'bucket', name: Bucket.key });
      this.#records(() => {
        for (const { name, rows } of after) this.#bucket(name, rows);
        this.#send({ kind: 'finish' });
      });
    } catch (error) {
      this.#end(error as Error, 0);
    }
  }

  #records(end: () => void): void {
    const { image, appliedIndex, env } = this.#options;
    let seenIndex = appliedIndex();
    const next = (): void => {
      const index = appliedIndex();
      if (index === seenIndex) env.afterPoll(slice);
      else env.setTimer(REST_MS, slice);
      seenIndex = index;
    };
    const slice = (): void => {
      if (this.#ended) return;
      try {
        const records = image.readRecords(SLICE_BYTES);
        if (records.length === 0) {
          end();
          return;
        }
        this.#rows(records.map(rowOfRecord));
      } catch (error) {
        this.#end(error as Error, 0);
        return;
      }
      if (this.#waiting < MAX_WAITING) next();
      else this.#goOn = next;
    };
    env.afterPoll(slice);
  }

  #bucket(name: string, rows: readonly Row[]): void {
    this.#send({ kind: 'bucket', name });
    if (rows.length > 0) this.#rows(rows);
  }

  #rows(rows: readonly Row[]): void {
    const packed = packRows(rows);
    this.#waiting++;
    this.#worker.postMessage({ kind: 'rows', packed } satisfies ToImageWorker, [packed.buffer]);
  }

  #send(message: ToImageWorker): void {
    this.#worker.postMessage(message);
  }

  #onMessage(message: FromImageWorker): void {
    if (message.kind === 'failed') this.#end(new Error(message.message), 0);
    else if (message.kind === 'finished') this.#end(null, message.sizeBytes);
    else {
      this.#waiting--;
      const goOn = this.#goOn;
      this.#goOn = null;
      goOn?.();
    }
  }

  #end(error: Error | null, sizeBytes: number): void {
    if (this.#ended) return;
    this.#ended = true;
    void this.#worker.terminate();
    this.#done(error, sizeBytes);
  }
}

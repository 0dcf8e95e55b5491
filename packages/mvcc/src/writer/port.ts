/**
 * The main thread's side of the writer: jobs go in, answers come back in order.
 *
 * Two of them: a worker thread (`threaded`), and the same work in this thread, one job per turn (`inline`), for tests and the
 * simulator.
 */
import { Worker } from 'node:worker_threads';
import { BackendError } from '../backend/backend.ts';
import { type GateMemory, newGate, removeGate, terminateAtGate } from '../backend/exit-gate.ts';
import type { MvccFailpoint } from '../failpoints.ts';
import type { WriterJob, WriterResult } from './jobs.ts';
import { StoreWriter, type StoreWriterOptions } from './store-writer.ts';

export interface WriterPort {
  /** Starts now what would otherwise start with the first job. */
  prepare(): void;
  /** A buffer of at least so many bytes for the next job: one that the writer gave back, when it has the size. */
  buffer(bytes: number): ArrayBuffer;
  submit(job: WriterJob, done: (error: Error | null, result: WriterResult | null) => void): void;
  /** Ends the thread at once. */
  terminate(): Promise<void>;
}

export function inlineWriter(
  options: StoreWriterOptions,
  afterPoll: (callback: () => void) => void,
): WriterPort {
  const writer = new StoreWriter(options);
  const queue: (() => void)[] = [];
  let scheduled = false;
  const schedule = (): void => {
    if (scheduled || queue.length === 0) return;
    scheduled = true;
    afterPoll(runOne);
  };
  const runOne = (): void => {
    scheduled = false;
    queue.shift()!();
    schedule();
  };
  return {
    prepare: () => {},
    buffer: (bytes) => new ArrayBuffer(bytes),
    submit: (job, done) => {
      // Between a job and its answer there is a turn, as with a thread: what was committed can be seen before it is told.
      queue.push(() => writer.run(job, (error, result) => afterPoll(() => done(error, result))));
      schedule();
    },
    terminate: () => Promise.resolve(),
  };
}

/** What the worker is started with. */
export interface WriterData {
  readonly directory: string;
  readonly mapSizeBytes: number;
  readonly blockKeys: number;
  readonly gate: GateMemory;
  /** Whether somebody wants to hear of failpoints: then the worker asks and waits. */
  readonly failpoints: { readonly answer: Int32Array } | null;
}

export type ToWorker = { readonly id: number; readonly job: WriterJob };
export type FromWorker =
  /** `spent`: bytes of the job, which the writer is done with. */
  | { readonly id: number; readonly result: WriterResult; readonly spent: ArrayBuffer | null }
  | { readonly id: number; readonly error: { readonly code: string; readonly message: string } }
  | { readonly failpoint: MvccFailpoint };

/** Values of the answer to a failpoint. */
export const ANSWER_NONE = 0;
export const ANSWER_GO_ON = 1;
export const ANSWER_THROW = 2;

export function threadedWriter(
  data: Omit<WriterData, 'failpoints' | 'gate'>,
  failpoint: ((name: MvccFailpoint) => void) | undefined,
  onFatal: (error: Error) => void,
): WriterPort {
  const answer = failpoint === undefined ? null : new Int32Array(new SharedArrayBuffer(4));
  const gate = newGate();
  const workerData: WriterData = { ...data, gate, failpoints: answer === null ? null : { answer } };
  // Built, this module lies in a chunk beside the entry.
  const file = import.meta.url.endsWith('.ts') ? '../writer-worker.ts' : './writer-worker.js';
  // A batch lives for one job and the rest is native: a small young generation costs the writer nothing.
  const resourceLimits = { maxYoungGenerationSizeMb: 6 };
  const name = 'quorate-mvcc';
  const worker = new Worker(new URL(file, import.meta.url), { name, workerData, resourceLimits });
  const waiting = new Map<number, (error: Error | null, result: WriterResult | null) => void>();
  const spare = new SpareBuffer();
  let lastId = 0;
  let ended = false;
  const fail = (error: Error): void => {
    if (ended) return;
    ended = true;
    const callbacks = [...waiting.values()];
    waiting.clear();
    onFatal(error);
    for (const done of callbacks) done(error, null);
  };
  worker.on('message', (message: FromWorker) => {
    if ('failpoint' in message) {
      let value = ANSWER_GO_ON;
      try {
        failpoint!(message.failpoint);
      } catch {
        value = ANSWER_THROW;
      }
      Atomics.store(answer!, 0, value);
      Atomics.notify(answer!, 0);
      return;
    }
    const done = waiting.get(message.id)!;
    waiting.delete(message.id);
    if ('error' in message) done(new BackendError(message.error.code, message.error.message), null);
    else {
      if (message.spent !== null) spare.give(message.spent);
      done(null, message.result);
    }
  });
  worker.on('error', (error) => fail(error as Error));
  worker.on('exit', (code) => {
    removeGate(gate);
    fail(new Error(`the writer thread ended with code ${code}`));
  });
  return {
    prepare: () => {},
    buffer: (bytes) => spare.take(bytes),
    submit: (job, done) => {
      const id = ++lastId;
      if (ended) {
        done(new Error('the writer thread has ended'), null);
        return;
      }
      // After `close` the thread ends by itself, and the end may be heard of together with the answer.
      waiting.set(
        id,
        job.kind !== 'close'
          ? done
          : (error, result) => {
              ended = true;
              done(error, result);
            },
      );
      worker.postMessage({ id, job } satisfies ToWorker, buffersOf(job));
    },
    terminate: async () => {
      ended = true;
      await terminateAtGate(worker, gate);
    },
  };
}

/** A larger one is not worth keeping: flushes are that large only while the disk does not keep up. */
const MAX_SPARE_BYTES = 8 << 20;
const SPARE_STEP_BYTES = 1 << 20;

/**
 * The buffer that flushes travel in, there and back. One for each would be 4 MiB of garbage outside of the heap, a few times a second, which two
 * collectors leave where it is until their own heaps are due.
 */
class SpareBuffer {
  #bytes: ArrayBuffer | null = null;

  take(bytes: number): ArrayBuffer {
    const kept = this.#bytes;
    this.#bytes = null;
    if (kept !== null && kept.byteLength >= bytes) return kept;
    return new ArrayBuffer(Math.ceil(bytes / SPARE_STEP_BYTES) * SPARE_STEP_BYTES);
  }

  give(buffer: ArrayBuffer): void {
    if (buffer.byteLength <= MAX_SPARE_BYTES) this.#bytes = buffer;
    else freeBuffer(buffer);
  }
}

/** Gives the memory back now instead of at the next collection. */
export function freeBuffer(buffer: ArrayBuffer): void {
  buffer.transfer(0);
}

function buffersOf(job: WriterJob): ArrayBuffer[] {
  if (job.kind === 'log') return [job.records.buffer as ArrayBuffer];
  if (job.kind === 'heads') return [job.entries.buffer as ArrayBuffer];
  return [];
}

/**
 * The receiving member's side of an image: chunks go to the thread that builds, one at a time, and its result waits to be installed.
 *
 * Two of them: a thread of its own (`threaded`), since building a large store takes seconds of work, and the same work in this thread (`inline`), for tests and the simulator.
 */
import { Worker } from 'node:worker_threads';
import { type Backend, BackendError } from '../backend/backend.ts';
import { type GateMemory, newGate, removeGate, terminateAtGate } from '../backend/exit-gate.ts';
import { removeFresh } from '../backend/lmdb/backend.ts';
import { BuildCore, RefusedRecordError } from './build-core.ts';
import { DamagedImageError } from './chunks.ts';
import { ImageReceiver } from './receiver.ts';
import type { ImageInfo, ImageSink } from './types.ts';

type Done = (error: Error | null, info: ImageInfo | null) => void;

/** What does the work of a sink. One request at a time. */
export interface ReceiverPort {
  write(chunk: Uint8Array, done: Done): void;
  finish(done: Done): void;
  /** Leaves nothing behind; what is under way is not answered any more. */
  abort(): void;
}

export class StoreSink implements ImageSink {
  /** Of the fresh database that is built. */
  readonly name: string;
  readonly #port: ReceiverPort;
  readonly #failpoint: () => void;
  #state: 'open' | 'busy' | 'finished' | 'over' = 'open';
  #info: ImageInfo | null = null;

  /** @param failpoint visited when the image is complete and durable */
  constructor(name: string, port: ReceiverPort, failpoint: () => void) {
    this.name = name;
    this.#port = port;
    this.#failpoint = failpoint;
  }

  /** What was received, when it is whole, durable, and not installed yet. */
  get received(): ImageInfo | null {
    return this.#state === 'finished' ? this.#info : null;
  }

  write(chunk: Uint8Array, done: (error: Error | null) => void): void {
    this.#request(
      (answer) => this.#port.write(chunk, answer),
      (error) => {
        this.#state = 'open';
        done(error);
      },
      done,
    );
  }

  finish(done: (error: Error | null, info: ImageInfo | null) => void): void {
    this.#request(
      (answer) => this.#port.finish(answer),
      (error, info) => {
        this.#state = 'finished';
        this.#info = info;
        this.#failpoint();
        done(error, info);
      },
      (error) => done(error, null),
    );
  }

  #request(send: (answer: Done) => void, answered: Done, failed: (error: Error) => void): void {
    if (this.#state !== 'open') {
      failed(new Error(this.#state === 'busy' ? 'the sink takes one chunk at a time' : 'the sink has ended'));
      return;
    }
    this.#state = 'busy';
    send((error, info) => {
      if (this.#state !== 'busy') return;
      if (error === null) answered(null, info);
      else {
        this.abort();
        failed(error);
      }
    });
  }

  /** The files are part of a store now. */
  installed(): void {
    this.#state = 'over';
  }

  abort(): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    this.#port.abort();
  }
}

/** Builds in this thread; answers come in later turns. */
export function inlineReceiver(
  backend: Backend,
  name: string,
  blockKeys: number,
  afterPoll: (callback: () => void) => void,
): ReceiverPort {
  let receiver: ImageReceiver | null = null;
  const attempt = (done: Done, work: (receiver: ImageReceiver) => void): void => {
    try {
      receiver ??= new ImageReceiver(new BuildCore(backend.createFresh(name), blockKeys));
      work(receiver);
    } catch (error) {
      afterPoll(() => done(error as Error, null));
    }
  };
  return {
    write: (chunk, done) =>
      attempt(done, (to) => {
        to.write(chunk);
        afterPoll(() => done(null, null));
      }),
    finish: (done) => attempt(done, (to) => to.finish((error, info) => afterPoll(() => done(error, info)))),
    abort: () => receiver?.abort(),
  };
}

export interface ReceiverData {
  readonly directory: string;
  readonly mapSizeBytes: number;
  readonly blockKeys: number;
  readonly name: string;
  readonly gate: GateMemory;
}

/** A chunk, or null: that was all. */
export type ToReceiver = { readonly chunk: Uint8Array | null };
export type FromReceiver =
  | { readonly info: ImageInfo | null }
  | { readonly error: { readonly name: string; readonly code: string; readonly message: string } };

export function threadedReceiver(data: Omit<ReceiverData, 'gate'>): ReceiverPort {
  // Built, this module lies in a chunk beside the entry.
  const file = import.meta.url.endsWith('.ts') ? '../receiver-worker.ts' : './receiver-worker.js';
  const gate = newGate();
  const workerData: ReceiverData = { ...data, gate };
  const worker = new Worker(new URL(file, import.meta.url), { workerData });
  let waiting: Done | null = null;
  let ended = false;
  const answer = (error: Error | null, info: ImageInfo | null): void => {
    const done = waiting;
    waiting = null;
    done?.(error, info);
  };
  const fail = (error: Error): void => {
    ended = true;
    answer(error, null);
  };
  worker.on('message', (message: FromReceiver) => {
    if ('error' in message) answer(errorOf(message.error), null);
    else answer(null, message.info);
  });
  worker.on('error', (error) => fail(error as Error));
  worker.on('exit', (code) => {
    removeGate(gate);
    fail(new Error(`the thread that builds a store ended with code ${code}`));
  });
  const request = (chunk: Uint8Array | null, done: Done): void => {
    if (ended) {
      done(new Error('the thread that builds a store has ended'), null);
      return;
    }
    waiting = done;
    // `slice` of a Buffer would share its memory, and what is part of Node's pool cannot be transferred.
    const own = chunk === null ? null : new Uint8Array(chunk);
    worker.postMessage({ chunk: own } satisfies ToReceiver, own === null ? [] : [own.buffer]);
  };
  return {
    write: request,
    finish: (done) =>
      request(null, (error, info) => {
        if (error !== null) done(error, info);
        else void terminateAtGate(worker, gate).then(() => done(null, info));
      }),
    abort: () => {
      waiting = null;
      void terminateAtGate(worker, gate).then(() => removeFresh(data.directory, data.name));
    },
  };
}

function errorOf({ name, code, message }: { name: string; code: string; message: string }): Error {
  if (code === 'DAMAGED_IMAGE') return new DamagedImageError(message);
  if (code === 'REFUSED_RECORD') return new RefusedRecordError(message);
  return name === 'BackendError' ? new BackendError(code, message) : new Error(message);
}

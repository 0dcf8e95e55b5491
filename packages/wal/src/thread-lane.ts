/**
 * The writer on a thread of its own, reached through shared memory (`ring.ts`). The measurements behind it are in ADR 0002.
 *
 * The thread is woken by `Atomics.notify` and answers through `Atomics.waitAsync`; while batches are under way it keeps the
 * process alive, otherwise not. Whatever ends it unasked is a failure of the log.
 */
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { type BatchContent, encodeBatch } from './batch.ts';
import { copyBytes } from './copy.ts';
import { DirectWriter } from './direct-writer.ts';
import { DiskError } from './disk.ts';
import type { WrittenFrame } from './frame-writer.ts';
import type { Lane, LaneEvents } from './lane.ts';
import { monotonicMs } from './node/clock.ts';
import { nodeDisk } from './node/disk.ts';
import { PEN_BYTES, Pen } from './pen.ts';
import { createRing, RingProducer } from './ring.ts';
import type { WriterState } from './segment-writer.ts';
import { LogTail, TAIL_BYTES } from './tail.ts';
import type { Command, Report, WorkerSetup } from './writer-worker.ts';

/** Room for what waits during a sync; more than that waits in the caller's memory. What is never used takes none. */
const RING_BYTES = 16 * 1024 * 1024;

/** A thread that has started and waits for `WriterThread.begin`; the log can be read meanwhile. */
export class WriterThread {
  readonly #producer: RingProducer;
  readonly #commands: MessagePort;
  readonly #worker: Worker;

  readonly #direct: DirectWriter | null;

  constructor(setup: Omit<WorkerSetup, 'ring' | 'tail' | 'pen' | 'commands'>) {
    const ring = createRing(RING_BYTES);
    const tail = new SharedArrayBuffer(TAIL_BYTES);
    const pen = new SharedArrayBuffer(PEN_BYTES);
    const { port1, port2 } = new MessageChannel();
    this.#producer = new RingProducer(ring);
    this.#commands = port1;
    const file = import.meta.url.endsWith('.ts') ? './writer-worker.ts' : './writer-worker.js';
    this.#worker = new Worker(new URL(file, import.meta.url), {
      name: 'quorate-wal',
      workerData: { ...setup, ring, tail, pen, commands: port2 } satisfies WorkerSetup,
      transferList: [port2],
    });
    port1.unref();
    // Failpoints are places in the thread.
    const { directory, noSync, failpointModule } = setup;
    const shared = { tail: new LogTail(tail), pen: new Pen(pen), nowMs: monotonicMs };
    this.#direct =
      failpointModule === null ? new DirectWriter({ disk: nodeDisk, directory, noSync, ...shared }) : null;
  }

  /** Hands the log over to the thread; resolves when it writes. */
  begin(state: WriterState, events: LaneEvents): Promise<ThreadLane> {
    return new Promise((resolve, reject) => {
      const lane = new ThreadLane(this.#worker, this.#commands, this.#producer, this.#direct, {
        ready: () => resolve(lane),
        written: (frames) => events.written(frames),
        failed: (cause) => {
          reject(cause);
          events.failed(cause);
        },
      });
      this.#commands.postMessage({ kind: 'start', state } satisfies Command);
      this.#producer.announceCommand();
    });
  }

  /** Ends a thread that was never given a log. */
  async abandon(): Promise<void> {
    this.#commands.close();
    await this.#worker.terminate();
  }
}

export class ThreadLane implements Lane {
  readonly #worker: Worker;
  readonly #commands: MessagePort;
  readonly #producer: RingProducer;
  readonly #direct: DirectWriter | null;
  readonly #events: LaneEvents & { ready(): void };
  /** Batches that found no room in the ring, oldest first. */
  readonly #waiting: Buffer[] = [];
  readonly #closed: Promise<void>;
  #resolveClosed: () => void = () => {};
  #underWay = 0;
  /** Frames written on this thread that were not told yet. */
  readonly #written: WrittenFrame[] = [];
  /** A direct write failed; that is not told yet. */
  #broken = false;
  #closing = false;
  #ended = false;

  constructor(
    worker: Worker,
    commands: MessagePort,
    producer: RingProducer,
    direct: DirectWriter | null,
    events: LaneEvents & { ready(): void },
  ) {
    this.#worker = worker;
    this.#commands = commands;
    this.#producer = producer;
    this.#direct = direct;
    this.#events = events;
    this.#closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    worker.on('message', (report: Report) => this.#onReport(report));
    worker.on('error', (error) => this.#fail(error));
    worker.on('exit', (code) => this.#fail(new Error(`the log's writer thread ended with code ${code}`)));
    void this.#watch();
  }

  submit(content: BatchContent, bytes: number, mayBlock: boolean): void {
    if (this.#ended || this.#broken) return;
    if (mayBlock && this.#underWay === 0 && this.#written.length === 0 && this.#writeDirectly(content, bytes))
      return;
    if (this.#underWay++ === 0) this.#worker.ref();
    const isNext = this.#waiting.length === 0 && !this.#producer.isTooLarge(bytes);
    if (!isNext || !this.#producer.tryPush(bytes, (target) => encodeBatch(target, content))) {
      const encoded = Buffer.from(new ArrayBuffer(bytes));
      encodeBatch(encoded, content);
      this.#waiting.push(encoded);
      this.#pushWaiting();
    }
    this.#producer.wake();
  }

  /** @returns false when the thread has to do it */
  #writeDirectly(content: BatchContent, bytes: number): boolean {
    try {
      const frame = this.#direct?.write(content, bytes) ?? null;
      if (frame === null) return false;
      this.#written.push(frame);
      queueMicrotask(() => this.#deliver());
    } catch (cause) {
      // Nothing more is written: the thread never gets the pen.
      this.#broken = true;
      queueMicrotask(() => this.#fail(cause));
    }
    return true;
  }

  release(belowSegment: number): void {
    this.#direct?.dropBelow(belowSegment);
    this.#command({ kind: 'release', below: belowSegment });
  }

  pump(): void {
    // The thread is always at it.
  }

  close(): Promise<void> {
    this.#closing = true;
    if (!this.#ended) {
      this.#worker.ref();
      if (this.#waiting.length === 0) this.#command({ kind: 'close' });
    }
    return this.#closed;
  }

  /** Runs for the life of the lane: one turn per group of completions. */
  async #watch(): Promise<void> {
    while (!this.#ended) {
      await this.#producer.completion();
      if (!this.#ended) this.#deliver();
    }
  }

  #deliver(): void {
    const completed = this.#producer.takeCompletions();
    // What was written directly was written before what the thread has done since.
    const frames = [...this.#written.splice(0), ...completed];
    if (frames.length === 0) return;
    for (const { batchCount, tookMs } of completed) {
      this.#underWay -= batchCount;
      this.#direct?.observe(tookMs);
    }
    const hadWaiting = this.#waiting.length > 0;
    if (hadWaiting && this.#pushWaiting()) this.#producer.wake();
    if (hadWaiting && this.#waiting.length === 0 && this.#closing) this.#command({ kind: 'close' });
    if (completed.length > 0 && this.#underWay === 0 && !this.#closing) this.#worker.unref();
    this.#events.written(frames);
  }

  /** Moves waiting batches into the ring, or past it when they are too large; whether any moved. */
  #pushWaiting(): boolean {
    let moved = 0;
    for (const encoded of this.#waiting) {
      if (this.#producer.isTooLarge(encoded.length)) {
        // Sent before its place is published: the writer must find it there.
        const bytes = encoded.buffer as ArrayBuffer;
        if (!this.#producer.hasRoomForMessage()) break;
        this.#commands.postMessage({ kind: 'batch', bytes } satisfies Command, [bytes]);
        this.#producer.pushMessage();
      } else if (!this.#producer.tryPush(encoded.length, (target) => copyBytes(encoded, target, 0))) {
        break;
      }
      moved++;
    }
    this.#waiting.splice(0, moved);
    return moved > 0;
  }

  #command(command: Command): void {
    if (this.#ended) return;
    this.#commands.postMessage(command);
    this.#producer.announceCommand();
  }

  #onReport(report: Report): void {
    if (report.kind === 'ready') {
      if (this.#underWay === 0) this.#worker.unref();
      this.#events.ready();
    } else if (report.kind === 'closed') {
      this.#deliver();
      this.#end();
    } else {
      this.#fail(
        report.disk === null ? report.cause : new DiskError({ ...report.disk, cause: report.cause }),
      );
    }
  }

  #fail(cause: unknown): void {
    if (this.#ended) return;
    // What became durable before the failure is acknowledged first.
    this.#deliver();
    this.#end();
    this.#events.failed(cause);
  }

  #end(): void {
    this.#ended = true;
    this.#commands.close();
    this.#direct?.close();
    if (this.#broken) void this.#worker.terminate();
    this.#worker.unref();
    this.#resolveClosed();
  }
}

/**
 * The writer thread: sleeps on shared memory, takes all that waits, writes and syncs it as one frame, reports, repeats.
 *
 * It has no event loop turn between two groups, so nothing else in the process can delay a sync; commands (start,
 * release, close, a batch too large for the ring) are messages fetched when it wakes.
 * The first error ends it: it reports and writes nothing more.
 */
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { assert } from './assert.ts';
import { DiskError } from './disk.ts';
import { type Failpoint, NO_FAILPOINTS } from './failpoints.ts';
import { monotonicMs } from './node/clock.ts';
import { nodeDisk } from './node/disk.ts';
import { Patience } from './patience.ts';
import { Pen } from './pen.ts';
import { RingConsumer, type SharedRing } from './ring.ts';
import { SegmentWriter, type WriterState } from './segment-writer.ts';
import { LogTail } from './tail.ts';

/** What the thread is started with. */
export interface WorkerSetup {
  readonly ring: SharedRing;
  readonly tail: SharedArrayBuffer;
  readonly pen: SharedArrayBuffer;
  readonly commands: MessagePort;
  readonly directory: string;
  readonly segmentBytes: number;
  readonly spareSegments: number;
  readonly noSync: boolean;
  readonly failpointModule: string | null;
}

export type Command =
  | { readonly kind: 'start'; readonly state: WriterState }
  | { readonly kind: 'batch'; readonly bytes: ArrayBuffer }
  | { readonly kind: 'release'; readonly below: number }
  | { readonly kind: 'close' };

export type Report =
  | { readonly kind: 'ready' }
  | { readonly kind: 'closed' }
  /** `disk` is set when the cause was a `DiskError`, whose class does not survive the way. */
  | {
      readonly kind: 'failed';
      readonly cause: unknown;
      readonly disk: { readonly code: string; readonly operation: string; readonly path: string } | null;
    };

/** So long must nobody have written before the next segment is prepared out of turn: a write that comes then waits for a step of it. */
const QUIET_MS = 20;

const setup = workerData as WorkerSetup;

async function run(): Promise<void> {
  const failpoint = await loadFailpoint(setup.failpointModule);
  const ring = new RingConsumer(setup.ring);
  const pen = new Pen(setup.pen);
  const patience = new Patience(ring, monotonicMs);
  const commands = new Commands();
  for (let count = ring.wakeCount(); !commands.fetch(); count = ring.wakeCount()) ring.sleep(count);
  const { directory, segmentBytes, spareSegments, noSync } = setup;
  const tail = new LogTail(setup.tail);
  const writer = new SegmentWriter(
    { disk: nodeDisk, directory, segmentBytes, spareSegments, noSync, failpoint, tail },
    commands.startState(),
  );
  report({ kind: 'ready' });

  let sequence = 0;
  for (let slept = false; ; ) {
    const count = ring.wakeCount();
    if (ring.hasCommands()) commands.fetch();
    const batches = ring.take(() => commands.nextBatch());
    // Held through everything that keeps the disk busy; not given back after a failure.
    pen.take();
    if (batches.length > 0) {
      let startedMs = monotonicMs();
      writer.write(
        batches,
        (frame) => {
          ring.complete({ ...frame, tookMs: monotonicMs() - startedMs });
          startedMs = monotonicMs();
        },
        (count) => ring.release(count),
      );
    }
    if (commands.releaseBelow > 0) {
      writer.release(commands.releaseBelow);
      commands.releaseBelow = 0;
    }
    const idle = batches.length === 0;
    if (idle && commands.closing) break;
    // The caller's thread writes, too.
    const quiet = slept && tail.sequence === sequence;
    sequence = tail.sequence;
    const prepared = writer.prepareStep(quiet);
    pen.give();
    if (!idle) slept = false;
    else if (!quiet || !prepared) slept = !patience.wait(count, writer.mayPrepare ? QUIET_MS : undefined);
  }
  writer.close();
  report({ kind: 'closed' });
}

/** Messages from the caller, sorted by kind. */
class Commands {
  releaseBelow = 0;
  closing = false;
  #start: WriterState | null = null;
  readonly #batches: Buffer[] = [];

  /** Takes all messages that are there; whether the start is known. */
  fetch(): boolean {
    for (let received = receiveMessageOnPort(setup.commands); received; ) {
      this.#sort(received.message as Command);
      received = receiveMessageOnPort(setup.commands);
    }
    return this.#start !== null;
  }

  startState(): WriterState {
    assert(this.#start !== null, 'the start has come');
    return this.#start;
  }

  nextBatch(): Buffer {
    if (this.#batches.length === 0) this.fetch();
    const batch = this.#batches.shift();
    assert(batch !== undefined, 'a batch by message is sent before its place in the ring is published');
    return batch;
  }

  #sort(command: Command): void {
    if (command.kind === 'start') this.#start = command.state;
    else if (command.kind === 'batch') this.#batches.push(Buffer.from(command.bytes));
    else if (command.kind === 'release') this.releaseBelow = Math.max(this.releaseBelow, command.below);
    else this.closing = true;
  }
}

async function loadFailpoint(module: string | null): Promise<Failpoint> {
  if (module === null) return NO_FAILPOINTS;
  const loaded = (await import(module)) as { default: Failpoint };
  return loaded.default;
}

function report(message: Report): void {
  parentPort!.postMessage(message);
}

run().catch((cause: unknown) => {
  const disk =
    cause instanceof DiskError ? { code: cause.code, operation: cause.operation, path: cause.path } : null;
  report({ kind: 'failed', cause, disk });
});

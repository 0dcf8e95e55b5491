/** The writer thread's entry: LMDB's only writer, fed by `writer/port.ts`. */
import { parentPort, workerData } from 'node:worker_threads';
import { BackendError } from './backend/backend.ts';
import { insideGate, useGate } from './backend/exit-gate.ts';
import { lmdbBackendAgain } from './backend/lmdb/backend.ts';
import type { MvccFailpoint } from './failpoints.ts';
import {
  ANSWER_NONE,
  ANSWER_THROW,
  type FromWorker,
  freeBuffer,
  type ToWorker,
  type WriterData,
} from './writer/port.ts';
import { StoreWriter } from './writer/store-writer.ts';

const { directory, mapSizeBytes, blockKeys, gate, failpoints } = workerData as WriterData;
useGate(gate);
const port = parentPort!;

/** Asks the main thread, which knows what a name does, and waits for it. */
function visit(name: MvccFailpoint): void {
  if (failpoints === null) return;
  const { answer } = failpoints;
  Atomics.store(answer, 0, ANSWER_NONE);
  port.postMessage({ failpoint: name } satisfies FromWorker);
  Atomics.wait(answer, 0, ANSWER_NONE);
  if (Atomics.load(answer, 0) === ANSWER_THROW) throw new BackendError('FAILPOINT', `failpoint ${name}`);
}

const writer = insideGate(
  () =>
    new StoreWriter({
      backend: lmdbBackendAgain({ directory, mapSizeBytes }),
      blockKeys,
      failpoint: visit,
    }),
);

port.on('message', (message: ToWorker) => insideGate(() => run(message)));

function run({ id, job }: ToWorker): void {
  writer.run(job, (error, result) => {
    if (error !== null) {
      const code = error instanceof BackendError ? error.code : 'UNKNOWN';
      port.postMessage({ id, error: { code, message: error.message } } satisfies FromWorker);
    } else if (result!.kind === 'heads') {
      port.postMessage({ id, result: result!, spent: null } satisfies FromWorker, [
        result!.blocks.buffer as ArrayBuffer,
      ]);
    } else {
      const spent = job.kind === 'log' && !writer.keeps(job) ? (job.records.buffer as ArrayBuffer) : null;
      port.postMessage({ id, result: result!, spent } satisfies FromWorker, spent === null ? [] : [spent]);
    }
    if (job.kind === 'heads' && !writer.keeps(job)) freeBuffer(job.entries.buffer as ArrayBuffer);
    if (job.kind === 'close') port.close();
  });
}

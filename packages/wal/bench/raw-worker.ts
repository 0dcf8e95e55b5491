/** The other side of the comparison: sleeps on shared memory, writes and syncs the batch that is there, answers. */
import { fdatasyncSync, openSync, writeSync } from 'node:fs';
import { workerData } from 'node:worker_threads';

export interface RawSetup {
  readonly shared: SharedArrayBuffer;
  readonly batch: SharedArrayBuffer;
  readonly path: string;
  readonly fileBytes: number;
}

const setup = workerData as RawSetup;
const control = new Int32Array(setup.shared);
const batch = Buffer.from(setup.batch);
const descriptor = openSync(setup.path, 'r+');
let offset = 0;

for (let seen = 0; ; ) {
  Atomics.wait(control, 0, seen);
  seen = Atomics.load(control, 0);
  if (offset + batch.length > setup.fileBytes) offset = 0;
  writeSync(descriptor, batch, 0, batch.length, offset);
  fdatasyncSync(descriptor);
  offset += batch.length;
  Atomics.store(control, 1, seen);
  Atomics.notify(control, 1);
}

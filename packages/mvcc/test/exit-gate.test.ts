import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { newGate, removeGate, terminateAtGate } from '../src/backend/exit-gate.ts';
import type { ThreadData } from './exit-gate/thread.ts';

test('a process that ends waits until its threads are out of their transactions, and lets them into no other', () => {
  const program = fileURLToPath(new URL('./exit-gate/process.ts', import.meta.url));
  const ended = spawnSync(process.execPath, ['--conditions=@quorate/source', program], { encoding: 'utf8' });
  expect({ status: ended.status, signal: ended.signal, said: ended.stdout.trim() }).toEqual({
    status: 3,
    signal: null,
    said: '2',
  });
});

test('a thread is ended between its transactions', async () => {
  const place = new Int32Array(new SharedArrayBuffer(4));
  const gate = newGate();
  const worker = new Worker(new URL('./exit-gate/thread.ts', import.meta.url), {
    workerData: { gate, place } satisfies ThreadData,
    execArgv: ['--conditions=@quorate/source'],
  });
  await Atomics.waitAsync(place, 0, 0, 10_000).value;
  await terminateAtGate(worker, gate);
  removeGate(gate);
  expect(Atomics.load(place, 0)).toBe(2);
});

/**
 * What folding an entry into the state hash costs: CPU time of one put, by the size of its record.
 *
 *     node --conditions=@quorate/source packages/server/bench/state-hash.ts
 */
import type { EventBatch } from '@quorate/mvcc';
import { StateHash } from '../src/integrity/state-hash.ts';

const ROUNDS = 1_000_000;

const hash = new StateHash({ appliedIndex: 0, getMeta: () => null });
let index = 0;
for (const recordBytes of [60, 120, 300, 1_100, 16_000]) {
  const batch = {
    revision: 1,
    events: [{ type: 'put', encoded: new Uint8Array(recordBytes).fill(7) }],
  } as unknown as EventBatch;
  const run = (rounds: number): void => {
    for (let round = 0; round < rounds; round++) hash.fold(++index, 3, null, batch);
  };
  run(ROUNDS / 5);
  const before = process.cpuUsage();
  run(ROUNDS);
  const { user } = process.cpuUsage(before);
  console.log(`${recordBytes} bytes: ${((user * 1000) / ROUNDS).toFixed(0)} ns`);
}

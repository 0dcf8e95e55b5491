import { expect, test } from 'vitest';
import { memoryBackend } from '../backend/memory.ts';
import { openStore } from '../store.ts';

test('sem-185 the hash at a negative revision is that of no record, also when the records are on disk', () => {
  const turns: (() => void)[] = [];
  const store = openStore({
    storage: { backend: memoryBackend() },
    monotonicMs: () => 0,
    afterPoll: (callback) => turns.push(callback),
    limits: { ringBytes: 0 },
  });
  const transaction = store.begin(1, 1);
  transaction.put(Buffer.from('a'), Buffer.from('v'), 0n);
  transaction.commit();
  let flushed = false;
  store.flush(() => {
    flushed = true;
  });
  while (!flushed) turns.shift()!();

  const hashAt = (revision: number): number => {
    let hash = -1;
    store.hashKv(revision, (error, result) => {
      expect(error).toBeNull();
      hash = result!.hash;
    });
    return hash;
  };
  const none = hashAt(1);
  expect(hashAt(2)).not.toBe(none);
  for (const revision of [-1, -2, -5, Number.MIN_SAFE_INTEGER]) expect(hashAt(revision)).toBe(none);
});

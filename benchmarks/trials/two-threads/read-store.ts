/** A store that is all on disk: once it is closed and opened again, nothing of it is in a memtable. */
import { type MvccStore, openStore } from '@quorate/mvcc';

const VALUE_BYTES = 256;
const PUTS_PER_TURN = 100;
/** A prime that shares no factor with the number of keys: they are put, and read, in scattered order. */
const SCATTER = 7_919;

/** The `n`th of `keys` keys. */
export function keyAt(n: number, keys: number): Uint8Array {
  return Buffer.from(`bench/${((n * SCATTER) % keys).toString(16).padStart(8, '0')}`);
}

export function openFilledStore(directory: string): MvccStore {
  return openStore({
    storage: { directory },
    monotonicMs: () => performance.now(),
    afterPoll: (callback) => {
      setImmediate(callback);
    },
    inThread: true,
  });
}

export async function fillStore(directory: string, keys: number): Promise<void> {
  const store = openFilledStore(directory);
  const value = Buffer.alloc(VALUE_BYTES, 'v');
  for (let n = 0; n < keys; n += PUTS_PER_TURN) {
    const transaction = store.begin(n / PUTS_PER_TURN + 1, 1);
    for (let i = n; i < n + PUTS_PER_TURN; i++) transaction.put(keyAt(i, keys), value, 0n);
    transaction.commit();
    await new Promise(setImmediate);
  }
  for (const how of ['flush', 'flushHeads'] as const) {
    await new Promise<void>((resolve, reject) =>
      store[how]((error) => (error === null ? resolve() : reject(error))),
    );
  }
  await store.close();
}

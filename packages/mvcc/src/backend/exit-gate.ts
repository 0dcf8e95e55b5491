/**
 * Keeps the process from ending while one of its threads is at work in LMDB.
 *
 * A thread that is told to end while LMDB's binding talks to JavaScript (every transaction does) throws through native code, and the
 * process dies of SIGABRT instead of ending with its exit code. So a thread goes through a gate into each piece of
 * work, and at the end of the process (`process.exit` waits for its `exit` event) all gates are shut first.
 *
 *     OPEN --thread--> INSIDE --thread--> OPEN --end of the process--> SHUT
 */
const OPEN = 0;
const INSIDE = 1;
const SHUT = 2;

/** A piece of work takes some milliseconds and a sync. A disk that hangs for longer does not keep the process. */
const PATIENCE_MS = 2_000;

/** Shared with one thread. */
export type GateMemory = Int32Array<SharedArrayBuffer>;

/** Gates of the threads that were started by this one. */
const gates = new Set<GateMemory>();

/** A gate for a thread that is about to be started. Give it back with `removeGate` when the thread has ended. */
export function newGate(): GateMemory {
  const gate = new Int32Array(new SharedArrayBuffer(4));
  if (gates.size === 0) process.on('exit', shutAll);
  gates.add(gate);
  return gate;
}

export function removeGate(gate: GateMemory): void {
  gates.delete(gate);
  if (gates.size === 0) process.off('exit', shutAll);
}

function shutAll(): void {
  const giveUp = performance.now() + PATIENCE_MS;
  for (const gate of gates) {
    while (Atomics.compareExchange(gate, 0, OPEN, SHUT) === INSIDE) {
      const leftMs = giveUp - performance.now();
      if (leftMs <= 0) return;
      Atomics.wait(gate, 0, INSIDE, leftMs);
    }
  }
}

/** Ends a thread as soon as it is at no work. */
export async function terminateAtGate(
  worker: { terminate(): Promise<number> },
  gate: GateMemory,
): Promise<void> {
  const giveUp = performance.now() + PATIENCE_MS;
  while (Atomics.compareExchange(gate, 0, OPEN, SHUT) === INSIDE) {
    const leftMs = giveUp - performance.now();
    if (leftMs <= 0) break;
    await Atomics.waitAsync(gate, 0, INSIDE, leftMs).value;
  }
  await worker.terminate();
}

/** Of this thread; null in a thread that has none, as the main thread. */
let own: GateMemory | null = null;
let depth = 0;

/** Said once by a thread that was started with a gate. */
export function useGate(gate: GateMemory): void {
  own = gate;
}

/** Runs a piece of work, or waits for the end of the process. Work within work is part of it. */
export function insideGate<T>(work: () => T): T {
  if (own === null || depth > 0) return work();
  while (Atomics.compareExchange(own, 0, OPEN, INSIDE) !== OPEN) Atomics.wait(own, 0, SHUT);
  depth++;
  try {
    return work();
  } finally {
    depth--;
    Atomics.store(own, 0, OPEN);
    Atomics.notify(own, 0);
  }
}

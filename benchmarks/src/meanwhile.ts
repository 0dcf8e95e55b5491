/**
 * Work that another client asks for, again and again, while the load is measured. Its answers are read as frames only,
 * so that a list of 100,000 keys does not keep the probe, which lives in the same process, from its work.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '@quorate/client';
import type { Meanwhile } from './cases.ts';
import { Connection } from './load/connection.ts';
import { explain } from './load/explain.ts';
import { encodeHeads } from './load/frames.ts';
import { type Operation, toBytes } from './load/operations.ts';
import { prepare } from './load/prepared.ts';

/** Between the end of one and the begin of the next. */
const PAUSE_MS = 200;

export interface Beside {
  readonly completed: number;
  /** Share of the time, from the begin of the first until the load ended, in which one was under way. */
  readonly share: number;
  /** The first failure ended it. */
  readonly failure: string | undefined;
}

/** @param warmupMs a history is compacted after it, and only once */
export function startMeanwhile(
  kind: Meanwhile,
  endpoint: string,
  warmupMs: number,
): { stop(): Promise<Beside> } {
  const stopping = new AbortController();
  const { signal } = stopping;
  let completed = 0;
  let beganMs = 0;
  let endedMs = 0;
  let busyMs = 0;
  const done = (async () => {
    if (kind === 'compact-history') await sleep(warmupMs, undefined, { signal }).catch(() => {});
    beganMs = performance.now();
    while (!signal.aborted) {
      const operation = await operationOf(kind, endpoint);
      const fromMs = performance.now();
      await callOnce(operation, endpoint);
      completed++;
      busyMs += (signal.aborted ? endedMs : performance.now()) - fromMs;
      if (kind === 'compact-history') break;
      await sleep(PAUSE_MS, undefined, { signal }).catch(() => {});
    }
  })();
  // A failure is told by `stop`, not before.
  const failure = done.then(
    () => undefined,
    (error: Error) => error.message,
  );
  return {
    async stop() {
      endedMs = performance.now();
      stopping.abort();
      return { failure: await failure, completed, share: busyMs / (endedMs - beganMs) };
    },
  };
}

async function operationOf(kind: Meanwhile, endpoint: string): Promise<Operation> {
  if (kind === 'lists') return { kind: 'list-at', revision: 0 };
  if (kind !== 'compact' && kind !== 'compact-history') return { kind };
  const client = connect(endpoint);
  try {
    const { header } = await client.maintenance.status();
    return { kind: 'compact', revision: Number(header.revision), physical: kind === 'compact-history' };
  } finally {
    await client.close();
  }
}

/** One call on a connection of its own; of a streamed answer, until its end. */
async function callOnce(operation: Operation, endpoint: string): Promise<void> {
  const bytes = toBytes(operation);
  const { path, message } = bytes;
  // The connection's opening call must be harmless: an empty put, and not a defragmentation.
  const heads = encodeHeads([toBytes({ kind: 'put', valueBytes: 1 }).path], path);
  let onLost: (error: Error) => void = () => {};
  const lost = new Promise<never>((_, reject) => {
    onLost = reject;
  });
  const connection = await Promise.race([Connection.open(endpoint, heads, (error) => onLost(error)), lost]);
  try {
    const answered = new Promise<boolean>((onEnd) => {
      connection.call(prepare(heads.stream, message, []), 0, { onEnd });
    });
    connection.flush();
    const succeeded = await Promise.race([answered, lost]);
    if (!succeeded) throw new Error(`${operation.kind}: ${await explain(endpoint, bytes, 0)}`);
  } finally {
    connection.close();
  }
}

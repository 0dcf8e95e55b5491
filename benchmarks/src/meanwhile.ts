/**
 * Work that another client asks for, again and again, while the load is measured. Its answers are read as frames only,
 * so that a list of 100,000 keys does not keep the probe, which lives in the same process, from its work.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '@quorate/client';
import type { Meanwhile } from './cases.ts';
import { Connection } from './load/connection.ts';
import { encodeHeads } from './load/frames.ts';
import { type Operation, toBytes } from './load/operations.ts';
import { prepare } from './load/prepared.ts';

/** Between the end of one and the begin of the next. */
const PAUSE_MS = 200;

/** @returns `stop`, which resolves with how many were completed */
export async function startMeanwhile(
  kind: Meanwhile,
  endpoint: string,
): Promise<{ stop(): Promise<number> }> {
  const stopping = new AbortController();
  let completed = 0;
  const done = (async () => {
    while (!stopping.signal.aborted) {
      await callOnce(await operationOf(kind, endpoint), endpoint);
      completed++;
      await sleep(PAUSE_MS, undefined, { signal: stopping.signal }).catch(() => {});
    }
  })();
  // A failure is reported by `stop`, not before.
  done.catch(() => {});
  return {
    async stop() {
      stopping.abort();
      await done;
      return completed;
    },
  };
}

async function operationOf(kind: Meanwhile, endpoint: string): Promise<Operation> {
  if (kind === 'lists') return { kind: 'list-at', revision: 0 };
  if (kind !== 'compact') return { kind };
  const client = connect(endpoint);
  try {
    const { header } = await client.maintenance.status();
    return { kind: 'compact', revision: Number(header.revision) };
  } finally {
    await client.close();
  }
}

/** One call on a connection of its own; of a streamed answer, until its end. */
async function callOnce(operation: Operation, endpoint: string): Promise<void> {
  const { path, message } = toBytes(operation);
  // The connection's opening call must be harmless: an empty put, and not a defragmentation.
  const heads = encodeHeads([toBytes({ kind: 'put', valueBytes: 1 }).path], path);
  let onLost: (error: Error) => void = () => {};
  const lost = new Promise<never>((_, reject) => {
    onLost = reject;
  });
  const connection = await Promise.race([Connection.open(endpoint, heads, (error) => onLost(error)), lost]);
  try {
    const answered = new Promise<void>((resolve, reject) => {
      const onEnd = (succeeded: boolean) => {
        if (succeeded) resolve();
        else reject(new Error(`${operation.kind} failed beside the load`));
      };
      connection.call(prepare(heads.stream, message, []), 0, { onEnd });
    });
    connection.flush();
    await Promise.race([answered, lost]);
  } finally {
    connection.close();
  }
}

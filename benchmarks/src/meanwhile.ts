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
  /** The first failure ended it. */
  readonly failure: string | undefined;
}

export function startMeanwhile(kind: Meanwhile, endpoint: string): { stop(): Promise<Beside> } {
  const stopping = new AbortController();
  let completed = 0;
  const done = (async () => {
    while (!stopping.signal.aborted) {
      await callOnce(await operationOf(kind, endpoint), endpoint);
      completed++;
      await sleep(PAUSE_MS, undefined, { signal: stopping.signal }).catch(() => {});
    }
  })();
  // A failure is told by `stop`, not before.
  const failure = done.then(
    () => undefined,
    (error: Error) => error.message,
  );
  return {
    async stop() {
      stopping.abort();
      return { failure: await failure, completed };
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

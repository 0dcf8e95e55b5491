/**
 * The load generator: a process of its own, so that its cost is known and can be kept to a core of its own.
 *
 * It takes one job at a time over the IPC channel and answers with figures (`job.ts`). Parts: `prepared.ts` (calls as
 * bytes), `connection.ts` (the wire), `closed-loop.ts`, `open-loop.ts`, `watch-load.ts`, `keep-alive-load.ts`.
 */
import { runClosedLoop } from './closed-loop.ts';
import { Connection } from './connection.ts';
import { explain } from './explain.ts';
import type { Heads } from './frames.ts';
import type { FromGenerator, Job, JobResult } from './job.ts';
import { keepAliveHeads, runKeepAliveLoad } from './keep-alive-load.ts';
import { Measurement } from './measurement.ts';
import { Mix, type MixedCall } from './mix.ts';
import { startOpenLoop } from './open-loop.ts';
import { measure } from './span.ts';
import { runWatchLoad, watchHeads } from './watch-load.ts';

const send = (message: FromGenerator) => process.send?.(message);

process.on('message', (job: Job) => {
  run(job).then(
    (result) => send({ kind: 'result', result }),
    (error: Error) => send({ kind: 'error', message: error.stack ?? error.message }),
  );
});
process.on('disconnect', () => process.exit(0));
send({ kind: 'ready' });

async function run(job: Job): Promise<JobResult> {
  const measurement = new Measurement(job.serverPids, job.serverFolder);
  const onMeasuring = () => send({ kind: 'measuring' });
  switch (job.kind) {
    case 'closed':
    case 'open': {
      const mix = new Mix(job.mix);
      let failure: Promise<string> | undefined;
      const onFailure = (call: MixedCall, key: number) => {
        failure ??= explain(job.endpoints[0] as string, call.bytes, key);
      };
      await withConnections(job, mix.heads, (connections) =>
        job.kind === 'closed'
          ? runClosedLoop({ ...job, connections, mix, measurement, onMeasuring, onFailure })
          : runOpen(job, connections, mix, measurement, onMeasuring, onFailure),
      );
      return measurement.result([...new Set(mix.calls.map(({ name }) => name))], await failure);
    }
    case 'watch':
      await withConnections(job, watchHeads(), (connections) =>
        runWatchLoad(job, connections, measurement, onMeasuring),
      );
      return measurement.result(['event'], undefined);
    case 'keep-alive':
      await withConnections(job, keepAliveHeads(), (connections) =>
        runKeepAliveLoad(job, connections, measurement, onMeasuring),
      );
      return measurement.result(['keep-alive'], undefined);
  }
}

async function runOpen(
  job: Extract<Job, { kind: 'open' }>,
  connections: readonly Connection[],
  mix: Mix,
  measurement: Measurement,
  onMeasuring: () => void,
  onFailure: (call: MixedCall, key: number) => void,
): Promise<void> {
  if ('operations' in job.span) throw new Error('an open loop is measured by time');
  const loop = startOpenLoop({
    connections,
    ratePerSec: job.ratePerSec,
    begin(connection, dueMs, listener) {
      const call = mix.next();
      const key = call.nextKey();
      const histogram = measurement.histogram(call.name);
      connection.call(call.prepared, key, {
        onEnd(succeeded) {
          listener.onEnd(succeeded);
          if (!succeeded) onFailure(call, key);
          else if (measurement.recording) histogram.record((performance.now() - dueMs) * 1_000);
        },
      });
    },
    onEnd(succeeded) {
      if (!succeeded) measurement.fail();
    },
  });
  await measure(job.span, measurement, onMeasuring);
  await loop.stop();
}

/** Runs `body` with open connections; when one of them is lost, fails at once. */
async function withConnections(
  job: Job,
  heads: Heads,
  body: (connections: readonly Connection[]) => Promise<void>,
): Promise<void> {
  let onLost: (error: Error) => void = () => {};
  const lost = new Promise<never>((_, reject) => {
    onLost = reject;
  });
  const opening = Array.from({ length: job.connections }, (_, i) => {
    const endpoint = job.endpoints[i % job.endpoints.length] as string;
    return Connection.open(endpoint, heads, onLost);
  });
  const connections = await Promise.race([Promise.all(opening), lost]);
  try {
    await Promise.race([body(connections), lost]);
  } finally {
    for (const connection of connections) connection.close();
  }
}

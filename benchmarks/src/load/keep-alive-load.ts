/**
 * Keep-alives: leases are granted first, then each client has a stream and sends the next keep-alive, for a random
 * lease, when the last one is answered.
 */
import { LeaseGrantRequest, LeaseKeepAliveRequest } from '@quorate/proto';
import { Random } from '@quorate/testing';
import type { Connection, OpenStream } from './connection.ts';
import { encodeHeads } from './frames.ts';
import type { Job } from './job.ts';
import type { Measurement } from './measurement.ts';
import { MessageSplitter } from './message-splitter.ts';
import { prepare, withPrefix } from './prepared.ts';
import { measure } from './span.ts';

type KeepAliveJob = Extract<Job, { kind: 'keep-alive' }>;

const TTL_SEC = 3_600;
const FIRST_ID = 0x6b65_0000;

export function keepAliveHeads() {
  return encodeHeads(['/etcdserverpb.Lease/LeaseGrant'], '/etcdserverpb.Lease/LeaseKeepAlive');
}

export async function runKeepAliveLoad(
  job: KeepAliveJob,
  connections: readonly Connection[],
  measurement: Measurement,
  onMeasuring: () => void,
): Promise<void> {
  if ('operations' in job.span) throw new Error('keep-alives are measured by time');
  const heads = keepAliveHeads();
  await grant(job.leases, heads.indexed[0] as Buffer, connections[0] as Connection);

  const random = new Random('leases');
  const messages = Array.from({ length: job.leases }, (_, i) =>
    withPrefix(LeaseKeepAliveRequest.encode({ ID: FIRST_ID + i })),
  );
  const histogram = measurement.histogram('keep-alive');
  let running = true;
  for (const connection of connections) {
    for (let i = 0; i < job.clientsPerConnection; i++) {
      let beganMs = 0;
      const send = (stream: OpenStream) => {
        beganMs = performance.now();
        connection.send(stream, random.pick(messages));
      };
      const splitter = new MessageSplitter(() => {
        if (measurement.recording) histogram.record((performance.now() - beganMs) * 1_000);
        if (running) send(stream);
      });
      const stream = connection.openStream(heads.stream, {
        onData: (bytes, start, end) => splitter.push(bytes, start, end),
        onEnd: () => measurement.fail(),
      });
      send(stream);
    }
    connection.flush();
  }
  await measure(job.span, measurement, onMeasuring);
  running = false;
}

async function grant(leases: number, head: Buffer, connection: Connection): Promise<void> {
  const granted = Array.from({ length: leases }, (_, i) => {
    const message = LeaseGrantRequest.encode({ TTL: TTL_SEC, ID: FIRST_ID + i });
    return new Promise<void>((resolve, reject) => {
      const onEnd = (succeeded: boolean) => {
        if (succeeded) resolve();
        else reject(new Error('a lease was not granted'));
      };
      connection.call(prepare(head, message, []), 0, { onEnd });
    });
  });
  connection.flush();
  await Promise.all(granted);
}

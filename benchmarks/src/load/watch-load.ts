/**
 * Watchers, and puts at a rate. Every put has the next number for a key, so an event tells by its key when its put was
 * due: the latency of an event is the time from there until the watcher has it.
 *
 * Watchers are spread over the connections, one stream each, as clients do it.
 */
import { WatchRequest } from '@quorate/proto';
import type { Connection, StreamListener } from './connection.ts';
import { encodeHeads } from './frames.ts';
import type { Job } from './job.ts';
import type { Measurement } from './measurement.ts';
import { MessageSplitter } from './message-splitter.ts';
import { startOpenLoop } from './open-loop.ts';
import { KEY_PREFIX, PREFIX_END, toBytes } from './operations.ts';
import { prepare, withPrefix } from './prepared.ts';
import { measure } from './span.ts';

type WatchJob = Extract<Job, { kind: 'watch' }>;

const WATCH = '/etcdserverpb.Watch/Watch';
/** Keys of prefix watches are used again after so many puts: longer than any event takes. */
const PREFIX_KEYS = 1_000_000;
const PREFIX_BYTES = KEY_PREFIX.length;

export function watchHeads() {
  return encodeHeads([toBytes({ kind: 'put', valueBytes: 1 }).path], WATCH);
}

export async function runWatchLoad(
  job: WatchJob,
  connections: readonly Connection[],
  measurement: Measurement,
  onMeasuring: () => void,
): Promise<void> {
  if ('operations' in job.span) throw new Error('watching is measured by time');
  const heads = watchHeads();
  const put = toBytes({ kind: 'put', valueBytes: job.valueBytes });
  const prepared = prepare(heads.indexed[0] as Buffer, put.message, put.slots);
  const keys = job.on === 'prefix' ? PREFIX_KEYS : job.watchers;
  const dueMs = new Float64Array(keys);
  const puts = measurement.histogram('put');
  const events = measurement.histogram('event');

  const onMessage = (bytes: Buffer, start: number, end: number) => {
    const now = performance.now();
    for (let at = bytes.indexOf(KEY_PREFIX, start); at >= 0 && at < end; ) {
      const number = Number.parseInt(bytes.toString('latin1', at + PREFIX_BYTES, at + PREFIX_BYTES + 8), 16);
      if (measurement.recording) events.record((now - (dueMs[number] as number)) * 1_000);
      at = bytes.indexOf(KEY_PREFIX, at + PREFIX_BYTES + 8);
    }
  };
  await openWatches(job, connections, heads.stream, onMessage);

  let number = 0;
  const loop = startOpenLoop({
    connections,
    ratePerSec: job.ratePerSec,
    begin(connection, due, listener) {
      number = (number + 1) % keys;
      dueMs[number] = due;
      connection.call(prepared, number, listener);
    },
    onEnd(succeeded, due) {
      if (!succeeded) measurement.fail();
      else if (measurement.recording) puts.record((performance.now() - due) * 1_000);
    },
  });
  await measure(job.span, measurement, onMeasuring);
  await loop.stop();
}

/** Resolves when every watch is answered with `created`. */
async function openWatches(
  job: WatchJob,
  connections: readonly Connection[],
  head: Buffer,
  onEvents: (bytes: Buffer, start: number, end: number) => void,
): Promise<void> {
  await Promise.all(
    connections.map(
      (connection, at) =>
        new Promise<void>((resolve, reject) => {
          let created = 0;
          const numbers: number[] = [];
          for (let i = at; i < job.watchers; i += connections.length) numbers.push(i);
          if (numbers.length === 0) return resolve();
          const splitter = new MessageSplitter((bytes, start, end) => {
            // The first answers are those to the creations: one each, in order; events come after puts, which begin later.
            if (created < numbers.length) {
              if (++created === numbers.length) resolve();
            } else onEvents(bytes, start, end);
          });
          const listener: StreamListener = {
            onData: (bytes, start, end) => splitter.push(bytes, start, end),
            onEnd: () => reject(new Error('a watch stream ended')),
          };
          const stream = connection.openStream(head, listener);
          for (const number of numbers) connection.send(stream, creation(job, number));
          connection.flush();
        }),
    ),
  );
}

function creation(job: WatchJob, number: number): Buffer {
  const text = (value: string) => Buffer.from(value, 'latin1');
  const createRequest =
    job.on === 'prefix'
      ? { key: text(KEY_PREFIX), rangeEnd: text(PREFIX_END) }
      : { key: text(KEY_PREFIX + number.toString(16).padStart(8, '0')) };
  return withPrefix(WatchRequest.encode({ createRequest }));
}

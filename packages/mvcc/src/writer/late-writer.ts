/**
 * A writer that starts when it is told to, and at the latest with its first job: a thread, its copy of the code and its view of LMDB
 * cost as much as a store needs to open, and the first flush comes a second after the first write.
 */
import type { WriterPort } from './port.ts';

export function lateWriter(start: () => WriterPort): WriterPort {
  let port: WriterPort | null = null;
  const started = (): WriterPort => {
    port ??= start();
    return port;
  };
  return {
    prepare: () => void started(),
    buffer: (bytes) => started().buffer(bytes),
    submit: (job, done) => {
      // Nothing was written, so there is nothing to end.
      if (job.kind === 'close' && port === null) queueMicrotask(() => done(null, { kind: 'done' }));
      else started().submit(job, done);
    },
    terminate: async () => {
      await port?.terminate();
    },
  };
}

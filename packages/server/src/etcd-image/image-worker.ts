/**
 * The thread that lays out an image's pages and writes its file, so that the member's own thread only reads records.
 *
 * Every message is one of `ToImageWorker`; rows are acknowledged, which is what holds back the sender. The file is closed before `finished` is
 * told, and is not synced: it is a temporary one.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { BoltWriter, createFile } from '@quorate/bbolt';
import { unpackRows } from './packed-rows.ts';

export type ToImageWorker =
  | { readonly kind: 'bucket'; readonly name: string }
  | { readonly kind: 'rows'; readonly packed: Uint8Array }
  | { readonly kind: 'finish' };

export type FromImageWorker =
  | { readonly kind: 'taken' }
  | { readonly kind: 'finished'; readonly sizeBytes: number }
  | { readonly kind: 'failed'; readonly message: string };

const { path } = workerData as { readonly path: string };
const port = parentPort!;
const answer = (message: FromImageWorker): void => port.postMessage(message);

const file = createFile(path);
const writer = new BoltWriter(file);
let inBucket = false;

function take(message: ToImageWorker): void {
  switch (message.kind) {
    case 'bucket':
      if (inBucket) writer.endBucket();
      inBucket = true;
      writer.beginBucket(Buffer.from(message.name));
      return;
    case 'rows':
      unpackRows(message.packed, (key, value) => writer.put(key, value));
      answer({ kind: 'taken' });
      return;
    case 'finish': {
      if (inBucket) writer.endBucket();
      const sizeBytes = writer.finish();
      file.close();
      answer({ kind: 'finished', sizeBytes });
      port.close();
    }
  }
}

port.on('message', (message: ToImageWorker) => {
  try {
    take(message);
  } catch (error) {
    answer({ kind: 'failed', message: (error as Error).message });
    port.close();
  }
});

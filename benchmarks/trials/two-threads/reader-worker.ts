/** A thread that answers gets of a store from LMDB, or confirms that a read may go on. */
import { parentPort, workerData } from 'node:worker_threads';
import { Status, type UnaryHandler } from '@quorate/grpc-server';
import { answerCalls } from './calls-in.ts';
import { openFilledStore } from './read-store.ts';
import type { ReaderThread } from './reader-methods.ts';

const { link, directory, reads } = workerData as ReaderThread;
const store = reads ? openFilledStore(directory) : null;

const get: UnaryHandler = {
  kind: 'unary',
  handle(key, call) {
    const record = store?.get(key);
    if (record == null) call.fail(Status.NOT_FOUND, 'no such key');
    else call.reply(record.encoded);
  },
};
const confirm: UnaryHandler = { kind: 'unary', handle: (_request, call) => call.reply(new Uint8Array(0)) };

// In the order of their numbers in `reader-methods.ts`.
answerCalls(link, [
  ['get', get],
  ['confirm', confirm],
]);
// `Atomics.waitAsync` keeps no thread alive; somebody who might send messages does.
parentPort?.on('message', () => {});
parentPort?.postMessage('ready');

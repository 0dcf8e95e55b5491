/** Entry of the thread that builds a store from an image; fed by `transfer/sink.ts`. */
import { parentPort, workerData } from 'node:worker_threads';
import { insideGate, useGate } from './backend/exit-gate.ts';
import { lmdbBackendAgain } from './backend/lmdb/backend.ts';
import { BuildCore } from './transfer/build-core.ts';
import { ImageReceiver } from './transfer/receiver.ts';
import type { FromReceiver, ReceiverData, ToReceiver } from './transfer/sink.ts';

const { directory, mapSizeBytes, blockKeys, name, gate } = workerData as ReceiverData;
useGate(gate);
const port = parentPort!;
const receiver = insideGate(() => {
  const database = lmdbBackendAgain({ directory, mapSizeBytes }).createFresh(name);
  return new ImageReceiver(new BuildCore(database, blockKeys));
});

const say = (message: FromReceiver): void => port.postMessage(message);
const sayError = (error: unknown): void => {
  const { name, code, message } = error as Error & { code?: string };
  say({ error: { name, code: code ?? 'UNKNOWN', message } });
};

port.on('message', (message: ToReceiver) => insideGate(() => receive(message)));

function receive({ chunk }: ToReceiver): void {
  try {
    if (chunk !== null) {
      receiver.write(chunk);
      say({ info: null });
    } else receiver.finish((error, info) => (error === null ? say({ info }) : sayError(error)));
  } catch (error) {
    sayError(error);
  }
}

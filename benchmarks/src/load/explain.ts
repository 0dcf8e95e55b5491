/** The frames only tell that a call failed: an ordinary client asks the same once more to learn why. */
import { Client, credentials } from '@grpc/grpc-js';
import type { OperationBytes } from './operations.ts';
import { KEY_DIGITS } from './prepared.ts';

const TIMEOUT_MS = 5_000;

/** @returns status and text of the failure */
export async function explain(
  endpoint: string,
  { path, message, slots }: OperationBytes,
  key: number,
): Promise<string> {
  const bytes = Buffer.from(message);
  let from = 0;
  for (const plus of slots) {
    const at = bytes.indexOf(KEY_DIGITS, from);
    bytes.write((key + plus).toString(16).padStart(8, '0'), at, 'latin1');
    from = at;
  }
  const client = new Client(endpoint, credentials.createInsecure());
  return new Promise((resolve) => {
    client.makeUnaryRequest(
      path,
      (given: Buffer) => given,
      (given: Buffer) => given,
      bytes,
      { deadline: Date.now() + TIMEOUT_MS },
      (error) => {
        client.close();
        resolve(error === null ? 'once more, it succeeded' : error.message);
      },
    );
  });
}

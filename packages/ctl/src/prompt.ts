/** Asks for a password without showing it. */
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import type { Io } from './context.ts';

export async function promptPassword(io: Io, question: string): Promise<string> {
  io.stdout(question);
  const terminal = 'isTTY' in io.stdin && io.stdin.isTTY === true;
  // What is typed is echoed by readline into its output: one that throws everything away.
  const silence = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: io.stdin, output: silence, terminal });
  try {
    return await lines.question('');
  } finally {
    lines.close();
    io.stdout('\n');
  }
}

/** Asks for a password without showing it. */
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import type { Io } from './context.ts';
import { CommandError } from './exit.ts';

/** What shells make of a program that Ctrl-C ended. */
const INTERRUPTED_EXIT = 130;

/** @returns the line that was typed; what there is when the input ends without one @throws CommandError at Ctrl-C */
export async function promptPassword(io: Io, question: string): Promise<string> {
  io.stdout(question);
  const terminal = 'isTTY' in io.stdin && io.stdin.isTTY === true;
  // What is typed is echoed by readline into its output: one that throws everything away.
  const silence = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: io.stdin, output: silence, terminal });
  try {
    return await new Promise<string>((resolve, reject) => {
      lines.once('line', resolve);
      lines.once('close', () => resolve(''));
      lines.once('SIGINT', () => reject(new CommandError(INTERRUPTED_EXIT, '')));
    });
  } finally {
    lines.close();
    io.stdout('\n');
  }
}

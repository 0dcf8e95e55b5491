/** What a process tells its test before it may be killed. */
import { writeSync } from 'node:fs';

/**
 * Writes one line to the standard output before it returns, so that it is told whatever happens next. A pipe whose reader
 * is slow takes nothing for a while (EAGAIN), or a part: then it is waited for, blocking the thread.
 */
export function sayLine(line: string): void {
  const bytes = Buffer.from(`${line}\n`);
  for (let said = 0; said < bytes.length; ) {
    try {
      said += writeSync(1, bytes, said);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

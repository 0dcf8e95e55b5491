/**
 * Trouble with the disk of a running process, by strace's fault injection: it attaches, makes the wanted system calls slow or
 * fail, writes down what it did, and lets go again. Works on any program, statically linked ones included. Needs the
 * right to trace (root, or a ptrace scope of 0).
 */
import type { ChildProcess } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { spawnBound } from '../process/child.ts';
import { findProgram } from '../process/server-process.ts';

export interface DiskTrouble {
  /** How often it struck so far. */
  fired(): number;
  /** Lets go of the process. */
  end(): Promise<void>;
}

/** `delay_enter=200000` (microseconds), `error=EIO:when=1`, ... in the words of strace(1). Null without strace. */
export async function troubleDisk(
  pid: number,
  calls: readonly string[],
  injection: string,
): Promise<DiskTrouble | null> {
  if (findProgram('strace') === null) return null;
  const log = join(tmpdir(), `quorate-strace-${process.pid}-${pid}-${Math.floor(Math.random() * 1e9)}`);
  const names = calls.join(',');
  const child = spawnBound(
    'strace',
    ['-f', '-p', String(pid), '-e', `trace=${names}`, '-e', `inject=${names}:${injection}`, '-o', log],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-4096);
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  if (!(await attached(child, () => said))) {
    child.kill('SIGKILL');
    throw new Error(`strace could not attach to ${pid}: ${said}`);
  }
  return {
    fired: () => (existsSync(log) ? (readFileSync(log, 'utf8').match(/INJECTED|DELAYED/g) ?? []).length : 0),
    async end() {
      // strace detaches on a signal; one that hangs on a dead process is ended for good.
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
      await Promise.race([ended, sleep(3000, undefined, { ref: false })]);
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      rmSync(log, { force: true });
    },
  };
}

async function attached(child: ChildProcess, said: () => string): Promise<boolean> {
  const giveUp = performance.now() + 5000;
  while (performance.now() < giveUp && child.exitCode === null) {
    if (/attached/.test(said())) return true;
    await sleep(10);
  }
  return false;
}

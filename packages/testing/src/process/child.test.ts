/** Children end with the process that started them, also when it is killed. */
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { boundCommand, spawnBound } from './child.ts';

const bound = boundCommand('true', []).program === 'setpriv';
if (!bound) console.warn('SKIPPED: no setpriv that sets the parent-death signal (package util-linux)');

/** A process that starts a child of an hour, says its pid, and lives on. */
const PARENT = `
  import { spawnBound } from ${JSON.stringify(new URL('./child.ts', import.meta.url).href)};
  const child = spawnBound(process.execPath, ['-e', 'setTimeout(() => {}, 3_600_000); console.log(process.pid)'], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  setTimeout(() => {}, 3_600_000);
`;

/** Ended: gone, or waiting only for somebody to ask how it ended. */
function hasEnded(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z');
  } catch {
    return true;
  }
}

it.skipIf(!bound)('a child ends with a parent that is killed', async () => {
  const parent = spawn(process.execPath, ['--input-type=module', '-e', PARENT], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const pid = await new Promise<number>((resolve) =>
    parent.stdout.once('data', (said: Buffer) => resolve(Number(said.toString()))),
  );
  expect(hasEnded(pid)).toBe(false);
  parent.kill('SIGKILL');
  while (!hasEnded(pid)) await sleep(10);
});

it('a child is what was asked for: its own pid, arguments and exit code', async () => {
  const script = 'console.log(process.pid, process.argv[1]); process.exitCode = 7';
  const child = spawnBound(process.execPath, ['-e', script, 'one -- two'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const code = await new Promise((resolve) => child.once('close', resolve));
  expect([code, said]).toEqual([7, `${child.pid} one -- two\n`]);
  const { program, args } = boundCommand(process.execPath, ['-e', 'process.exitCode = 3']);
  expect(spawnSync(program, args).status).toBe(3);
});

/** A failpoint module for the writer thread: ends the process at the nth visit of one place. */
let visits = 0;

export default function killAt(name: string): void {
  if (name !== process.env.KILL_AT) return;
  if (++visits === Number(process.env.KILL_NTH)) process.kill(process.pid, 'SIGKILL');
}

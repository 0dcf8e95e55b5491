/**
 * Who opened a loopback connection: from the port to the socket's inode (/proc/net/tcp), from there to the process that
 * holds it (/proc/PID/fd). This tells a proxy which member is calling, whatever the protocol says. Linux only.
 *
 * On a busy machine this takes long (hundreds of milliseconds were seen), so nothing here blocks the event loop.
 */
import { readdir, readFile, readlink } from 'node:fs/promises';

/** The one of `pids` whose socket is bound to local `port` and connected to `toPort`; null: none of them. */
export async function ownerOf(port: number, toPort: number, pids: readonly number[]): Promise<number | null> {
  const inode = await inodeOf(port, toPort);
  if (inode === null) return null;
  for (const pid of pids) if (await holds(pid, inode)) return pid;
  return null;
}

async function inodeOf(port: number, toPort: number): Promise<string | null> {
  const ending = (number: number) => `:${number.toString(16).toUpperCase().padStart(4, '0')}`;
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    const text = await readFile(table, 'utf8').catch(() => '');
    for (const line of text.split('\n')) {
      const fields = line.trim().split(/\s+/);
      if (fields[1]?.endsWith(ending(port)) && fields[2]?.endsWith(ending(toPort))) return fields[9] ?? null;
    }
  }
  return null;
}

async function holds(pid: number, inode: string): Promise<boolean> {
  // The process may have ended meanwhile, or closed the descriptor.
  const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => []);
  const targets = await Promise.all(
    descriptors.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')),
  );
  return targets.includes(`socket:[${inode}]`);
}

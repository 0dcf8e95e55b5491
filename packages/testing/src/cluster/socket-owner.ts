/**
 * Who opened a loopback connection: from the port to the socket's inode (/proc/net/tcp), from there to the process that
 * holds it (/proc/PID/fd). This tells a proxy which member is calling, whatever the protocol says. Linux only.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** The one of `pids` whose socket is bound to local `port` and connected to `toPort`; null: none of them. */
export function ownerOf(port: number, toPort: number, pids: readonly number[]): number | null {
  const inode = inodeOf(port, toPort);
  if (inode === null) return null;
  return pids.find((pid) => holds(pid, inode)) ?? null;
}

function inodeOf(port: number, toPort: number): string | null {
  const ending = (number: number) => `:${number.toString(16).toUpperCase().padStart(4, '0')}`;
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const line of readFileSync(table, 'utf8').split('\n')) {
      const fields = line.trim().split(/\s+/);
      if (fields[1]?.endsWith(ending(port)) && fields[2]?.endsWith(ending(toPort))) return fields[9] ?? null;
    }
  }
  return null;
}

function holds(pid: number, inode: string): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${fd}`) === `socket:[${inode}]`;
      } catch {
        return false; // closed meanwhile
      }
    });
  } catch {
    return false; // ended meanwhile
  }
}

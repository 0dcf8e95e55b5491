/**
 * The exclusive lock of a folder: the kernel's own, so that it ends with the process whatever ends it. See ADR 0003.
 *
 * Node cannot call flock(2), but a lock belongs to the open file, not to the process that asked for it: flock(1) is
 * started with our descriptor as its descriptor 3, takes the lock on it and exits; the lock stays until our last
 * descriptor is closed, by `release`, exit, SIGKILL or crash. No process id is compared, so reuse of ids does no harm.
 * macOS and Windows can lock while opening.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';
import { DiskError } from '../disk.ts';

/** `O_EXLOCK` and `O_NONBLOCK` of the BSDs and macOS: open and take the lock at once. */
const BSD_EXCLUSIVE_LOCK = 0x20 | 0x4;
/** libuv's `UV_FS_O_EXLOCK`: on Windows nobody else may open the file. */
const WINDOWS_EXCLUSIVE_LOCK = 0x10000000;

export function lockFile(path: string): { release(): void } {
  const descriptor = process.platform === 'linux' ? openAndFlock(path) : openLocked(path);
  let held = true;
  return {
    release() {
      if (held) closeSync(descriptor);
      held = false;
    },
  };
}

function openAndFlock(path: string): number {
  const descriptor = openLockFile(path, 0);
  const run = spawnSync('flock', ['-n', '-x', '3'], { stdio: ['ignore', 'ignore', 'ignore', descriptor] });
  if (run.status === 0) return descriptor;
  closeSync(descriptor);
  if (run.error === undefined && run.status === 1) {
    throw new DiskError({ code: 'LOCKED', operation: 'lock', path });
  }
  const cause = run.error ?? new Error(`flock ended with ${run.signal ?? run.status}`);
  const code = (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'NO_FLOCK_COMMAND' : 'LOCK_FAILED';
  throw new DiskError({ code, operation: 'lock (flock of util-linux or busybox is needed)', path, cause });
}

function openLocked(path: string): number {
  try {
    return openLockFile(path, process.platform === 'win32' ? WINDOWS_EXCLUSIVE_LOCK : BSD_EXCLUSIVE_LOCK);
  } catch (error) {
    const code = error instanceof DiskError ? error.code : '';
    if (code !== 'EAGAIN' && code !== 'EWOULDBLOCK' && code !== 'EBUSY' && code !== 'EPERM') throw error;
    throw new DiskError({ code: 'LOCKED', operation: 'lock', path, cause: error });
  }
}

function openLockFile(path: string, extraFlags: number): number {
  try {
    return openSync(path, constants.O_RDWR | constants.O_CREAT | extraFlags, 0o600);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'UNKNOWN';
    throw new DiskError({ code, operation: 'lock', path, cause });
  }
}

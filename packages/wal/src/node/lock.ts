/**
 * Locks of files: the kernel's own, so that they end with the process whatever ends it. See ADR 0003.
 *
 * Node cannot call flock(2), but a lock belongs to the open file, not to the process that asked for it: flock(1) is
 * started with our descriptor as its descriptor 3, takes the lock on it and exits; the lock stays until our last
 * descriptor is closed, by `release`, exit, SIGKILL or crash. No process id is compared, so reuse of ids does no harm.
 * macOS and Windows can lock while opening.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';
import { DiskError } from '../disk.ts';

interface Kind {
  /** How the file is opened. */
  readonly openFlags: number;
  /** Option of flock(1). */
  readonly option: '-x' | '-s';
  /** Added where opening takes the lock: with `O_NONBLOCK` on the BSDs and macOS. */
  readonly bsdFlags: number;
  readonly windowsFlags: number;
}

/** `O_EXLOCK` of the BSDs; libuv's `UV_FS_O_EXLOCK`: on Windows nobody else may open the file. */
const EXCLUSIVE: Kind = {
  openFlags: constants.O_RDWR | constants.O_CREAT,
  option: '-x',
  bsdFlags: 0x20 | 0x4,
  windowsFlags: 0x10000000,
};
/** `O_SHLOCK` of the BSDs. */
const SHARED: Kind = { openFlags: constants.O_RDONLY, option: '-s', bsdFlags: 0x10 | 0x4, windowsFlags: 0 };

/** The lock of who writes: there is no other. A file that is not there is made. */
export function lockFile(path: string): { release(): void } {
  return lock(path, EXCLUSIVE);
}

/**
 * The lock of who reads: shared with other readers, refused while somebody has the exclusive one. The file is opened for reading, so it may
 * lie where nothing can be written.
 * @throws DiskError with code LOCKED; with that of the system when the file cannot be opened
 */
export function lockShared(path: string): { release(): void } {
  return lock(path, SHARED);
}

function lock(path: string, kind: Kind): { release(): void } {
  const descriptor = process.platform === 'linux' ? openAndFlock(path, kind) : openLocked(path, kind);
  let held = true;
  return {
    release() {
      if (held) closeSync(descriptor);
      held = false;
    },
  };
}

function openAndFlock(path: string, { openFlags, option }: Kind): number {
  const descriptor = openLockFile(path, openFlags);
  const run = spawnSync('flock', ['-n', option, '3'], { stdio: ['ignore', 'ignore', 'ignore', descriptor] });
  if (run.status === 0) return descriptor;
  closeSync(descriptor);
  if (run.error === undefined && run.status === 1) {
    throw new DiskError({ code: 'LOCKED', operation: 'lock', path });
  }
  const cause = run.error ?? new Error(`flock ended with ${run.signal ?? run.status}`);
  const code = (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'NO_FLOCK_COMMAND' : 'LOCK_FAILED';
  throw new DiskError({ code, operation: 'lock (flock of util-linux or busybox is needed)', path, cause });
}

function openLocked(path: string, { openFlags, bsdFlags, windowsFlags }: Kind): number {
  try {
    return openLockFile(path, openFlags | (process.platform === 'win32' ? windowsFlags : bsdFlags));
  } catch (error) {
    const code = error instanceof DiskError ? error.code : '';
    if (code !== 'EAGAIN' && code !== 'EWOULDBLOCK' && code !== 'EBUSY' && code !== 'EPERM') throw error;
    throw new DiskError({ code: 'LOCKED', operation: 'lock', path, cause: error });
  }
}

function openLockFile(path: string, flags: number): number {
  try {
    return openSync(path, flags, 0o600);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'UNKNOWN';
    throw new DiskError({ code, operation: 'lock', path, cause });
  }
}

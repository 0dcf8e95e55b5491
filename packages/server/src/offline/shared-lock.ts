/**
 * The lock that bbolt takes to read a file: shared with other readers, refused while a server has the file open. Taken on a
 * descriptor for reading, so that the file may lie on a disk that cannot be written.
 *
 * How a lock is taken without flock(2) is told in the log's `lock.ts`; etcd's own files are on the systems that have flock(1) or
 * lock while opening.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';
import { OfflineError } from './errors.ts';

/** `O_SHLOCK` and `O_NONBLOCK` of the BSDs and macOS. */
const BSD_SHARED_LOCK = 0x10 | 0x4;

/** @throws OfflineError when a server uses the file, the system's error when it cannot be opened */
export function lockShared(path: string): { release(): void } {
  const descriptor = process.platform === 'linux' ? openAndFlock(path) : openLocked(path);
  return { release: () => closeSync(descriptor) };
}

function openAndFlock(path: string): number {
  const descriptor = openSync(path, constants.O_RDONLY);
  const run = spawnSync('flock', ['-n', '-s', '3'], { stdio: ['ignore', 'ignore', 'ignore', descriptor] });
  if (run.status === 0) return descriptor;
  closeSync(descriptor);
  if (run.status === 1) throw inUse(path);
  throw new OfflineError('bad-source', `cannot lock ${path}: the command flock is needed`, {
    cause: run.error ?? new Error(`flock ended with ${run.signal ?? run.status}`),
  });
}

function openLocked(path: string): number {
  const flags = process.platform === 'win32' ? 0 : BSD_SHARED_LOCK;
  try {
    return openSync(path, constants.O_RDONLY | flags);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw code === 'EAGAIN' || code === 'EBUSY' ? inUse(path, error) : error;
  }
}

function inUse(path: string, cause?: unknown): OfflineError {
  return new OfflineError('in-use', `an etcd server uses ${path}: stop it first`, { cause });
}

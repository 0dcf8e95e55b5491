/** The lock that bbolt takes to read a file: shared with other readers, refused while a server has the file open. */
import { DiskError, lockShared as lockFileShared } from '@quorate/wal';
import { OfflineError } from './errors.ts';

/** @throws OfflineError when a server uses the file, DiskError when it cannot be opened */
export function lockShared(path: string): { release(): void } {
  try {
    return lockFileShared(path);
  } catch (cause) {
    const code = cause instanceof DiskError ? cause.code : '';
    if (code === 'LOCKED') {
      throw new OfflineError('in-use', `an etcd server uses ${path}: stop it first`, { cause });
    }
    if (code === 'NO_FLOCK_COMMAND' || code === 'LOCK_FAILED') {
      throw new OfflineError('bad-source', `cannot lock ${path}: the command flock is needed`, { cause });
    }
    throw cause;
  }
}

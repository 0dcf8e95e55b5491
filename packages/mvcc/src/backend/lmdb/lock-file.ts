/**
 * The lock file beside LMDB's file, made by us before LMDB makes it.
 *
 * LMDB sets its size and maps it: a sparse file, whose pages get their room when they are first written. Without room that write is no
 * error but SIGBUS, and the process is gone. So the room is taken before, where a full disk is an error with a code. LMDB takes the file
 * as it finds it: larger than its own would be, it has room for more readers.
 */
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';

/** LMDB's own is 8,272 bytes. */
const LOCK_FILE_BYTES = 12 << 10;

/** Leaves a file alone that is there: whoever has LMDB open writes to it. @throws as writes do, ENOSPC among them */
export function reserveLockFile(path: string): void {
  let fd: number;
  try {
    fd = openSync(path, 'wx', 0o664);
  } catch (error) {
    if ((error as { code?: string }).code === 'EEXIST') return;
    throw error;
  }
  try {
    let written = 0;
    while (written < LOCK_FILE_BYTES) written += writeSync(fd, new Uint8Array(LOCK_FILE_BYTES - written));
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
}

import { statfsSync } from 'node:fs';
import { BackendError } from '../backend.ts';

/** A write cut short by a full disk is EIO to LMDB: the free space tells what it was. */
export function namingFullDisk(error: BackendError, directory: string): BackendError {
  if (error.code !== 'EIO') return error;
  const { bavail, bsize } = statfsSync(directory);
  if (bavail * bsize > NEARLY_FULL_BYTES) return error;
  return new BackendError('ENOSPC', `${directory}: the disk is full`, { cause: error });
}

const NEARLY_FULL_BYTES = 1 << 20;

/** LMDB speaks in numbers and sentences; here is the one place that turns them into codes. */
export function backendError(error: unknown): BackendError {
  if (error instanceof BackendError) return error;
  if (!(error instanceof Error)) return new BackendError('UNKNOWN', String(error), { cause: error });
  const coded = error as Error & { code?: string | number };
  const text = error.message;
  let code = typeof coded.code === 'string' ? coded.code : 'UNKNOWN';
  if (/No space left/i.test(text)) code = 'ENOSPC';
  else if (/Input\/output error/i.test(text)) code = 'EIO';
  else if (/Read-only file system/i.test(text)) code = 'EROFS';
  else {
    const named = /MDB_([A-Z_]+)/.exec(text);
    if (named !== null) code = named[1]!;
  }
  return new BackendError(code, text, { cause: error });
}

/**
 * The data folder of one member.
 *
 *     DIR/            mode 0700; a looser one that exists is used with a warning
 *       lock          held while a process uses the folder
 *       wal/          the log (elsewhere with --wal-dir); its metadata names cluster and member
 *       store/        the key-value store
 *       snapshot/     images on their way to users; emptied at start
 *       restoring     there while a tool fills the folder: what it holds is not whole
 *
 * One process at a time: the second gets `DataFolderError` at once (case 26). A folder that an etcd server made is
 * refused rather than mixed with ours.
 */
import { type Disk, DiskError } from '@quorate/wal';
import type { Logger } from './env.ts';

/** Name of the file that is there while a tool fills the folder. */
export const UNFINISHED = 'restoring';

export interface DataFolder {
  readonly walDirectory: string;
  readonly storeDirectory: string;
  /** Gives up the lock. */
  release(): void;
}

export type DataFolderProblem =
  | 'locked'
  | 'made-by-etcd'
  | 'inconsistent'
  | 'wrong-cluster'
  | 'newer-cluster';

/** The folder cannot be used; the text says why, for people. */
export class DataFolderError extends Error {
  override readonly name = 'DataFolderError';
  readonly code: DataFolderProblem;
  constructor(code: DataFolderProblem, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

export interface DataFolderOptions {
  readonly directory: string;
  /** Null: inside the folder. */
  readonly walDirectory: string | null;
}

/**
 * Makes the folder when it is missing, and locks it.
 * @param modeOf permission bits of a folder, null where they mean nothing
 * @throws DataFolderError, DiskError
 */
export function openDataFolder(
  options: DataFolderOptions,
  disk: Disk,
  modeOf: (path: string) => number | null,
  log: Logger,
): DataFolder {
  const { directory } = options;
  if (disk.exists(`${directory}/member/snap`)) {
    throw new DataFolderError(
      'made-by-etcd',
      `${directory} is the data folder of an etcd server: choose another`,
    );
  }
  if (disk.exists(`${directory}/${UNFINISHED}`)) {
    throw new DataFolderError(
      'inconsistent',
      `a restore into ${directory} did not come to its end: remove the folder and restore again`,
    );
  }
  const existed = disk.exists(directory);
  disk.makeDirectory(directory);
  const mode = existed ? modeOf(directory) : null;
  if (mode !== null && (mode & 0o077) !== 0) {
    log.log('warn', 'data folder is open to other users; mode 0700 is recommended', {
      folder: directory,
      mode: `0${(mode & 0o777).toString(8)}`,
    });
  }
  const lock = takeLock(disk, directory);
  return {
    walDirectory: options.walDirectory ?? `${directory}/wal`,
    storeDirectory: `${directory}/store`,
    release: () => lock.release(),
  };
}

function takeLock(disk: Disk, directory: string): { release(): void } {
  try {
    return disk.lock(`${directory}/lock`);
  } catch (error) {
    if (error instanceof DiskError && error.code === 'LOCKED') {
      throw new DataFolderError('locked', `another process uses ${directory}`, { cause: error });
    }
    throw error;
  }
}

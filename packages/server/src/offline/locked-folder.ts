/** A member's data folder, locked for a tool. */
import { nodeDisk } from '@quorate/wal';
import { type DataFolder, DataFolderError, openDataFolder } from '../data-folder.ts';
import { OfflineError } from './errors.ts';
import { existing } from './existing.ts';
import { QUIET } from './new-folder.ts';

/** @throws OfflineError when it is none, or a server uses it */
export function lockFolder(directory: string): DataFolder {
  if (existing(`${directory}/store`) === null)
    throw new OfflineError('not-found', `${directory} is not the data folder of a member`);
  try {
    return openDataFolder({ directory, walDirectory: null }, nodeDisk, () => null, QUIET);
  } catch (error) {
    if (!(error instanceof DataFolderError)) throw error;
    const code = error.code === 'locked' ? 'in-use' : 'bad-source';
    throw new OfflineError(code, error.message, { cause: error });
  }
}

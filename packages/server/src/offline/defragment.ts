/** Gives the unused space of a stopped member's store back to the file system. */
import { lockFolder } from './locked-folder.ts';
import { withStore } from './new-folder.ts';

/** @throws OfflineError when the folder is none, or a server uses it; the store's errors */
export async function defragmentFolder(directory: string): Promise<void> {
  const folder = lockFolder(directory);
  try {
    await withStore(
      folder.storeDirectory,
      (store) =>
        new Promise<void>((resolve, reject) => {
          store.defragment((error) => (error === null ? resolve() : reject(error)));
        }),
    );
  } finally {
    folder.release();
  }
}

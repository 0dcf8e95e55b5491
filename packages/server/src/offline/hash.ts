/** HashKV without a server: of a snapshot file, of the file of an etcd's data folder, or of our own data folder. */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildStore, mapSizeFor, type Store } from '@quorate/mvcc';
import { withImage } from './etcd-image.ts';
import { existing } from './existing.ts';
import { lockFolder } from './locked-folder.ts';
import { WORLD, withStore } from './new-folder.ts';

export interface FileHash {
  readonly hash: number;
  readonly hashRevision: number;
  readonly compactRevision: number;
}

/**
 * @param revision 0: the newest
 * @throws OfflineError; CompactedError, FutureRevisionError
 */
export async function hashFile(path: string, revision: number): Promise<FileHash> {
  if (existing(path)?.isDirectory()) {
    const folder = lockFolder(path);
    try {
      return await withStore(folder.storeDirectory, (store) => hashKv(store, revision));
    } finally {
      folder.release();
    }
  }
  // Which records count depends on later ones: a store knows.
  const directory = mkdtempSync(join(tmpdir(), 'quorate-hash-'));
  try {
    await withImage(path, async (image) => {
      const builder = buildStore({
        storage: { directory },
        afterPoll: WORLD.afterPoll,
        mapSizeBytes: mapSizeFor(statSync(path).size),
      });
      try {
        const newest = image.copyTo(builder);
        const { compactRevision } = image;
        await new Promise<void>((resolve, reject) => {
          const info = { appliedIndex: 1, appliedTerm: 1, revision: newest, compactRevision };
          builder.finish(info, (error) => (error === null ? resolve() : reject(error)));
        });
      } catch (error) {
        builder.abort();
        throw error;
      }
    });
    return await withStore(directory, (store) => hashKv(store, revision), statSync(path).size);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function hashKv(store: Store, revision: number): Promise<FileHash> {
  return new Promise((resolve, reject) => {
    store.hashKv(revision, (error, result) => (error === null ? resolve(result!) : reject(error)));
  });
}

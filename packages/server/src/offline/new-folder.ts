/**
 * A data folder made from elsewhere: a store that is there at once, and a log that begins where the store ends.
 *
 * The log holds no entry, only a marker: what comes before is in the store alone. A member that joins later gets a snapshot therefore, and never a log
 * that lacks what was restored. Every member that is made from the same image with the same cluster has the same store and marker, so
 * that they form one cluster. A failure removes what was made; after a crash the file `restoring` keeps a server from starting with a part.
 */
import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { buildStore, type ImageInfo, mapSizeFor, openStore, type StoreBuilder } from '@quorate/mvcc';
import { type ConfState, encodeConf, NONE } from '@quorate/raft';
import { nodeDisk, openWalInline } from '@quorate/wal';
import { openDataFolder, UNFINISHED } from '../data-folder.ts';
import type { Logger } from '../env.ts';
import type { InitialCluster } from '../membership/bootstrap.ts';
import { encodeLogMetadata } from '../membership/log-metadata.ts';
import { encodeMember } from '../membership/members.ts';
import { nodeEnv } from '../node/env.ts';
import { OfflineError } from './errors.ts';

export const QUIET: Logger = { log() {} };
/** Clock and turns of this process. */
export const WORLD = nodeEnv(QUIET);

export interface NewFolder {
  readonly dataDirectory: string;
  /** Null: inside the data folder. */
  readonly walDirectory: string | null;
}

/** How the store gets its contents. */
export interface FolderContents {
  /** Fills the builder. @returns what it is the state of */
  fill(builder: StoreBuilder): ImageInfo;
  /** Goes on from there with the store open, in its folder. @returns the last entry that the store has then, and its term */
  continue?(storeDirectory: string): Promise<{ readonly index: number; readonly term: number }>;
  /** Upper bound of what will be stored. */
  readonly sizeBytes: number;
}

/** @throws OfflineError when the folder is not empty; what `contents` throws */
export async function makeFolder(
  target: NewFolder,
  cluster: InitialCluster,
  contents: FolderContents,
): Promise<ImageInfo> {
  const { dataDirectory, walDirectory } = target;
  const existed = existsSync(dataDirectory);
  if (existed && !isEmptyFolder(dataDirectory))
    throw new OfflineError('bad-target', `data-dir "${dataDirectory}" not empty or could not be read`);
  if (walDirectory !== null && existsSync(walDirectory))
    throw new OfflineError('bad-target', `wal-dir "${walDirectory}" exists`);
  const folder = openDataFolder({ directory: dataDirectory, walDirectory }, nodeDisk, () => null, QUIET);
  const unfinished = `${dataDirectory}/${UNFINISHED}`;
  try {
    const mark = nodeDisk.open(unfinished, 'create');
    mark.sync();
    mark.close();
    nodeDisk.syncDirectory(dataDirectory);
    const conf: ConfState = {
      voters: cluster.members.map(({ id }) => id),
      votersOutgoing: [],
      learners: [],
      learnersNext: [],
      autoLeave: false,
    };
    const built = await build(folder.storeDirectory, cluster, conf, contents);
    const last = await contents.continue?.(folder.storeDirectory);
    const info = last === undefined ? built : { ...built, appliedIndex: last.index, appliedTerm: last.term };
    await writeLog(folder.walDirectory, cluster, conf, info);
    nodeDisk.remove(unfinished);
    nodeDisk.syncDirectory(dataDirectory);
    folder.release();
    return info;
  } catch (error) {
    folder.release();
    for (const path of [folder.storeDirectory, folder.walDirectory, unfinished, `${dataDirectory}/lock`])
      rmSync(path, { recursive: true, force: true });
    if (!existed) removeEmpty(dataDirectory);
    throw error;
  }
}

async function build(
  directory: string,
  cluster: InitialCluster,
  conf: ConfState,
  contents: FolderContents,
): Promise<ImageInfo> {
  const builder = buildStore({
    storage: { directory },
    afterPoll: WORLD.afterPoll,
    mapSizeBytes: mapSizeFor(contents.sizeBytes),
  });
  try {
    const info = contents.fill(builder);
    for (const { id, peerUrls } of cluster.members) {
      const key = Buffer.alloc(8);
      key.writeBigUInt64BE(id);
      // As a member that has not started yet: it tells its name and client URLs by itself.
      builder.putMeta('members', key, encodeMember({ name: '', peerUrls, clientUrls: [], isLearner: false }));
    }
    builder.putMeta('cluster', Buffer.from('conf'), encodeConf(conf));
    await new Promise<void>((resolve, reject) => {
      builder.finish(info, (error) => (error === null ? resolve() : reject(error)));
    });
    return info;
  } catch (error) {
    builder.abort();
    throw error;
  }
}

async function writeLog(
  directory: string,
  cluster: InitialCluster,
  conf: ConfState,
  { appliedIndex: index, appliedTerm: term }: ImageInfo,
): Promise<void> {
  const { wal } = openWalInline({ directory, metadata: encodeLogMetadata(cluster), disk: nodeDisk });
  try {
    await new Promise<void>((resolve, reject) => {
      const hardState = { term, vote: NONE, commit: index };
      wal.append(
        { entries: [], hardState, snapshotMarker: { index, term, conf }, mustSync: true },
        (error) => (error === null ? resolve() : reject(error)),
      );
    });
  } finally {
    await wal.close();
  }
}

/** Opens the store of a folder in this thread, for as long as `work` takes. */
export async function withStore<T>(
  directory: string,
  work: (store: ReturnType<typeof openStore>) => Promise<T>,
  quotaBytes = 0,
): Promise<T> {
  const store = openStore({
    storage: { directory },
    monotonicMs: WORLD.monotonicMs,
    afterPoll: WORLD.afterPoll,
    mapSizeBytes: mapSizeFor(quotaBytes),
  });
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

function removeEmpty(path: string): void {
  try {
    rmdirSync(path);
  } catch {
    // Somebody else has put something there.
  }
}

function isEmptyFolder(path: string): boolean {
  try {
    return readdirSync(path).length === 0;
  } catch {
    // Not a folder, or not ours to read: as bad as one that holds something.
    return false;
  }
}

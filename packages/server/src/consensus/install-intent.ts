/**
 * A note in the data folder while a received snapshot takes the place of log and store.
 *
 * The store is replaced first, then the log starts anew after the snapshot: two files that cannot change in one step.
 *
 *     note written -> store replaced -> log restarted -> note removed
 *
 *     found after a crash     store at the note's index, log not there yet   finish: restart the log
 *                             store elsewhere                                it never happened: forget the note
 *                             log restarted                                  all done: forget the note
 *
 * Without the note a store that is ahead of its log is one that was copied in from elsewhere, and is refused (case 25).
 */
import type { Disk } from '@quorate/wal';

export interface InstallIntent {
  readonly index: number;
  readonly term: number;
}

const NAME = 'installing-snapshot';

/** Durable when it returns. */
export function writeIntent(disk: Disk, directory: string, intent: InstallIntent): void {
  const path = `${directory}/${NAME}`;
  const temporary = `${path}.tmp`;
  if (disk.exists(temporary)) disk.remove(temporary);
  const file = disk.open(temporary, 'create');
  try {
    file.write(Buffer.from(JSON.stringify(intent)), 0);
    file.sync();
  } finally {
    file.close();
  }
  disk.rename(temporary, path);
  disk.syncDirectory(directory);
}

/** Null when there is none. @throws Error for a note that cannot be read: it was written whole or not at all */
export function readIntent(disk: Disk, directory: string): InstallIntent | null {
  const path = `${directory}/${NAME}`;
  if (!disk.exists(path)) return null;
  const file = disk.open(path, 'read');
  try {
    const { index, term } = JSON.parse(Buffer.from(file.read(0, file.size())).toString('utf8'));
    if (!Number.isSafeInteger(index) || !Number.isSafeInteger(term)) throw new Error(`${path} is damaged`);
    return { index, term };
  } finally {
    file.close();
  }
}

/** A note that survives its removal does no harm. */
export function clearIntent(disk: Disk, directory: string): void {
  const path = `${directory}/${NAME}`;
  if (!disk.exists(path)) return;
  disk.remove(path);
  disk.syncDirectory(directory);
}

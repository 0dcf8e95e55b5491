/** What is at a path. Unlike `existsSync`, a folder that may not be read is not taken for one that is not there. */
import { type Stats, statSync } from 'node:fs';

/** @returns null when there is nothing @throws the system's error when nobody may know */
export function existing(path: string): Stats | null {
  try {
    return statSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw error;
  }
}

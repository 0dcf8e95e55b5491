/**
 * A disk that can be full: a tmpfs of its own for one member (root only). `fill` takes all that is left, `free` gives it
 * back.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmdirSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface SmallDisk {
  readonly folder: string;
  /** Leaves `exceptBytes` free. @returns bytes taken */
  fill(exceptBytes?: number): number;
  free(): void;
  unmount(): void;
}

/** Why there can be no small disks here; null: there can. */
export function unableToMount(): string | null {
  return process.platform === 'linux' && process.getuid?.() === 0 ? null : 'mounting needs root on Linux';
}

export function mountTmpfs(name: string, megabytes: number): SmallDisk {
  const folder = mkdtempSync(join(tmpdir(), `quorate-disk-${name}-`));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder]);
  if (mounted.status !== 0) throw new Error(`tmpfs could not be mounted: ${mounted.stderr}`);
  const ballast = join(folder, 'ballast');
  return {
    folder,
    fill(exceptBytes = 0) {
      const file = openSync(ballast, 'a');
      let taken = 0;
      try {
        for (const size of [1 << 20, 4096]) {
          const block = Buffer.alloc(size, 1);
          // Short writes and ENOSPC both say that this size no longer fits.
          for (let written = size; written === size; taken += written) written = tryWrite(file, block);
        }
      } finally {
        closeSync(file);
      }
      if (exceptBytes > 0) spawnSync('truncate', ['-s', String(Math.max(0, taken - exceptBytes)), ballast]);
      return taken;
    },
    free: () => unlinkSync(ballast),
    unmount() {
      spawnSync('umount', ['-l', folder]);
      rmdirSync(folder);
    },
  };
}

function tryWrite(file: number, block: Buffer): number {
  try {
    return writeSync(file, block);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return 0;
    throw error;
  }
}

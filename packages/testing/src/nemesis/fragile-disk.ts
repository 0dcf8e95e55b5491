/**
 * A disk that turns read-only under its user, as Linux does with a file system in which it found an error: ext4 in a file
 * (root, loop devices). Nobody is asked, and what was open for writing stays open.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { findProgram } from '../process/server-process.ts';

export interface FragileDisk {
  readonly folder: string;
  turnReadOnly(): void;
  /** Checked and mounted anew. */
  repair(): void;
  unmount(): void;
}

let able: string | null | undefined;

/** Why there can be no such disk here; null: there can. Tried once. */
export function unableToBreak(): string | null {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'mounting needs root on Linux';
  if (findProgram('mkfs.ext4') === null) return 'mkfs.ext4 is not installed';
  if (able === undefined) {
    try {
      mountFragile('probe', 16).unmount();
      able = null;
    } catch (error) {
      able = (error as Error).message;
    }
  }
  return able;
}

/** @throws Error when the machine has no loop device to spare, or no switch to break it by */
export function mountFragile(name: string, megabytes: number): FragileDisk {
  const place = mkdtempSync(join(tmpdir(), `quorate-fragile-${name}-`));
  const [file, folder] = [join(place, 'image'), join(place, 'mount')];
  mkdirSync(folder);
  const run = (program: string, ...args: string[]): string => {
    const { status, stdout, stderr } = spawnSync(program, args);
    // e2fsck ends with 1 or 2 when it mended something.
    if (status === null || status > (program === 'e2fsck' ? 2 : 0)) throw new Error(`${program}: ${stderr}`);
    return stdout.toString().trim();
  };
  const mount = () => run('mount', '-o', 'loop,errors=remount-ro', file, folder);
  const unmount = () => {
    spawnSync('umount', ['-l', folder]);
    rmSync(place, { recursive: true, force: true });
  };
  const breaker = () => {
    const device = run('findmnt', '-n', '-o', 'SOURCE', folder);
    return `/sys/fs/ext4/${basename(device)}/trigger_fs_error`;
  };
  try {
    run('truncate', '-s', `${megabytes}M`, file);
    run('mkfs.ext4', '-q', file);
    mount();
    if (!existsSync(breaker())) throw new Error('this kernel does not let ext4 be broken');
  } catch (error) {
    unmount();
    throw error;
  }
  return {
    folder,
    turnReadOnly: () => writeFileSync(breaker(), '1'),
    repair: () => {
      run('umount', folder);
      run('e2fsck', '-fy', file);
      mount();
    },
    unmount,
  };
}

/** What the kernel knows about a process and about a disk (Linux). */
import { existsSync, readFileSync, statSync } from 'node:fs';

/** Of one process, or summed over several. */
export interface ProcessFigures {
  /** User and system time of all threads, with the 10 ms grain of /proc/PID/stat. */
  readonly cpuSec: number;
  /** Memory that is no file's: heaps, stacks. Mapped files (the stores of both servers) are cache and not counted. */
  readonly anonymousBytes: number;
  /**
   * Page cache that the process made dirty (`write_bytes`). Not what a disk gets: since ext4 has large folios (Linux
   * 6.16), 4 KiB written into a file that was written before count as the whole folio, up to 2 MiB.
   */
  readonly dirtiedBytes: number;
}

/** USER_HZ: the unit of /proc/PID/stat on every Linux that Node runs on. */
const TICKS_PER_SEC = 100;

export function processFigures(pids: readonly number[]): ProcessFigures {
  const each = pids.map(figuresOfOne);
  const sum = (name: keyof ProcessFigures) => each.reduce((total, figures) => total + figures[name], 0);
  return {
    cpuSec: sum('cpuSec'),
    anonymousBytes: sum('anonymousBytes'),
    dirtiedBytes: sum('dirtiedBytes'),
  };
}

function figuresOfOne(pid: number): ProcessFigures {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name, in parentheses, may hold blanks; utime and stime are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return {
    cpuSec: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SEC,
    anonymousBytes: kernelCount(`/proc/${pid}/status`, /^RssAnon:\s+(\d+) kB/m) * 1024,
    dirtiedBytes: kernelCount(`/proc/${pid}/io`, /^write_bytes: (\d+)/m),
  };
}

function kernelCount(path: string, line: RegExp): number {
  const found = line.exec(readFileSync(path, 'utf8'));
  if (found === null) throw new Error(`${path} has no line ${line}`);
  return Number(found[1]);
}

/**
 * Bytes written so far to the block device that holds a folder, by everybody: right on a machine that is otherwise
 * quiet. Undefined where the folder is on no such device (tmpfs, overlay).
 */
export function deviceWrittenBytes(folder: string): number | undefined {
  const { dev } = statSync(folder);
  // Linux packs major and minor numbers so: bits 8 to 19 are the major, bits 0 to 7 and 20 to 31 the minor.
  const major = (dev >>> 8) & 0xfff;
  const minor = (dev & 0xff) | ((dev >>> 12) & 0xfff00);
  const path = `/sys/dev/block/${major}:${minor}/stat`;
  if (!existsSync(path)) return undefined;
  const sectorBytes = 512;
  const sectorsWritten = readFileSync(path, 'utf8').trim().split(/\s+/)[6];
  return Number(sectorsWritten) * sectorBytes;
}

/** What the kernel knows about a process (Linux). */
import { readFileSync } from 'node:fs';

export interface ProcessFigures {
  /** User and system time of all threads, with the 10 ms grain of /proc/PID/stat. */
  readonly cpuSec: number;
  /** Memory that is no file's: heaps, stacks. Mapped files (the stores of both servers) are cache and not counted. */
  readonly anonymousBytes: number;
  /** What the process caused to be written to the disk. */
  readonly writtenBytes: number;
}

/** USER_HZ: the unit of /proc/PID/stat on every Linux that Node runs on. */
const TICKS_PER_SEC = 100;

export function processFigures(pid: number): ProcessFigures {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name, in parentheses, may hold blanks; utime and stime are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return {
    cpuSec: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SEC,
    anonymousBytes: kernelCount(`/proc/${pid}/status`, /^RssAnon:\s+(\d+) kB/m) * 1024,
    writtenBytes: kernelCount(`/proc/${pid}/io`, /^write_bytes: (\d+)/m),
  };
}

function kernelCount(path: string, line: RegExp): number {
  const found = line.exec(readFileSync(path, 'utf8'));
  if (found === null) throw new Error(`${path} has no line ${line}`);
  return Number(found[1]);
}

/**
 * Recording what a whole process does to its files, to ask afterwards: had the power gone at this moment, what would be on disk?
 *
 *   const recorder = buildRecorder();                       // null without gcc: skip, saying so
 *   const child = spawn(node, [...], { env: { ...process.env, ...recorder.environment({ root, logFile }) } });
 *   ... after each acknowledgement from the child:  const position = statSync(logFile).size
 *   ... kill the child, then
 *   const recording = readRecording(logFile, root);
 *   const step = recording.stepAt(position);                // what was acknowledged by then must survive from here on
 *   recording.image(anyLaterStep, seed).writeTo(folder);    // a folder as a power loss could have left it; open and check it
 *
 * Works for native add-ons too (LMDB), as long as they write with system calls and not through a shared writable mapping.
 * The same library makes single calls fail: `environment({ fault: { call: 'fdatasync', code: 'EIO', nth: 3 } })`.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface RecordedFault {
  /** `write` stands for all of write, writev, pwrite and pwritev. */
  readonly call: 'open' | 'write' | 'fsync' | 'fdatasync' | 'ftruncate' | 'rename';
  readonly code: 'EIO' | 'ENOSPC' | 'EROFS';
  /** Which matching call below the root fails, from 1. */
  readonly nth: number;
  /** Only paths that end so; without spaces. */
  readonly pathEnd?: string;
}

export interface Recorder {
  /** Variables for the process to be recorded. `root` must be absolute; without `logFile` only faults happen. */
  environment(options: {
    readonly root: string;
    readonly logFile?: string;
    readonly fault?: RecordedFault;
  }): Record<string, string>;
}

/** Compiles the recorder once per machine and source; null when that is not possible here (not Linux, no C compiler). */
export function buildRecorder(): Recorder | null {
  if (process.platform !== 'linux') return null;
  const place = import.meta.url.endsWith('.ts') ? '../../native/recorder.c' : '../native/recorder.c';
  const source = fileURLToPath(new URL(place, import.meta.url));
  const digest = createHash('sha256').update(readFileSync(source)).digest('hex').slice(0, 16);
  const user = process.getuid?.() ?? 0;
  const library = join(tmpdir(), `quorate-recorder-${user}-${digest}.so`);
  if (!existsSync(library) && !compile(source, library)) return null;
  return {
    environment({ root, logFile, fault }) {
      const variables: Record<string, string> = {
        LD_PRELOAD: library,
        QUORATE_RECORD_ROOT: root,
        // File operations through io_uring would pass us by.
        UV_USE_IO_URING: '0',
      };
      if (logFile !== undefined) variables.QUORATE_RECORD_LOG = logFile;
      if (fault !== undefined) {
        const number = constants.errno[fault.code as keyof typeof constants.errno] ?? 30;
        variables.QUORATE_FAULT = [fault.call, number, fault.nth, fault.pathEnd ?? ''].join(':');
      }
      return variables;
    },
  };
}

function compile(source: string, library: string): boolean {
  const unfinished = `${library}.${process.pid}`;
  const run = spawnSync('gcc', ['-O2', '-shared', '-fPIC', '-o', unfinished, source, '-ldl', '-lpthread']);
  if (run.status !== 0) return false;
  renameSync(unfinished, library);
  return true;
}

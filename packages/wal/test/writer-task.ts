/** What `writer-process.ts` is asked to do, how to start it, and how to check what it left behind. */
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { spawnBound } from '@quorate/testing/child';
import type { Wal } from '../src/index.ts';

export interface WriterTask {
  readonly directory: string;
  readonly batches: number;
  /** Batches under way at once: more than one makes group commits. */
  readonly underWay: number;
  readonly entriesPerBatch: number;
  readonly segmentBytes: number;
  /** Entries kept when the log is released every 50 batches; 0: never released. */
  readonly releaseBehind: number;
  readonly failpointModule?: string;
}

export const TASK: Omit<WriterTask, 'directory'> = {
  batches: 1_000_000,
  underWay: 8,
  entriesPerBatch: 3,
  segmentBytes: 65536,
  releaseBehind: 0,
};

/** Bytes that follow from the index: sizes vary, some are zeros. */
export function entryData(index: number): Uint8Array {
  const bytes = new Uint8Array((index * 37) % 700);
  return index % 5 === 0 ? bytes : bytes.fill(index & 0xff);
}

export interface WriterRun {
  readonly process: ChildProcess;
  /** Lines so far. */
  readonly lines: string[];
  /** Settles when the process has ended and all its lines are read. */
  readonly ended: Promise<{ code: number | null; signal: string | null }>;
}

export function startWriter(
  task: WriterTask,
  options: { env?: Record<string, string>; onLine?: (line: string, child: ChildProcess) => void } = {},
): WriterRun {
  const program = fileURLToPath(new URL('./writer-process.ts', import.meta.url));
  const child = spawnBound(process.execPath, ['--conditions=@quorate/source', program], {
    env: { ...process.env, ...options.env, WRITER: JSON.stringify(task) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  const reader = createInterface({ input: child.stdout });
  reader.on('line', (line) => {
    lines.push(line);
    options.onLine?.(line, child);
  });
  const read = new Promise((resolve) => reader.once('close', resolve));
  const ended = new Promise<{ code: number | null; signal: string | null }>((resolve) => {
    child.once('exit', (code, signal) => void read.then(() => resolve({ code, signal })));
  });
  return { process: child, lines, ended };
}

/** Highest index the lines acknowledge; 0 when none. */
export function lastAck(lines: readonly string[]): number {
  const ack = lines.findLast((line) => line.startsWith('ack '));
  return ack === undefined ? 0 : Number(ack.slice(4));
}

/** The first entry that is not what the writer wrote, or null: compares everything in the log. */
export function firstWrongEntry(wal: Wal): string | null {
  for (let next = wal.firstIndex(); next <= wal.lastIndex(); ) {
    for (const entry of wal.entries(next, wal.lastIndex() + 1, 1024 * 1024)) {
      if (entry.index !== next) return `entry ${next} is ${entry.index}`;
      if (!Buffer.from(entryData(next)).equals(entry.data)) return `entry ${next} has other data`;
      next++;
    }
  }
  return null;
}

/** What one case gives for one server, and the median of several runs. */
import type { JobResult } from './load/job.ts';

export type ServerName = 'quorate' | 'etcd';

/** Numbers only (besides `failure`), so that medians are taken field by field. Absent: this kind of case has none. */
export interface Figures {
  readonly perSec?: number;
  readonly p50Ms?: number;
  readonly p99Ms?: number;
  readonly p999Ms?: number;
  readonly maxMs?: number;
  /** User and system time of the server for each completed call. */
  readonly serverCpuUs?: number;
  /** Bytes that the disk got, from everybody on the machine. */
  readonly writtenBytesPerCall?: number;
  /** Page cache that the server made dirty: see `process-figures.ts`. */
  readonly dirtiedBytesPerCall?: number;
  readonly idleMemoryMib?: number;
  readonly peakMemoryMib?: number;
  readonly longestStallMs?: number;
  /** Share of one core. */
  readonly generatorBusy?: number;
  readonly failed?: number;
  /** Lists, compactions, ... that were completed beside the load, a second. */
  readonly meanwhilePerSec?: number;
  /** Share of the time in which one of them was under way. */
  readonly meanwhileShare?: number;
  /** Share of one core that a server at rest uses. */
  readonly restCpu?: number;
  readonly diskMib?: number;
  readonly restartMs?: number;
}

export interface Run {
  readonly server: ServerName;
  readonly group: string;
  readonly name: string;
  readonly unit: string;
  readonly repeat: number;
  readonly figures: Figures;
  /** Text of the first failed call. */
  readonly failure?: string;
}

export function loadFigures(result: JobResult): Figures {
  const { latency } = result;
  const calls = Math.max(1, result.completed);
  return {
    perSec: result.completed / result.seconds,
    p50Ms: latency.p50Us / 1_000,
    p99Ms: latency.p99Us / 1_000,
    p999Ms: latency.p999Us / 1_000,
    maxMs: latency.maxUs / 1_000,
    serverCpuUs: (result.serverCpuSec * 1e6) / calls,
    ...(result.diskWrittenBytes === undefined
      ? {}
      : { writtenBytesPerCall: result.diskWrittenBytes / calls }),
    dirtiedBytesPerCall: result.serverDirtiedBytes / calls,
    generatorBusy: result.generatorBusy,
    failed: result.failed,
  };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2;
}

export function medianFigures(runs: readonly Figures[]): Figures {
  const names = new Set(runs.flatMap((run) => Object.keys(run) as (keyof Figures)[]));
  return Object.fromEntries([...names].map((name) => [name, median(runs.flatMap((run) => run[name] ?? []))]));
}

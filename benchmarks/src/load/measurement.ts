/**
 * What a run records between the end of its warm-up and its end: latencies by name, failures, and what server and
 * generator used meanwhile.
 */
import { cpuUsage } from 'node:process';
import { deviceWrittenBytes, type ProcessFigures, processFigures } from '../process-figures.ts';
import { Histogram } from './histogram.ts';
import type { JobResult } from './job.ts';

export class Measurement {
  readonly #serverPids: readonly number[];
  readonly #serverFolder: string;
  readonly #histograms = new Map<string, Histogram>();
  #recording = false;
  #failed = 0;
  #beganMs = 0;
  #endedMs = 0;
  #serverBefore: ProcessFigures | undefined;
  #serverAfter: ProcessFigures | undefined;
  #diskBefore: number | undefined;
  #diskAfter: number | undefined;
  #cpuBefore: NodeJS.CpuUsage = cpuUsage();
  #cpu: NodeJS.CpuUsage = cpuUsage();

  constructor(serverPids: readonly number[], serverFolder: string) {
    this.#serverPids = serverPids;
    this.#serverFolder = serverFolder;
  }

  get recording(): boolean {
    return this.#recording;
  }

  /** The histogram of a name, made when first asked for. Record into it only while `recording`. */
  histogram(name: string): Histogram {
    let histogram = this.#histograms.get(name);
    if (histogram === undefined) {
      histogram = new Histogram();
      this.#histograms.set(name, histogram);
    }
    return histogram;
  }

  /** Whether nothing has been recorded yet under some name. */
  get lacksSome(): boolean {
    if (this.#histograms.size === 0) return true;
    for (const { count } of this.#histograms.values()) if (count === 0) return true;
    return false;
  }

  fail(): void {
    this.#failed++;
  }

  begin(): void {
    this.#diskBefore = deviceWrittenBytes(this.#serverFolder);
    this.#serverBefore = processFigures(this.#serverPids);
    this.#cpuBefore = cpuUsage();
    this.#beganMs = performance.now();
    this.#recording = true;
  }

  end(): void {
    this.#recording = false;
    this.#endedMs = performance.now();
    this.#cpu = cpuUsage(this.#cpuBefore);
    this.#serverAfter = processFigures(this.#serverPids);
    this.#diskAfter = deviceWrittenBytes(this.#serverFolder);
  }

  /** @param counted names whose calls are the result's `completed` */
  result(counted: readonly string[], firstFailure: string | undefined): JobResult {
    const before = this.#serverBefore;
    const after = this.#serverAfter;
    if (before === undefined || after === undefined) throw new Error('the measurement has not run');
    const seconds = (this.#endedMs - this.#beganMs) / 1_000;
    const all = new Histogram();
    for (const name of counted) all.add(this.histogram(name));
    return {
      seconds,
      completed: all.count,
      failed: this.#failed,
      firstFailure,
      latency: all.summary(),
      latencyByKind: Object.fromEntries(
        [...this.#histograms].map(([name, found]) => [name, found.summary()]),
      ),
      generatorBusy: (this.#cpu.user + this.#cpu.system) / 1e6 / seconds,
      serverCpuSec: after.cpuSec - before.cpuSec,
      serverDirtiedBytes: after.dirtiedBytes - before.dirtiedBytes,
      diskWrittenBytes:
        this.#diskBefore === undefined || this.#diskAfter === undefined
          ? undefined
          : this.#diskAfter - this.#diskBefore,
    };
  }
}

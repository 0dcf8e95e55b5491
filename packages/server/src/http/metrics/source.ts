/**
 * Where metrics come from: parts of a member that tell their numbers when somebody asks.
 *
 * Nothing is pushed and nothing is counted twice: a part keeps plain counters it has anyway, or a `Histogram`, and
 * offers them as a `MetricsSource`. Sources are read once per scrape. A part that belongs to others (the network, the
 * log) needs no knowledge of this folder: an object with `collect` is all.
 */
import type { Histogram } from '../../histogram.ts';

export type Labels = Readonly<Record<string, string>>;

export interface MetricsSink {
  /** @param name a counter or gauge of `catalogue.ts` */
  value(name: string, value: number, labels?: Labels): void;
  /** @param name a histogram of `catalogue.ts`, with the same buckets */
  histogram(name: string, histogram: Histogram, labels?: Labels): void;
}

export interface MetricsSource {
  collect(sink: MetricsSink): void;
}

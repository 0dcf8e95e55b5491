/**
 * The text of `/metrics`: sources are read once, prom-client's registry knows how the format is written.
 *
 * The metrics registered are not prom-client's own counters, which want to be told every event: each only hands over
 * what the sources said during this scrape. Nothing runs between scrapes.
 */
import { type Metric, Registry } from 'prom-client';
import type { Histogram } from '../../histogram.ts';
import { METRICS, type MetricInfo } from './catalogue.ts';
import type { Labels, MetricsSink, MetricsSource } from './source.ts';

interface Sample {
  readonly metricName: string;
  readonly labels: Labels;
  readonly value: number;
}

export class MetricsRegistry {
  readonly #registry = new Registry();
  readonly #sources: readonly MetricsSource[];
  readonly #scrape = new Scrape();

  /** @param sources read at each scrape: more may be added later */
  constructor(sources: readonly MetricsSource[]) {
    this.#sources = sources;
    for (const info of METRICS) {
      this.#registry.registerMetric(asMetric(info, () => this.#scrape.samples(info.name)));
    }
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    this.#scrape.clear();
    for (const source of this.#sources) source.collect(this.#scrape);
    // Every metric hands its samples over before anything else can run, so scrapes do not mix.
    return this.#registry.metrics();
  }
}

/** What prom-client's registry asks of a metric. */
function asMetric({ name, type, help, labels }: MetricInfo, samples: () => readonly Sample[]): Metric {
  const metric = {
    name,
    labelNames: labels,
    get: () => Promise.resolve({ name, type, help, values: samples(), aggregator: 'sum' }),
    reset() {},
  };
  return metric as unknown as Metric;
}

const KNOWN = new Map(METRICS.map((info) => [info.name, info]));

class Scrape implements MetricsSink {
  readonly #samples = new Map<string, Sample[]>();

  clear(): void {
    this.#samples.clear();
  }

  samples(name: string): readonly Sample[] {
    return this.#samples.get(name) ?? [];
  }

  value(name: string, value: number, labels: Labels = {}): void {
    this.#add(name, name, labels, value);
  }

  histogram(name: string, histogram: Histogram, labels: Labels = {}): void {
    const counts = histogram.cumulative();
    for (const [index, bound] of histogram.bounds.entries()) {
      this.#add(name, `${name}_bucket`, { ...labels, le: String(bound) }, counts[index]!);
    }
    const total = counts.at(-1)!;
    this.#add(name, `${name}_bucket`, { ...labels, le: '+Inf' }, total);
    this.#add(name, `${name}_sum`, labels, histogram.sum);
    this.#add(name, `${name}_count`, labels, total);
  }

  #add(name: string, metricName: string, labels: Labels, value: number): void {
    if (!KNOWN.has(name)) throw new Error('a source names a metric that is not in the catalogue');
    const samples = this.#samples.get(name);
    const sample = { metricName, labels, value };
    if (samples === undefined) this.#samples.set(name, [sample]);
    else samples.push(sample);
  }
}

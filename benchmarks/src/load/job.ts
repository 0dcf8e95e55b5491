/**
 * What the generator process is asked and what it answers: plain data, sent over the IPC channel.
 */
import type { LatencySummary } from './histogram.ts';
import type { Operation } from './operations.ts';

/** Which keys calls name. Every call takes the next one. */
export type KeyOrder =
  /** Uniformly among `[0, keys)`. */
  | { readonly order: 'random'; readonly keys: number }
  /** 0, `step`, 2 x `step`, ... modulo `keys`. */
  | { readonly order: 'steps'; readonly keys: number; readonly step: number };

export interface Share {
  readonly operation: Operation;
  readonly keys: KeyOrder;
  /** Share among the mix, relative to the others'. */
  readonly weight: number;
}

/** How long: a warm-up that does not count and then a time, or a number of calls without warm-up. */
export type Span = { readonly warmupSec: number; readonly seconds: number } | { readonly operations: number };

interface JobBase {
  /** Connections take one after the other. */
  readonly endpoints: readonly string[];
  /** Processor time of these processes, and bytes written to the disk of the folder, are sampled at begin and end. */
  readonly serverPids: readonly number[];
  readonly serverFolder: string;
  readonly connections: number;
  readonly span: Span;
}

export type Job =
  /** Each of `connections` x `clientsPerConnection` clients asks again when it has its answer. */
  | (JobBase & {
      readonly kind: 'closed';
      readonly clientsPerConnection: number;
      readonly mix: readonly Share[];
    })
  /** Calls begin at a rate, whether earlier ones are answered or not. */
  | (JobBase & { readonly kind: 'open'; readonly ratePerSec: number; readonly mix: readonly Share[] })
  /** Puts at a rate, and watchers: all on the prefix, or each on a key of its own. */
  | (JobBase & {
      readonly kind: 'watch';
      readonly watchers: number;
      readonly on: 'prefix' | 'own-key';
      readonly ratePerSec: number;
      readonly valueBytes: number;
    })
  /** Grants leases, then each client sends a keep-alive when the last one is answered. */
  | (JobBase & {
      readonly kind: 'keep-alive';
      readonly clientsPerConnection: number;
      readonly leases: number;
    });

export interface JobResult {
  /** Length of the measurement. */
  readonly seconds: number;
  /** Calls (of watching: events) that ended well in the measurement. */
  readonly completed: number;
  readonly failed: number;
  /** Status and text of the first failure, as an ordinary client was told it. */
  readonly firstFailure: string | undefined;
  /** Of all that is counted in `completed`. */
  readonly latency: LatencySummary;
  /** By kind of operation; watching has `put` and `event`. */
  readonly latencyByKind: Readonly<Record<string, LatencySummary>>;
  /** Share of one core that the generator used. */
  readonly generatorBusy: number;
  readonly serverCpuSec: number;
  readonly serverDirtiedBytes: number;
  readonly diskWrittenBytes: number | undefined;
}

export type FromGenerator =
  | { readonly kind: 'ready' }
  | { readonly kind: 'measuring' }
  | { readonly kind: 'result'; readonly result: JobResult }
  | { readonly kind: 'error'; readonly message: string };

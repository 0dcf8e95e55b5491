/**
 * The command line of a simulator: many seeds in a row, by number or by time, or one of them again.
 *
 *     --count 1000 --base ci   seeds ci/0 to ci/999; without --base a random one, which is printed
 *     --minutes 30             runs on until then
 *     --seed ci/17 --trace     one of them, every event
 *
 * Exit code 1 when anything was broken. The simulators are `../raft-sim/cli.ts` and `../server-sim/cli.ts`.
 */
import { parseArgs } from 'node:util';

export interface Simulator {
  /** What one run is called, in the plural. */
  readonly runs: string;
  /** How many there are unless `--count` says otherwise, and after how many a line says how far it is. */
  readonly count: number;
  readonly every: number;
  /** Prints what the seed draws, and runs it. */
  replay(seed: string, options: { readonly trace?: (line: string) => void }): Outcome | Promise<Outcome>;
  campaign(options: {
    readonly seeds: Iterable<string>;
    readonly maxFailures: number;
    readonly goOn: () => boolean;
    /** Runs that may be spent on making a failure small; absent: the simulator's own limit. */
    readonly shrinkRuns?: number;
  }): Totals | Promise<Totals>;
}

interface Outcome {
  readonly violation: unknown;
}

interface Totals {
  readonly runs: number;
  readonly events: number;
  readonly virtualMs: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly failures: readonly { readonly report: string }[];
}

export async function simulatorMain(simulator: Simulator): Promise<void> {
  const { values } = parseArgs({
    options: {
      count: { type: 'string', default: String(simulator.count) },
      minutes: { type: 'string' },
      base: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
      seed: { type: 'string' },
      trace: { type: 'boolean', default: false },
      failures: { type: 'string', default: '3' },
      shrink: { type: 'string' },
    },
  });
  if (values.seed !== undefined) {
    const result = await simulator.replay(
      values.seed,
      values.trace ? { trace: (line) => console.log(line) } : {},
    );
    console.log(result);
    process.exitCode = result.violation === null ? 0 : 1;
    return;
  }
  const startedMs = performance.now();
  const elapsedSec = () => Math.round((performance.now() - startedMs) / 1000);
  const [count, endMs] =
    values.minutes === undefined
      ? [Number(values.count), Number.POSITIVE_INFINITY]
      : [Number.MAX_SAFE_INTEGER, startedMs + Number(values.minutes) * 60_000];
  let begun = 0;
  const result = await simulator.campaign({
    seeds: seeds(values.base, count),
    maxFailures: Number(values.failures),
    ...(values.shrink === undefined ? {} : { shrinkRuns: Number(values.shrink) }),
    goOn: () => {
      if (++begun % simulator.every === 0) console.error(`${begun} ${simulator.runs}, ${elapsedSec()} s`);
      return performance.now() < endMs;
    },
  });
  for (const { report } of result.failures) console.log(report, '\n');
  console.log(`base seed ${values.base}, Node ${process.version}`);
  const hours = (result.virtualMs / 3_600_000).toFixed(2);
  console.log(
    `${result.runs} ${simulator.runs}, ${result.events} events, ${hours} simulated hours in ${elapsedSec()} s, ` +
      `${result.failures.length} failed`,
  );
  for (const [what, times] of Object.entries(result.counts).sort())
    console.log(`  ${String(times).padStart(10)}  ${what}`);
  process.exitCode = result.failures.length === 0 ? 0 : 1;
}

function* seeds(base: string, count: number): Generator<string> {
  for (let number = 0; number < count; number++) yield `${base}/${number}`;
}

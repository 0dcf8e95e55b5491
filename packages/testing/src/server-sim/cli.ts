/**
 * `pnpm server-sim`: simulated lifetimes of clusters of whole members, by number or by time.
 *
 *     pnpm server-sim --count 1000            from a random base seed, which is printed
 *     pnpm server-sim --minutes 30            runs on until then
 *     pnpm server-sim --count 300 --base ci   the same 300 each time
 *     pnpm server-sim --seed ci/17 --trace    one lifetime, every event
 */
import { parseArgs } from 'node:util';
import { runCampaign } from './campaign.ts';
import { describePlan, drawPlan } from './plan.ts';
import { runPlan } from './simulation.ts';

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '300' },
    minutes: { type: 'string' },
    base: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    seed: { type: 'string' },
    trace: { type: 'boolean', default: false },
    failures: { type: 'string', default: '3' },
    shrink: { type: 'string', default: '120' },
  },
});

if (values.seed !== undefined) {
  const plan = drawPlan(values.seed);
  console.log(describePlan(plan));
  const result = await runPlan(plan, values.trace ? { trace: (line) => console.log(line) } : {});
  console.log(result);
  process.exitCode = result.violation === null ? 0 : 1;
} else {
  const startedMs = performance.now();
  const endMs =
    values.minutes === undefined ? Number.POSITIVE_INFINITY : startedMs + Number(values.minutes) * 60_000;
  const count = values.minutes === undefined ? Number(values.count) : Number.MAX_SAFE_INTEGER;
  let begun = 0;
  const result = await runCampaign({
    seeds: seeds(values.base, count),
    maxFailures: Number(values.failures),
    shrinkRuns: Number(values.shrink),
    goOn: () => {
      if (++begun % 100 === 0)
        console.error(`${begun} lifetimes, ${Math.round((performance.now() - startedMs) / 1000)} s`);
      return performance.now() < endMs;
    },
  });
  for (const { report } of result.failures) console.log(report, '\n');
  console.log(`base seed ${values.base}, Node ${process.version}`);
  console.log(
    `${result.runs} lifetimes, ${result.events} events, ${(result.virtualMs / 3_600_000).toFixed(2)} simulated hours in ` +
      `${Math.round((performance.now() - startedMs) / 1000)} s, ${result.failures.length} failed`,
  );
  for (const [what, times] of Object.entries(result.counts).sort())
    console.log(`  ${String(times).padStart(10)}  ${what}`);
  process.exitCode = result.failures.length === 0 ? 0 : 1;
}

function* seeds(base: string, count: number): Generator<string> {
  for (let number = 0; number < count; number++) yield `${base}/${number}`;
}

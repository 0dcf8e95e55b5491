/**
 * `pnpm sim`: simulated Raft clusters, by number of schedules or by time.
 *
 *     pnpm sim --count 10000            from a random base seed, which is printed
 *     pnpm sim --minutes 30             runs on until then
 *     pnpm sim --seed 1234/17 --trace   one schedule, every event
 */
import { parseArgs } from 'node:util';
import { runCampaign } from './campaign.ts';
import { describeSchedule, drawSchedule } from './schedule.ts';
import { runSchedule } from './simulation.ts';

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '10000' },
    minutes: { type: 'string' },
    base: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    seed: { type: 'string' },
    trace: { type: 'boolean', default: false },
  },
});

if (values.seed !== undefined) {
  const schedule = drawSchedule(values.seed);
  console.log(describeSchedule(schedule));
  const result = runSchedule(schedule, values.trace ? { trace: (line) => console.log(line) } : {});
  console.log(result);
  process.exitCode = result.violation === null ? 0 : 1;
} else {
  const startedMs = performance.now();
  const endMs =
    values.minutes === undefined ? Number.POSITIVE_INFINITY : startedMs + Number(values.minutes) * 60_000;
  const count = values.minutes === undefined ? Number(values.count) : Number.MAX_SAFE_INTEGER;
  let begun = 0;
  const result = runCampaign({
    seeds: seeds(values.base, count),
    maxFailures: 3,
    goOn: () => {
      if (++begun % 500 === 0)
        console.error(`${begun} schedules, ${Math.round((performance.now() - startedMs) / 1000)} s`);
      return performance.now() < endMs;
    },
  });
  for (const { report } of result.failures) console.log(report, '\n');
  console.log(`base seed ${values.base}, Node ${process.version}`);
  console.log(
    `${result.runs} schedules, ${result.events} events, ${(result.virtualMs / 3_600_000).toFixed(1)} simulated hours in ` +
      `${Math.round((performance.now() - startedMs) / 1000)} s, ${result.failures.length} failed`,
  );
  for (const [what, times] of Object.entries(result.counts).sort())
    console.log(`  ${String(times).padStart(10)}  ${what}`);
  process.exitCode = result.failures.length === 0 ? 0 : 1;
}

function* seeds(base: string, count: number): Generator<string> {
  for (let number = 0; number < count; number++) yield `${base}/${number}`;
}

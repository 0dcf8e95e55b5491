/**
 * `pnpm sim`: simulated Raft clusters, by number of schedules or by time.
 *
 *     pnpm sim --count 10000            from a random base seed, which is printed
 *     pnpm sim --minutes 30             runs on until then
 *     pnpm sim --seed 1234/17 --trace   one schedule, every event
 */
import { simulatorMain } from '../sim/simulator-cli.ts';
import { runCampaign } from './campaign.ts';
import { describeSchedule, drawSchedule } from './schedule.ts';
import { runSchedule } from './simulation.ts';

await simulatorMain({
  runs: 'schedules',
  count: 10_000,
  every: 500,
  campaign: runCampaign,
  replay(seed, options) {
    const schedule = drawSchedule(seed);
    console.log(describeSchedule(schedule));
    return runSchedule(schedule, options);
  },
});

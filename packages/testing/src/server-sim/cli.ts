/**
 * `pnpm server-sim`: simulated lifetimes of clusters of whole members, by number or by time.
 *
 *     pnpm server-sim --count 1000            from a random base seed, which is printed
 *     pnpm server-sim --minutes 30            runs on until then
 *     pnpm server-sim --count 300 --base ci   the same 300 each time
 *     pnpm server-sim --seed ci/17 --trace    one lifetime, every event
 */
import { simulatorMain } from '../sim/simulator-cli.ts';
import { runCampaign } from './campaign.ts';
import { describePlan, drawPlan } from './plan.ts';
import { runPlan } from './simulation.ts';

await simulatorMain({
  runs: 'lifetimes',
  count: 300,
  every: 100,
  campaign: runCampaign,
  replay(seed, options) {
    const plan = drawPlan(seed);
    console.log(describePlan(plan));
    return runPlan(plan, options);
  },
});

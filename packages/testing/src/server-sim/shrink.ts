/**
 * Makes a failing lifetime small: the same invariant must still break.
 *
 * First faults are left out in ever smaller chunks (delta debugging, Zeller and Hildebrandt 2002), then the noise of the network,
 * then clients, watchers and kinds of operations. Bounded by a number of runs.
 */
import type { Mix, Plan } from './plan.ts';

export async function shrinkPlan(
  plan: Plan,
  stillFails: (candidate: Plan) => Promise<boolean>,
  maxRuns = 120,
): Promise<Plan> {
  let best = plan;
  let runs = 0;
  const attempt = async (candidate: Plan): Promise<boolean> => {
    if (runs >= maxRuns) return false;
    runs++;
    if (!(await stillFails(candidate))) return false;
    best = candidate;
    return true;
  };

  for (let chunk = Math.ceil(best.faults.length / 2); chunk >= 1; chunk = Math.floor(chunk / 2)) {
    for (let start = 0; start < best.faults.length && runs < maxRuns; ) {
      const faults = [...best.faults.slice(0, start), ...best.faults.slice(start + chunk)];
      if (!(await attempt({ ...best, faults }))) start += chunk;
    }
  }
  const { quality } = best;
  const calm = { loss: 0, repeat: 0, jitterMs: 0, chunkLoss: 0, chunkDamage: 0 };
  if (!(await attempt({ ...best, quality: { ...quality, ...calm } }))) {
    for (const [name, value] of Object.entries(calm)) {
      await attempt({ ...best, quality: { ...best.quality, [name]: value } });
    }
  }
  await attempt({ ...best, clockRates: best.clockRates.map(() => 1) });
  await attempt({ ...best, watchers: 0 });
  for (let clients = 1; clients < best.clients; clients++) if (await attempt({ ...best, clients })) break;
  for (const kind of Object.keys(best.mix) as (keyof Mix)[]) {
    if (best.mix[kind] > 0) await attempt({ ...best, mix: { ...best.mix, [kind]: 0 } });
  }
  return best;
}

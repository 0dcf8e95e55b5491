/**
 * Makes a failing schedule small: the same invariant must still break.
 *
 * First the noise of the network goes, then actions are left out in ever smaller chunks (delta debugging, Zeller and
 * Hildebrandt 2002). Bounded by a number of runs, so that it ends in seconds.
 */
import type { Schedule } from './schedule.ts';

export function shrinkSchedule(
  schedule: Schedule,
  stillFails: (candidate: Schedule) => boolean,
  maxRuns = 400,
): Schedule {
  let best = schedule;
  let runs = 0;
  const attempt = (candidate: Schedule): boolean => {
    if (runs >= maxRuns) return false;
    runs++;
    if (!stillFails(candidate)) return false;
    best = candidate;
    return true;
  };

  const quiet = { ...best.network, loss: 0, duplication: 0, slow: 0 };
  if (!attempt({ ...best, network: quiet })) {
    attempt({ ...best, network: { ...best.network, loss: 0 } });
    attempt({ ...best, network: { ...best.network, duplication: 0 } });
    attempt({ ...best, network: { ...best.network, slow: 0 } });
  }
  attempt({ ...best, tickRates: best.tickRates.map(() => 1) });

  for (let chunk = Math.ceil(best.actions.length / 2); chunk >= 1; chunk = Math.floor(chunk / 2)) {
    for (let start = 0; start < best.actions.length && runs < maxRuns; ) {
      const actions = [...best.actions.slice(0, start), ...best.actions.slice(start + chunk)];
      if (!attempt({ ...best, actions })) start += chunk;
    }
  }
  return best;
}

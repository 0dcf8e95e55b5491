/**
 * Many lifetimes in a row, what they saw together, and a report that replays when one fails.
 */
import type { Mutations } from './mutations.ts';
import { describePlan, drawPlan, type Plan } from './plan.ts';
import { shrinkPlan } from './shrink.ts';
import { type RunResult, runPlan } from './simulation.ts';

export interface CampaignResult {
  readonly runs: number;
  readonly events: number;
  readonly virtualMs: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly failures: readonly {
    readonly seed: string;
    readonly invariant: string;
    readonly report: string;
  }[];
}

export async function runCampaign(options: {
  readonly seeds: Iterable<string>;
  readonly mutations?: Mutations;
  /** Stops after so many failures. Default 1. */
  readonly maxFailures?: number;
  /** Runs that may be spent on making a failure small. Default 120. */
  readonly shrinkRuns?: number;
  /** Asked before each run. */
  readonly goOn?: () => boolean;
}): Promise<CampaignResult> {
  const { mutations, maxFailures = 1, shrinkRuns = 120 } = options;
  const counts: Record<string, number> = {};
  const failures: { seed: string; invariant: string; report: string }[] = [];
  let runs = 0;
  let events = 0;
  let virtualMs = 0;
  for (const seed of options.seeds) {
    if (options.goOn?.() === false) break;
    const plan = drawPlan(seed);
    const result = await runPlan(plan, mutations === undefined ? {} : { mutations });
    runs++;
    events += result.events;
    virtualMs += result.virtualMs;
    for (const [what, times] of Object.entries(result.counts)) counts[what] = (counts[what] ?? 0) + times;
    if (result.violation !== null) {
      const report = await reportFailure(plan, result, shrinkRuns, mutations);
      failures.push({ seed, invariant: result.violation.invariant, report });
      if (failures.length >= maxFailures) break;
    }
  }
  return { runs, events, virtualMs, counts, failures };
}

/** The violation, the smallest plan found that still shows it, and the end of that run's trace. */
export async function reportFailure(
  plan: Plan,
  result: RunResult,
  shrinkRuns: number,
  mutations?: Mutations,
): Promise<string> {
  const options = mutations === undefined ? {} : { mutations };
  const small = await shrinkPlan(
    plan,
    async (candidate) =>
      (await runPlan(candidate, options)).violation?.invariant === result.violation?.invariant,
    shrinkRuns,
  );
  const trace: string[] = [];
  const again = await runPlan(small, { ...options, trace: (line) => trace.push(line) });
  return [
    `seed ${plan.seed}: ${result.violation?.detail}`,
    `shrunk from ${plan.faults.length} to ${small.faults.length} faults: ${again.violation?.detail}`,
    describePlan(small),
    'last events:',
    ...trace.slice(-40),
  ].join('\n');
}
